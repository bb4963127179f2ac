"""Batches of captions of similar length, with little padding, in an order that depends on a seed."""

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
        """Return captions `index`, `index` + `count`, ..., which may be none.

        Args:
            index: Index of the shard.
            count: Number of shards, which have similar sizes and lengths.
        """
        return Batch(self.inputs[index::count], self.targets[index::count], self.image_index[index::count])


def collate(captions: Captions, chosen: NDArray[np.int64], max_length: int) -> Batch:
    """Collate captions to a padded batch.

    Args:
        captions: All captions.
        chosen: Caption indices int64 (B,).
        max_length: Maximum number of tokens, without the end token; longer captions are truncated.
    """
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
    """Collect all captions of some images, image by image.

    Args:
        by_image: Caption indices of each image, see `Captions.by_image`.
        images: Image indices (B,).

    Returns:
        Caption indices int64 (C,), and for each the position of its image in `images`, int64 (C,).
    """
    chosen = [by_image[image] for image in images]
    return np.concatenate(chosen), np.repeat(np.arange(len(images)), [len(each) for each in chosen])


def image_batches(
    images: NDArray[np.integer], batch_size: int, random: np.random.Generator
) -> Iterator[NDArray[np.integer]]:
    """Yield batches of images, every image once, in random order.

    Args:
        images: Image indices (N,).
        batch_size: Number of images per batch.
        random: Generator of the order.
    """
    order = random.permutation(images)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def training_batches(captions: Captions, batch_size: int, max_length: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Yield the batches of one epoch, every caption once, in an order that depends on seed and epoch alone.

    Args:
        captions: Captions of the training split.
        batch_size: Number of captions per batch.
        max_length: Maximum number of tokens, without the end token.
        seed: Seed of the order.
        epoch: Number of the epoch, from 0.
    """
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
    """Yield batches of all captions, every caption once, shortest first.

    Args:
        captions: Captions of a split.
        batch_size: Number of captions per batch.
        max_length: Maximum number of tokens, without the end token.
    """
    order = np.argsort(np.diff(captions.offsets), kind="stable")
    for start in range(0, len(order), batch_size):
        yield collate(captions, order[start : start + batch_size], max_length)
