"""`python training_on_replicas.py STRATEGY DEVICES FOLDER`: trains a tiny network, whole and with a stop.

Its last line of output is JSON: by dropout rate the costs and the scores of the whole training and of the one that was
stopped after five steps and went on.
"""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from model.mrnn.network import MRNN
from model.training import trainer as training
from model.training.distribution import make_strategy
from model.training.history import TrainingData, TrainingOptions
from model.training.trainer import Trainer, make_deterministic
from schemas.captions import Captions
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

OPTIONS = TrainingOptions(
    epochs=3,
    batch_size=6,  # of 13 captions: the last batch has one, too few for two replicas
    optimizer="adam",
    learning_rate=0.02,
    schedule="cosine",
    warmup_steps=2,
    decay_factor=0.5,
    decay_keep=0,
    decay_every=1,
    weight_decay=1e-3,
    clip_norm=0.5,
    label_smoothing=0.1,
    ema_decay=0.5,
    select_by="cider",
    patience=100,
    max_length=5,
    beam_width=2,
    seed=1,
)


class Stopped(Exception):
    """Breaks training off."""


def train(dropout: float, state: Path, stop: int = 0) -> dict:
    """Trains in the scope of a strategy; stops after so many steps if `stop`."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 7, 13)
    captions = Captions(
        [str(image) for image in range(13)],
        random.integers(3, 11, lengths.sum()).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.arange(13, dtype=np.int32),
    )
    data = TrainingData(captions, random.standard_normal((13, 6)).astype(np.float32))
    network = MRNN(11, 6, 8, 8, 8, dropout=dropout, image_dropout=dropout, seed=1)
    vocabulary = Vocabulary([*SPECIAL_WORDS, *"abcdefgh"])
    steps = 0

    def progress(done: float, message: str) -> None:
        nonlocal steps
        steps += "words/s" in message
        if steps == stop and stop:
            raise Stopped

    curve = Trainer(network, vocabulary, data, data, OPTIONS).train(state, progress)
    epochs = [dataclasses.asdict(epoch) for epoch in curve]
    names = ("cost", "train_perplexity", "val_perplexity", "val_cider")
    weights = hashlib.sha256(b"".join(weight.tobytes() for weight in network.get_weights())).hexdigest()
    return {"curve": [[epoch[name] for name in names] for epoch in epochs], "weights": weights}


def train_all(strategy: tf.distribute.Strategy, folder: Path) -> dict:
    """By dropout rate, the whole training and the one that was stopped."""
    training.SECONDS_BETWEEN_SAVES = -1.0
    told = {}
    with strategy.scope():
        for dropout in (0.0, 0.5):
            whole = train(dropout, folder / f"whole-{dropout}" / "state.h5")
            state = folder / f"stopped-{dropout}" / "state.h5"
            try:
                train(dropout, state, stop=5)
            except Stopped:
                told[str(dropout)] = {"whole": whole, "resumed": train(dropout, state)}
    return told


if __name__ == "__main__":
    name, devices, folder = sys.argv[1:]
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * int(devices))
    make_deterministic()
    print(json.dumps(train_all(make_strategy(name), Path(folder))))
