"""The `captions.h5` artifact: every caption of a corpus as word ids, and to which image it belongs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.annotations import SPLITS
from schemas.errors import ArtifactError
from schemas.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings
from schemas.vocabulary import Vocabulary


@dataclass(frozen=True)
class Captions:
    """Captions of one split. Caption c is `tokens[offsets[c]:offsets[c + 1]]`, of image `image_ids[image_index[c]]`.

    tokens: int32 (words,), without start or end sign; offsets: int64 (captions + 1,); image_index: int32 (captions,).
    """

    image_ids: list[str]
    tokens: np.ndarray
    offsets: np.ndarray
    image_index: np.ndarray

    def __len__(self) -> int:
        return len(self.image_index)

    def __getitem__(self, caption: int) -> np.ndarray:
        words: np.ndarray = self.tokens[self.offsets[caption] : self.offsets[caption + 1]]
        return words


def write_captions(
    path: Path,
    vocabulary: Vocabulary,
    image_ids: Sequence[str],
    splits: Sequence[str],
    captions: Sequence[Sequence[Sequence[str]]],
) -> None:
    """Writes the tokenised captions of all splits; the three sequences run over the same images."""
    flat = [caption for of_image in captions for caption in of_image]
    with create_hdf5(path) as file:
        file.attrs["vocabulary_digest"] = vocabulary.digest
        ids = [index for caption in flat for index in vocabulary.encode(caption)]
        file.create_dataset("tokens", data=np.array(ids, np.int32))
        file.create_dataset("offsets", data=np.cumsum([0] + [len(caption) for caption in flat], dtype=np.int64))
        owners = np.repeat(np.arange(len(captions)), [len(of_image) for of_image in captions])
        file.create_dataset("image_index", data=owners.astype(np.int32))
        file.create_dataset("image_split", data=np.array([SPLITS.index(split) for split in splits], np.uint8))
        write_strings(file, "image_ids", image_ids)


def read_captions(path: Path, split: str, vocabulary: Vocabulary) -> Captions:
    """Reads the captions of one split.

    Raises:
        ArtifactError: the captions were encoded with another vocabulary, or the file is damaged.
    """
    with open_hdf5(path, ("tokens", "offsets", "image_index", "image_split", "image_ids")) as file:
        if file.attrs["vocabulary_digest"] != vocabulary.digest:
            raise ArtifactError(f"{path} was encoded with another vocabulary; run TokenizeCaptions again.")
        tokens, offsets, owners = file["tokens"][()], file["offsets"][()], file["image_index"][()]
        image_ids, image_split = read_strings(file["image_ids"]), file["image_split"][()]
    in_split = image_split == SPLITS.index(split)
    chosen = np.flatnonzero(in_split[owners])
    lengths = offsets[chosen + 1] - offsets[chosen]
    new_offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    positions = np.arange(new_offsets[-1]) + np.repeat(offsets[chosen] - new_offsets[:-1], lengths)
    new_index = (np.cumsum(in_split) - 1).astype(np.int32)
    return Captions(
        image_ids=[image_id for image_id, keep in zip(image_ids, in_split, strict=True) if keep],
        tokens=tokens[positions],
        offsets=new_offsets,
        image_index=new_index[owners[chosen]],
    )
