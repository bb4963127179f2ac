"""TrainSelfCritical with a real worker and process, on a TrainModel artifact written by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.captions import write_captions
from schemas.checkpoint import read_checkpoint, read_curve, write_checkpoint
from schemas.features import FeatureDescription, write_features
from schemas.io.files import write_json
from schemas.provenance import FILE_NAME, read_provenance
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tasks import FullPipeline, GenerateCaptions, RefineFeatures, TrainSelfCritical
from tasks.cli.graph import inputs_first
from tests.schemas.test_provenance import PROVENANCE

pytestmark = pytest.mark.slow("trains two models in processes of their own")

COLORS, ANIMALS = ["red", "blue"], ["dog", "cat", "bird"]
TEXTS = [["a", color, animal] for color in COLORS for animal in ANIMALS]
VOCABULARY = Vocabulary([*SPECIAL_WORDS, "a", *COLORS, *ANIMALS])
SEED = 5


def make_upstream(tuning: TrainSelfCritical) -> None:
    """Write what `tuning` requires: six images for training, the same six for validation, an untrained network."""
    from schemas.provenance import write_provenance

    required = {name: task.directory for name, task in tuning.requires().items()}
    for directory in required.values():
        directory.mkdir(parents=True)
    splits = ["train"] * len(TEXTS) + ["val"] * len(TEXTS)
    image_ids = [f"{split}{number}" for number, split in enumerate(splits)]
    VOCABULARY.write(required["captions"] / "vocabulary.txt")
    captions = [[words, words] for words in 2 * TEXTS]
    write_captions(required["captions"] / "captions.h5", VOCABULARY, image_ids, splits, captions)
    features = np.array([[float(word in words) for word in COLORS + ANIMALS] for words in 2 * TEXTS], np.float32)
    description = FeatureDescription("toy", "none", "00", "shapes")
    write_features(required["features"] / "features.h5", image_ids, features, description)
    _write_network(required["model"])
    for directory in required.values():
        write_provenance(directory, replace(PROVENANCE, files={}, upstream={}))


def _write_network(directory: Path) -> None:
    from model.mrnn.config import ModelConfig
    from model.mrnn.network import MRNN

    network = MRNN(len(VOCABULARY), 5, ModelConfig("mrnn", 8, 16, 16, dropout=0.0), SEED)
    write_checkpoint(directory, network.save, network.get_config(), VOCABULARY, [])


def tune(data_dir: Path, **parameters) -> TrainSelfCritical:
    values = {"epochs": 3, "samples": 3, "batch_size": 2, "learning_rate": 0.01, "max_length": 5, **parameters}
    return TrainSelfCritical(dataset="shapes", data_dir=str(data_dir), **values)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two runs of the same task in two places."""
    import luigi

    tunings = []
    for place in ("one", "other"):
        TrainSelfCritical.clear_instance_cache()
        tuning = tune(tmp_path_factory.mktemp(place))
        make_upstream(tuning)
        assert luigi.build([tuning], local_scheduler=True, log_level="WARNING")
        tunings.append(tuning)
    return tunings


def test_self_critical_checkpoint_matches_that_of_training(ran):
    tuning, _ = ran
    checkpoint = read_checkpoint(tuning.directory)
    trained = read_checkpoint(tuning.requires()["model"].directory)
    assert checkpoint.config == trained.config
    assert checkpoint.vocabulary.words == VOCABULARY.words
    assert checkpoint.network.read_bytes() != trained.network.read_bytes()
    curve = read_curve(tuning.directory)
    assert [epoch["epoch"] for epoch in curve] == [1, 2, 3]
    assert curve[-1]["loss"] < curve[0]["loss"] < 0  # minus the mean reward
    counts = read_provenance(tuning.directory).counts
    assert counts["captions"] == 2 * len(TEXTS)
    assert counts["val_cider"] == max(round(epoch["val_cider"], 4) for epoch in curve)


def test_same_seed_gives_the_same_bytes(ran):
    one, other = (read_provenance(tuning.directory) for tuning in ran)
    assert one.key == other.key
    assert one.digest == other.digest
    assert set(one.files) == {"model.keras", "config.json", "vocabulary.txt"}


def test_bleu_reward_and_reference_loss_are_optional(ran, data_dir, run):
    tuning = tune(data_dir, bleu=3.0, likelihood=0.5)
    make_upstream(tuning)
    assert run(tuning)
    one, other = (read_curve(each.directory) for each in (ran[0], tuning))
    assert other[0]["loss"] < one[0]["loss"]  # minus the mean reward, of which BLEU is a part
    assert other[-1]["val_perplexity"] < one[-1]["val_perplexity"]


def test_damaged_model_leaves_nothing_partial(data_dir, run):
    tuning = tune(data_dir)
    make_upstream(tuning)
    write_json(tuning.requires()["model"].directory / "config.json", {"vocabulary_digest": "another"})
    assert not run(tuning)
    assert not (tuning.directory / FILE_NAME).exists()
    assert "is not the vocabulary that this model was trained with" in tuning.directory.with_suffix(".log").read_text()


def stages_of(task):
    return {each.stage for each in inputs_first(task)}


def test_self_critical_model_is_used_only_on_request(data_dir):
    where = {"dataset": "shapes", "data_dir": str(data_dir)}
    assert "TrainSelfCritical" not in stages_of(FullPipeline(**where))
    tuned = FullPipeline(**where, self_critical=True)
    for task in inputs_first(tuned):
        models = [
            required.stage
            for required in task.requires().values()
            if required.stage in ("TrainModel", "TrainSelfCritical")
        ]
        assert set(models) <= ({"TrainModel"} if task.stage == "TrainSelfCritical" else {"TrainSelfCritical"}), (
            task.stage
        )
    refined = [RefineFeatures(**where, self_critical=use).key for use in (False, True)]
    assert refined[0] != refined[1]


def test_models_of_an_ensemble_are_tuned_each_from_its_own(data_dir):
    task = GenerateCaptions(dataset="shapes", data_dir=str(data_dir), self_critical=True, model_seeds=(2, 3))
    first, second = (task.requires()[name] for name in ("model_seed_2", "model_seed_3"))
    assert (first.stage, second.stage) == ("TrainSelfCritical", "TrainSelfCritical")
    assert [each.requires()["model"].seed for each in (first, second)] == [2, 3]


def test_blind_model_stays_blind(data_dir):
    task = GenerateCaptions(dataset="shapes", data_dir=str(data_dir), self_critical=True, image_input="shuffled")
    tuning = task.requires()["model"]
    assert tuning.image_input == tuning.requires()["model"].image_input == "shuffled"
