"""Batches of captions of like length: little padding, every caption once an epoch, the order fixed by a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.captions import Captions
from schemas.vocabulary import BOS, PAD

BUCKET_SIZE = 50  # batches whose captions are sorted by length together: random enough, and hardly any padding


@dataclass(frozen=True)
class Batch:
    """Captions side by side.

    inputs: int32 (B, T), `<bos>` and the words; targets: int32 (B, T), the words and `<bos>` as the end sign; both
    padded with `<pad>`. image_index: int32 (B,), rows of the feature matrix.
    """

    inputs: np.ndarray
    targets: np.ndarray
    image_index: np.ndarray

    @property
    def words(self) -> int:
        """Words to predict, end signs included."""
        return int((self.targets != PAD).sum())

    def part(self, number: int, of: int) -> "Batch":
        """The captions `number`, `number` + `of`, ...: parts of like size and length, maybe an empty one."""
        return Batch(self.inputs[number::of], self.targets[number::of], self.image_index[number::of])


def collate(captions: Captions, chosen: np.ndarray, max_length: int) -> Batch:
    """The chosen captions as one batch; longer ones are cut to `max_length` words (before the end sign)."""
    cut = [captions[caption][:max_length] for caption in chosen]
    steps = max(len(words) for words in cut) + 1
    inputs = np.full((len(cut), steps), PAD, np.int32)
    targets = np.full((len(cut), steps), PAD, np.int32)
    inputs[:, 0] = BOS
    for row, words in enumerate(cut):
        inputs[row, 1 : len(words) + 1] = words
        targets[row, : len(words)] = words
        targets[row, len(words)] = BOS
    return Batch(inputs, targets, captions.image_index[chosen].astype(np.int32))


def all_captions(by_image: Sequence[np.ndarray], images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of all captions of the images, image by image, and of each where its image stands in `images`.

    by_image: as `Captions.by_image` has it.
    """
    numbers = [by_image[image] for image in images]
    return np.concatenate(numbers), np.repeat(np.arange(len(images)), [len(each) for each in numbers])


def image_batches(images: np.ndarray, batch_size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """All images (N,) once, in random order, `batch_size` at a time."""
    order = random.permutation(images)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def training_batches(captions: Captions, batch_size: int, max_length: int, seed: int, epoch: int) -> Iterator[Batch]:
    """One epoch: every caption exactly once, in an order that depends on (seed, epoch) alone."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(captions))
    lengths = np.diff(captions.offsets)
    batches: list[np.ndarray] = []
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
