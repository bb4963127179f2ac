"""A tiny m-RNN and the features of some images, as artifacts on disk."""

from pathlib import Path

import numpy as np

from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.checkpoint import write_checkpoint
from schemas.features import FeatureDescription, write_features
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

VOCABULARY = Vocabulary([*SPECIAL_WORDS, *"a dog cat runs sits on the grass mat".split()])


def write_model(directory: Path, seed: int = 0, variant: str = "mrnn") -> MRNN:
    """Write the artifact of an untrained model with large weights, and return the network."""
    network = MRNN(len(VOCABULARY), 4, ModelConfig(variant, 3, 5, 6, dropout=0.0), seed)
    random = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        variable.assign(random.standard_normal(variable.shape))
    directory.mkdir(parents=True)
    write_checkpoint(directory, network.save, network.get_config(), VOCABULARY, [])
    return network


def write_images(directory: Path, count: int) -> list[str]:
    """Write the features of a number of images, and return their ids."""
    directory.mkdir(parents=True)
    image_ids = [f"image{number}" for number in range(count)]
    rows = np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)
    write_features(directory / "features.h5", image_ids, rows, FeatureDescription("toy", "none", "0", "toys"))
    return image_ids
