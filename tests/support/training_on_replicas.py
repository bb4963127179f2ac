"""Training of a tiny network in the scope of a strategy, undisturbed and resumed."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from model.mrnn.config import ModelConfig
from model.mrnn.layers import mean_and_std
from model.mrnn.network import MRNN
from model.training import callbacks
from model.training.callbacks import Callback
from model.training.config import FitConfig
from model.training.distribution import make_strategy
from model.training.history import TrainingData
from model.training.objective import CrossEntropy
from model.training.trainer import make_deterministic
from model.training.validation import Validator
from schemas.captions import Captions
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tests.support.training import KeepState, Training, WeightsValidator, configure

CONFIG = configure(
    FitConfig(),
    epochs=2,
    batch_size=6,  # of 13 captions: the last batch has one, too few for two replicas
    learning_rate=0.02,
    warmup_steps=2,
    weight_decay=1e-3,
    clip_norm=0.5,
    ema_decay=0.5,
    patience=100,
    max_length=5,
    beam_width=2,
    seed=1,
)


def train(
    dropout: float,
    state: Path,
    before: Sequence[Callback] = (),
    validate: bool = False,
    optimizer: str = "adam",
) -> dict:
    """Train in the scope of a strategy, with real validation if asked for, and with callbacks before the others."""
    random = np.random.default_rng(0)
    lengths = np.where(np.arange(13) % 2, random.integers(1, 7, 13), 6)  # nearly all batches have one shape
    captions = Captions(
        [str(image) for image in range(13)],
        random.integers(3, 11, lengths.sum()).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.arange(13, dtype=np.int32),
    )
    data = TrainingData(captions, random.standard_normal((13, 6)).astype(np.float32))
    network = MRNN(11, 6, ModelConfig("mrnn", 8, 8, 8, dropout, image_dropout=dropout), seed=1)
    vocabulary = Vocabulary([*SPECIAL_WORDS, *"abcdefgh"])
    network.scaling.adapt(*mean_and_std(data.features))
    config = configure(CONFIG, optimizer=optimizer)
    objective = CrossEntropy(network, data, config.training, label_smoothing=0.1)
    real = Validator(network, vocabulary, data, max_length=5, beam_width=2)
    training = Training(objective, real if validate else WeightsValidator(network, data), config)
    curve = training.run(state, before=before)
    epochs = [dataclasses.asdict(epoch) for epoch in curve]
    names = ("loss", "train_perplexity", "val_perplexity", "val_cider")
    weights = hashlib.sha256(b"".join(weight.tobytes() for weight in network.get_weights())).hexdigest()
    return {"curve": [[epoch[name] for name in names] for epoch in epochs], "weights": weights}


def train_undisturbed(directory: Path) -> dict:
    """Two runs without dropout.

    Adam hardly depends on the size of gradients; stochastic gradient descent does.
    """
    return {
        "plain": train(0.0, directory / "plain" / "state.h5", validate=True),
        "sgd": train(0.0, directory / "sgd" / "state.h5", optimizer="sgd"),
    }


def train_all(strategy: str, devices: int, directory: Path, results: Path) -> None:
    """Also one run with dropout, and one that resumes from a step of it; in a process of its own.

    Args:
        strategy: Name of the strategy.
        devices: Number of logical devices of this process.
        directory: Directory of the checkpoints.
        results: File that receives the curve and the weights of each run, as JSON.
    """
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * devices)
    make_deterministic()
    callbacks.SECONDS_BETWEEN_SAVES = -1.0
    with make_strategy(strategy).scope():
        found = train_undisturbed(directory)
        state, kept = (directory / name / "state.h5" for name in ("undisturbed", "resumed"))
        found["undisturbed"] = train(0.5, state, [KeepState(5, state, kept)])
        found["resumed"] = train(0.5, kept)
    results.write_text(json.dumps(found))
