"""The `captions.h5` artifact: all captions of a dataset as token ids, and their images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.annotations import EVERY_SPLIT
from schemas.errors import ArtifactError
from schemas.io.files import read_json_lines
from schemas.io.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings
from schemas.vocabulary import Vocabulary


@dataclass(frozen=True)
class Captions:
    """Captions of some images. Caption c is `tokens[offsets[c]:offsets[c + 1]]`, of image `image_ids[image_index[c]]`.

    Attributes:
        image_ids: Ids of the images.
        tokens: Token ids int32 (tokens,), without start and end tokens.
        offsets: Start of each caption int64 (captions + 1,).
        image_index: Image of each caption int32 (captions,).
    """

    image_ids: list[str]
    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    image_index: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.image_index)

    def __getitem__(self, caption: int) -> NDArray[np.int32]:
        own: NDArray[np.int32] = self.tokens[self.offsets[caption] : self.offsets[caption + 1]]
        return own

    @property
    def by_image(self) -> list[NDArray[np.int64]]:
        """Caption indices int64 (captions of the image,) of each image, in the order of `image_ids`."""
        order = np.argsort(self.image_index, kind="stable")
        counts = np.bincount(self.image_index, minlength=len(self.image_ids))
        return np.split(order, np.cumsum(counts)[:-1])

    def of_images(self, keep: NDArray[np.bool_]) -> "Captions":
        """Return the captions of some images, whose indices are reassigned from 0.

        Args:
            keep: Mask of the selected images, bool (images,).
        """
        chosen = np.flatnonzero(keep[self.image_index])
        lengths = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        positions = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        new_index = (np.cumsum(keep) - 1).astype(np.int32)
        return Captions(
            image_ids=[image_id for image_id, kept in zip(self.image_ids, keep, strict=True) if kept],
            tokens=self.tokens[positions],
            offsets=offsets,
            image_index=new_index[self.image_index[chosen]],
        )


def write_captions(
    path: Path,
    vocabulary: Vocabulary,
    image_ids: Sequence[str],
    splits: Sequence[str],
    captions: Sequence[Sequence[Sequence[str]]],
) -> None:
    """Write the tokenized captions of all splits.

    Args:
        path: File to write.
        vocabulary: Vocabulary that encodes the tokens.
        image_ids: Ids of the N images.
        splits: Split of each image, N names.
        captions: Captions of each image, N lists; a caption is a list of tokens.
    """
    flat = [caption for of_image in captions for caption in of_image]
    with create_hdf5(path) as file:
        file.attrs["vocabulary_digest"] = vocabulary.digest
        offsets = np.cumsum([0] + [len(caption) for caption in flat], dtype=np.int64)
        ids = (index for caption in flat for index in vocabulary.encode(caption))
        file.create_dataset("tokens", data=np.fromiter(ids, np.int32, offsets[-1]))
        file.create_dataset("offsets", data=offsets)
        owners = np.repeat(np.arange(len(captions)), [len(of_image) for of_image in captions])
        file.create_dataset("image_index", data=owners.astype(np.int32))
        file.create_dataset("image_split", data=np.array([EVERY_SPLIT.index(split) for split in splits], np.uint8))
        write_strings(file, "image_ids", image_ids)


def read_captions(path: Path, split: str, vocabulary: Vocabulary) -> Captions:
    """Read the captions of one split.

    Args:
        path: The `captions.h5` file.
        split: Name of the split.
        vocabulary: Vocabulary that the captions were encoded with.

    Returns:
        Captions of the split, with its images only.

    Raises:
        ArtifactError: The captions were encoded with another vocabulary, or the file is damaged.
    """
    with open_hdf5(path, ("tokens", "offsets", "image_index", "image_split", "image_ids")) as file:
        if file.attrs.get("vocabulary_digest") != vocabulary.digest:
            raise ArtifactError(f"{path} was encoded with another vocabulary; run TokenizeCaptions again.")
        every = Captions(
            read_strings(file["image_ids"]), file["tokens"][()], file["offsets"][()], file["image_index"][()]
        )
        return every.of_images(file["image_split"][()] == EVERY_SPLIT.index(split))


def read_tokens(path: Path, split: str) -> dict[str, list[list[str]]]:
    """Return the tokenized captions of a split by image id, from `tokens.jsonl` of TokenizeCaptions."""
    return {record["image_id"]: record["tokens"] for record in read_json_lines(path) if record["split"] == split}
