"""Captions and features side by side: what training and evaluation read of a split."""

from pathlib import Path

import numpy as np

from model.training import TrainingData
from schemas.captions import read_captions
from schemas.features import FeatureFile
from schemas.vocabulary import Vocabulary


def read_training_data(
    captions_artifact: Path, features_artifact: Path, split: str, shuffle_seed: int | None = None
) -> TrainingData:
    """Captions of the split's images that have features, and these features (images, D).

    With `shuffle_seed`, the images' features are permuted among them: what an image-blind model is trained on.
    """
    vocabulary = Vocabulary.read(captions_artifact / "vocabulary.txt")
    captions = read_captions(captions_artifact / "captions.h5", split, vocabulary)
    with FeatureFile(features_artifact / "features.h5") as features:
        captions = captions.of_images(np.array([image_id in features for image_id in captions.image_ids], bool))
        rows = features.read(captions.image_ids)
    if shuffle_seed is not None:
        rows = rows[np.random.default_rng(shuffle_seed).permutation(len(rows))]
    return TrainingData(captions, rows)
