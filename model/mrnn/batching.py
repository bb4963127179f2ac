"""Batches of captions of similar length: little padding, every caption once an epoch, in an order fixed by a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.captions import Captions
from schemas.vocabulary import BOS, PAD

BUCKET_SIZE = 50  # batches whose captions are sorted by length together; more is less padding and less random


@dataclass(frozen=True)
class Batch:
    """A padded batch of captions.

    Attributes:
        inputs: int32 (B, T), `<bos>` and the tokens, padded with `<pad>`.
        targets: int32 (B, T), the tokens and `<bos>` as the end token, padded with `<pad>`.
        image_index: int32 (B,), rows of the feature matrix.
    """

    inputs: NDArray[np.int32]
    targets: NDArray[np.int32]
    image_index: NDArray[np.int32]

    @property
    def tokens(self) -> int:
        """Number of tokens to predict, end tokens included."""
        return int((self.targets != PAD).sum())

    def shard(self, index: int, count: int) -> "Batch":
        """Captions `index`, `index` + `count`, ...: shards of similar size and length, possibly empty."""
        return Batch(self.inputs[index::count], self.targets[index::count], self.image_index[index::count])


def collate(captions: Captions, chosen: NDArray[np.int64], max_length: int) -> Batch:
    """The chosen captions as one batch; longer ones are truncated to `max_length` tokens (before the end token)."""
    truncated = [captions[caption][:max_length] for caption in chosen]
    steps = max(len(tokens) for tokens in truncated) + 1
    inputs = np.full((len(truncated), steps), PAD, np.int32)
    targets = np.full((len(truncated), steps), PAD, np.int32)
    inputs[:, 0] = BOS
    for row, tokens in enumerate(truncated):
        inputs[row, 1 : len(tokens) + 1] = tokens
        targets[row, : len(tokens)] = tokens
        targets[row, len(tokens)] = BOS
    return Batch(inputs, targets, captions.image_index[chosen].astype(np.int32))


def all_captions(
    by_image: Sequence[NDArray[np.int64]], images: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of all captions of the images, image by image, and the position of its image for each.

    by_image: as `Captions.by_image` has it.
    """
    numbers = [by_image[image] for image in images]
    return np.concatenate(numbers), np.repeat(np.arange(len(images)), [len(each) for each in numbers])


def image_batches(
    images: NDArray[np.integer], batch_size: int, random: np.random.Generator
) -> Iterator[NDArray[np.integer]]:
    """All images (N,) once, in random order, `batch_size` at a time."""
    order = random.permutation(images)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def training_batches(captions: Captions, batch_size: int, max_length: int, seed: int, epoch: int) -> Iterator[Batch]:
    """One epoch: every caption exactly once, in an order that depends on (seed, epoch) alone."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(captions))
    lengths = np.diff(captions.offsets)
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), batch_size * BUCKET_SIZE):
        pool = order[start : start + batch_size * BUCKET_SIZE]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    for index in random.permutation(len(batches)):
        yield collate(captions, batches[index], max_length)


def evaluation_batches(captions: Captions, batch_size: int, max_length: int) -> Iterator[Batch]:
    """Every caption once, shortest first."""
    order = np.argsort(np.diff(captions.offsets), kind="stable")
    for start in range(0, len(order), batch_size):
        yield collate(captions, order[start : start + batch_size], max_length)
