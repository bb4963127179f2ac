"""Training of tiny networks on six captions, whose tokens depend on the features of their image."""

import numpy as np
import pytest

from model.mrnn.layers import mean_and_std
from model.training.config import FitConfig
from model.training.history import TrainingData
from model.training.objective import CrossEntropy
from model.training.validation import Validator
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tests.support.training import Training, configure

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "red", "blue", "dog", "cat", "bird"])
CAPTIONS = [[color, animal] for color in (3, 4) for animal in (5, 6, 7)]
FEATURES = np.array([[float(word in caption) for word in range(3, 8)] for caption in CAPTIONS], np.float32)
CONFIG = configure(
    FitConfig(),
    epochs=3,
    batch_size=6,
    learning_rate=0.02,
    decay_factor=0.5,
    patience=100,
    max_length=4,
    beam_width=2,
    seed=1,
)


@pytest.fixture(scope="session")
def make_training(make_network, make_captions):
    """Make a run that trains a network by cross-entropy on twelve captions, two for each image."""

    def make(dropout=0.0, variant="mrnn", network=None, label_smoothing=0.0, xla=False, **changes):
        config = configure(CONFIG, **changes)
        network = network or make_network(
            seed=1, vocabulary_size=8, feature_size=5, variant=variant, dropout=dropout, image_dropout=dropout
        )
        network.scaling.adapt(*mean_and_std(FEATURES))
        train = TrainingData(make_captions(2 * CAPTIONS, [*range(6), *range(6)]), FEATURES)
        val = TrainingData(make_captions(CAPTIONS, range(6)), FEATURES)
        objective = CrossEntropy(network, train, config.training, label_smoothing)
        validator = Validator(network, VOCABULARY, val, config.training.max_length, config.validation.beam_width)
        return Training(objective, validator, config, xla)

    return make
