"""GenerateCaptions: its parameters determine search and key."""

import numpy as np
import pytest

from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from schemas.annotations import AnnotatedImage, write_annotations
from schemas.checkpoint import write_checkpoint
from schemas.errors import ConfigurationError
from schemas.features import FeatureDescription, write_features
from schemas.hypotheses import read_hypotheses
from schemas.io.files import write_json
from schemas.provenance import FILE_NAME, Provenance
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tasks.captions.generate_captions import GenerateCaptions
from tasks.runtime.workspace import Workspace

WORDS = ["a", "dog", "cat", "runs", "sits", "here"]
IMAGES = ["one", "two", "three"]


def complete(stage, write):
    """The artifact of a stage, made by `write` and marked as complete."""
    stage.directory.mkdir(parents=True, exist_ok=True)
    write(stage.directory)
    provenance = Provenance(stage.key, stage.stage, 1, "toys", {}, {}, "", {}, {}, None, {}, "", 0.0, 0, {}, {})
    write_json(stage.directory / FILE_NAME, vars(provenance))


@pytest.fixture
def generate(data_dir):
    """Make a GenerateCaptions of those parameters, with all that it requires there."""

    def make(**parameters):
        task = GenerateCaptions(dataset="toys", data_dir=str(data_dir), batch_size=2, **parameters)
        vocabulary = Vocabulary([*SPECIAL_WORDS, *WORDS])
        network = MRNN(len(vocabulary), 4, ModelConfig("mrnn", 3, 5, 6))
        rows = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
        description = FeatureDescription("toy", "none", "0" * 64, "toys")
        writers = {
            "model": lambda directory: write_checkpoint(directory, network.save, {}, vocabulary, []),
            "features": lambda directory: write_features(directory / "features.h5", IMAGES, rows, description),
            "annotations": lambda directory: write_annotations(
                directory, [AnnotatedImage(name, f"{name}.jpg", "test", 1, 1, ("a dog",)) for name in IMAGES]
            ),
        }
        for name, stage in task.requires().items():
            complete(stage, writers[name])
        return task

    return make


def work(task):
    """Work on a stage in this process, without that of stages, which takes seconds to import TensorFlow."""
    inputs = {name: stage.directory for name, stage in task.requires().items()}
    task.work(Workspace(task.directory, inputs, lambda fraction, message: None))


def captions_of(task):
    return {image.image_id: [each.tokens for each in image.captions] for image in read_hypotheses(task.directory)}


@pytest.mark.slow("starts the process of stages")
def test_hypotheses_follow_the_parameters(generate, run):
    task = generate(
        search="n-best",
        n_best=4,
        groups=2,
        diversity=1.0,
        length_penalty=1.0,
        min_length=3,
        max_length=5,
        no_repeat_ngram=1,
        forbidden=["<pad>", "<unk>", "dog"],
    )
    assert run(task)
    found = captions_of(task)
    assert list(found) == IMAGES
    for captions in found.values():
        assert captions
        for words in captions:
            assert 3 <= len(words) == len({*words}) <= 5
            assert {*words} <= {*WORDS} - {"dog"}


def test_captions_are_drawn_under_the_same_constraints(generate):
    task = generate(search="sample", min_length=4, max_length=4, no_repeat_ngram=1)
    work(task)
    for captions in captions_of(task).values():
        assert len(captions) == task.n_best
        assert all(len(words) == len({*words}) == 4 for words in captions)


def test_unknown_forbidden_token_is_an_error(generate):
    with pytest.raises(ConfigurationError, match=r"\['doog'\] are not in the model's vocabulary"):
        work(generate(forbidden=["doog"]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"min_length": 3},
        {"forbidden": ["<pad>"]},
        {"no_repeat_ngram": 2},
        {"length_penalty": 0.5},
        {"groups": 5},
        {"diversity": 1.0},
    ],
)
def test_every_option_changes_the_key(parameters):
    assert GenerateCaptions(dataset="toys", **parameters).key != GenerateCaptions(dataset="toys").key
