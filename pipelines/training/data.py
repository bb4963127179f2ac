"""Captions and features of a split, which training and evaluation read together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.training.history import TrainingData
from schemas.captions import read_captions
from schemas.errors import InputError
from schemas.features import FeatureFile
from schemas.vocabulary import Vocabulary


@dataclass(frozen=True)
class TrainingInputs:
    """Artifacts that training reads.

    Attributes:
        captions: Artifact of TokenizeCaptions.
        features: Artifact with `features.h5`.
        shuffled: Whether each image gets the features of another, for the image-blind control.
    """

    captions: Path
    features: Path
    shuffled: bool = False

    def read(self, seed: int) -> tuple[TrainingData, TrainingData]:
        """Read the splits train and val; `seed` is that of the permutation if features are shuffled."""
        shuffle_seed = seed if self.shuffled else None
        train, val = (
            read_training_data(self.captions, self.features, split, shuffle_seed) for split in ("train", "val")
        )
        return train, val


def read_training_data(
    captions_artifact: Path, features_artifact: Path, split: str, shuffle_seed: int | None = None
) -> TrainingData:
    """Read the captions of the split's images that have features; the features stay on disk.

    Args:
        captions_artifact: Artifact of TokenizeCaptions.
        features_artifact: Artifact with `features.h5`.
        split: Name of the split.
        shuffle_seed: Seed of a permutation of the features among the images; None keeps them.

    Raises:
        InputError: The split has no captions.
    """
    vocabulary = Vocabulary.read(captions_artifact / "vocabulary.txt")
    captions = read_captions(captions_artifact / "captions.h5", split, vocabulary)
    if not len(captions):
        raise InputError(f"{captions_artifact} has no captions in the split {split!r}; choose train, val or test.")
    features = FeatureFile(features_artifact / "features.h5")
    captions = captions.of_images(np.array([image_id in features for image_id in captions.image_ids], bool))
    owners = captions.image_ids
    if shuffle_seed is not None:
        owners = [owners[row] for row in np.random.default_rng(shuffle_seed).permutation(len(owners))]
    return TrainingData(captions, features.rows(owners))
