"""Captions and features side by side: what training and evaluation read of a split."""

from pathlib import Path

import numpy as np

from model.training.history import TrainingData
from schemas.captions import read_captions
from schemas.errors import InputError
from schemas.features import FeatureFile
from schemas.vocabulary import Vocabulary


def read_training_data(
    captions_artifact: Path, features_artifact: Path, split: str, shuffle_seed: int | None = None
) -> TrainingData:
    """Captions of the split's images that have features, and these features (images, D), left on disk.

    With `shuffle_seed`, the images' features are permuted among them: what an image-blind model is trained on.

    Raises:
        InputError: the split has no captions.
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
