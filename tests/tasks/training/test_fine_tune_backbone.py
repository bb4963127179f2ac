"""A fine-tuned backbone: features are extracted again, and later stages use them and its m-RNN."""

import luigi
import numpy as np
import pytest
from PIL import Image

from model.backbones import load_backbone
from model.backbones.images import cut_crops
from model.backbones.spec import BackboneSpec
from schemas.checkpoint import read_checkpoint, read_curve
from schemas.errors import ConfigurationError
from schemas.features import FeatureFile
from schemas.io.files import digest_file
from schemas.provenance import read_provenance
from tasks.captions.generate_captions import GenerateCaptions
from tasks.cli.graph import inputs_first
from tasks.evaluation.evaluate_captions import EvaluateCaptions
from tasks.features.extract_features import ExtractFeatures
from tasks.full_pipeline import FullPipeline
from tasks.runtime.workspace import Workspace
from tasks.training.extract_tuned_features import ExtractTunedFeatures
from tasks.training.fine_tune_backbone import FineTuneBackbone
from tasks.training.refine_features import RefineFeatures
from tasks.training.train_model import TrainModel

SETTINGS = {
    "DownloadDataset": {},
    "TokenizeCaptions": {"min_count": "1"},
    "ExtractFeatures": {
        "backbone": "keras:MobileNetV2",
        "weights": "random:0",
        "input_size": "32",
        "pool": "average",
        "crop": "squash",
        "dtype": "float32",
        "shards": "2",
    },
    "TrainModel": {"embedding_size": "8", "recurrent_size": "8", "multimodal_size": "8", "epochs": "1"},
    "FineTuneBackbone": {"blocks": "2", "epochs": "2", "batch_size": "4", "patience": "9", "augmented_views": "2"},
}
OF_SHAPES = {"dataset": "shapes", "data_dir": "var"}


@pytest.fixture
def configure():
    """Set what the command line would, until the test's end."""
    configuration = luigi.configuration.get_config()
    before = {section: dict(configuration.items(section)) for section in SETTINGS if configuration.has_section(section)}

    def set_all(settings):
        for section, values in settings.items():
            if not configuration.has_section(section):
                configuration.add_section(section)
            for name, value in values.items():
                configuration.set(section, name, value)

    yield set_all
    for section in SETTINGS:
        configuration.remove_section(section)
    set_all(before)


@pytest.fixture
def dataset_dir(tmp_path):
    """Twelve plain images, whose captions name the color."""
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = ["image,caption,split"]
    for number in range(12):
        color = ("red", "green", "blue")[number % 3]
        Image.new("RGB", (20, 20), color).save(folder / f"{number}.png")
        split = {9: "val", 10: "val", 11: "test"}.get(number, "train")
        lines += [f"{number}.png,a {color} picture,{split}", f"{number}.png,it is {color},{split}"]
    (folder / "captions.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.slow("trains a backbone twice")
def test_extract_tuned_features_uses_the_fine_tuned_weights(configure, dataset_dir, run, data_dir, tmp_path):
    configure({**SETTINGS, "DownloadDataset": {"source": str(dataset_dir)}})
    refined = RefineFeatures(dataset="custom", data_dir=str(data_dir), finetune_backbone=True)
    assert run(refined)
    made_from = refined.requires()
    features, tuned = made_from["features"], made_from["model"]
    assert isinstance(features, ExtractTunedFeatures) and isinstance(tuned, FineTuneBackbone)
    at_first = tuned.requires()["features"]

    # The artifact is a checkpoint like any other, with a curve for the report.
    checkpoint = read_checkpoint(tuned.directory)
    assert checkpoint.config["feature_size"] == 1280
    assert [epoch["epoch"] for epoch in read_curve(tuned.directory)] == [1, 2]
    assert read_provenance(tuned.directory).counts["backbone_parameters"] > 400_000
    assert not (tuned.directory / "scratch").exists()

    # The Beam stage read its weights, under the key of what made them.
    assert read_provenance(features.directory).upstream["network"].key == tuned.key
    file = FeatureFile(features.directory / "features.h5")
    image_ids, extracted, description = file.image_ids, file.read(file.image_ids), file.description
    file = FeatureFile(at_first.directory / "features.h5")
    assert file.image_ids == image_ids
    assert np.abs(file.read(image_ids) - extracted).max() > 1e-3
    assert file.description.kind == description.kind
    assert file.description.weights_digest != description.weights_digest

    # Tuned once more in this process, where its network can be looked at: it sees what was extracted.
    again = tmp_path / "again"
    inputs = {name: task.directory for name, task in tuned.requires().items()}
    tuned.work(Workspace(again, inputs, lambda done, message: None))
    backbone = load_backbone(BackboneSpec("keras:MobileNetV2", "random:0", 32))
    images = np.concatenate(
        [cut_crops(Image.open(dataset_dir / f"{image_id}.png"), 32, "squash") for image_id in image_ids]
    )
    seen = backbone.features(images)
    load_backbone.cache_clear()
    np.testing.assert_allclose(seen, extracted, rtol=1e-3, atol=1e-4 * np.abs(extracted).max())
    assert digest_file(again / "vocabulary.txt") == digest_file(tuned.directory / "vocabulary.txt")


def keys(task):
    return {(stage.stage, stage.key) for stage in inputs_first(task)}


def test_fine_tuning_shares_artifacts_independent_of_the_backbone():
    frozen, tuned = (keys(FullPipeline(**OF_SHAPES, finetune_backbone=each)) for each in (False, True))
    assert {stage for stage, _ in tuned - frozen} >= {"FineTuneBackbone", "ExtractTunedFeatures", "RefineFeatures"}
    assert {stage for stage, _ in tuned & frozen} >= {"TokenizeCaptions", "ExtractFeatures", "TrainModel"}
    assert "FineTuneBackbone" not in {stage for stage, _ in frozen}
    assert not {stage for stage, _ in frozen - tuned} & {"TrainModel", "ExtractFeatures"}


def test_fine_tuning_omits_the_blind_control():
    control = {"image_input": "shuffled", "captions": "beam"}
    found = [EvaluateCaptions(**OF_SHAPES, **control, finetune_backbone=each).key for each in (False, True)]
    assert found[0] == found[1]


def test_models_with_an_image_network_each_make_no_ensemble():
    assert GenerateCaptions(**OF_SHAPES, model_seeds=[1, 2]).requires()["model_seed_2"].seed == 2
    with pytest.raises(ConfigurationError, match="cannot form an ensemble"):
        GenerateCaptions(**OF_SHAPES, model_seeds=[1], finetune_backbone=True).requires()


def test_saved_model_cannot_be_fine_tuned(configure):
    configure({"ExtractFeatures": {"backbone": "hub:some/where"}})
    ExtractFeatures.clear_instance_cache()
    with pytest.raises(ConfigurationError, match="hub:some/where is a SavedModel"):
        _ = RefineFeatures(**OF_SHAPES, finetune_backbone=True).key


def test_imported_features_cannot_be_tuned():
    with pytest.raises(ConfigurationError, match="set feature_source"):
        FineTuneBackbone(**OF_SHAPES, feature_source="import").requires()


def test_fine_tuning_starts_from_the_trained_model():
    assert FineTuneBackbone(**OF_SHAPES).requires()["model"].key == TrainModel(**OF_SHAPES).key
