"""Workers that train one m-RNN together, here processes with one data directory."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from schemas.captions import write_captions
from schemas.features import FeatureDescription, write_features
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tasks.configuration import load_configuration
from tasks.training.train_model import TrainModel
from tests.support.artifacts import make_artifact

PARAMETERS = {
    "dataset": "shapes",
    "strategy": "multi-worker",
    "embedding_size": 8,
    "recurrent_size": 8,
    "multimodal_size": 8,
    "epochs": 2,
    "batch_size": 4,
}
PROGRAM = """
import json, sys
from tasks.configuration import load_configuration
from tasks.training.train_model import TrainModel
load_configuration()
TrainModel(**json.loads(sys.argv[1])).run()
"""


def make_task(parameters: dict) -> TrainModel:
    """TrainModel with the configuration that its hosts load."""
    load_configuration()
    return TrainModel(**parameters)


def make_upstream(required):
    """Ten images with two captions each, two of them to validate."""
    ids, random = [str(image) for image in range(10)], np.random.default_rng(0)
    features, captions = required["features"], required["captions"]
    description = FeatureDescription("kind", "none", "0", "shapes")
    write_features(features.directory / "features.h5", ids, random.random((10, 5)).astype(np.float32), description)
    vocabulary = Vocabulary([*SPECIAL_WORDS, "red", "dog"])
    vocabulary.write(captions.directory / "vocabulary.txt")
    splits = ["val"] * 2 + ["train"] * 8
    texts = [[["red", "dog"], ["dog"]]] * 10
    write_captions(captions.directory / "captions.h5", vocabulary, ids, splits, texts)
    for stage in (features, captions):
        make_artifact(Path(stage.data_dir), f"{stage.dataset}/{stage.stage}/{stage.key}", version=stage.version)


def start_hosts(parameters: dict, output: int | None = None) -> list[subprocess.Popen]:
    """Start two workers, the first of which is the chief, each in a process group of its own."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        hosts = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(parameters)],
            env={
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}),
            },
            stderr=output,
            text=True,
            start_new_session=True,
        )
        for index in range(2)
    ]
