"""Tiny networks and captions."""

import numpy as np
import pytest

from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.captions import Captions


@pytest.fixture(scope="session")
def make_network():
    """Make an m-RNN that is small enough to check by hand, with weights that make its choices clear."""

    def make(seed=0, vocabulary_size=7, feature_size=4, variant="mrnn", **options):
        sizes = {"embedding_size": 3, "recurrent_size": 5, "multimodal_size": 6}
        if variant == "one-layer-emb":
            sizes["embedding_size"] = 5  # words are added to the recurrent state
        if variant == "vis-in-rnn-both-shared":
            sizes["multimodal_size"] = 5  # one matrix for both layers
        if "init" in variant:
            del sizes["multimodal_size"]
        options = {"dropout": 0.0, **options}
        network = MRNN(vocabulary_size, feature_size, ModelConfig(variant=variant, **sizes, **options), seed)
        random = np.random.default_rng(seed)
        for variable in network.trainable_variables:
            variable.assign(random.standard_normal(variable.shape))
        network.scaling.adapt(random.standard_normal(feature_size), random.uniform(0.5, 2.0, feature_size))
        return network

    return make


@pytest.fixture(scope="session")
def make_captions():
    """Make the captions of a split from lists of word ids and the number of the image of each."""

    def make(captions, image_index):
        return Captions(
            image_ids=[f"image{number}" for number in range(max(image_index) + 1)],
            tokens=np.array([word for caption in captions for word in caption], np.int32),
            offsets=np.cumsum([0, *map(len, captions)]),
            image_index=np.array(image_index, np.int32),
        )

    return make
