"""Captions of arbitrary images are those of the pipeline, for every kind of backbone."""

import csv
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

import pipelines.caption_images.caption as module
from model.backbones.spec import BackboneSpec
from model.decoding.constraints import Constraints
from model.decoding.ensemble import Ensemble
from model.decoding.sampling import Sampling, sample_captions
from model.decoding.strategies import SamplingStrategy
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from model.reranking.neighbors import nearest
from model.text.detokenize import detokenize
from pipelines.caption_images.caption import CaptionedImages, caption_images
from pipelines.caption_images.captioner import Captioner, captioner_of_artifacts, find_captioner
from pipelines.caption_images.inputs import find_images
from pipelines.caption_images.outputs import read_outputs, write_outputs
from pipelines.captions.reranker import Reranker
from schemas.checkpoint import BACKBONE_WEIGHTS, write_checkpoint
from schemas.errors import ArtifactError, ConfigurationError
from schemas.io.files import read_json, write_json
from schemas.neighbors import Neighbors
from schemas.provenance import Upstream
from schemas.reranking import RerankingSetting
from tests.support.artifacts import make_artifact
from tests.support.toy_captioner import SEARCH, SETTING, VOCABULARY, ToyCaptioner


@pytest.fixture(scope="module")
def make_artifacts(tmp_path_factory) -> Callable[[str], ToyCaptioner]:
    """Make the artifacts of one kind of backbone, once for all tests."""
    return cache(lambda kind: ToyCaptioner(tmp_path_factory.mktemp(kind), kind))


@pytest.fixture(params=["keras", "hub", pytest.param("alexnet", marks=pytest.mark.slow("draws 20 million weights"))])
def artifacts(request, make_artifacts) -> ToyCaptioner:
    return make_artifacts(request.param)


@pytest.fixture
def hub_artifacts(make_artifacts) -> ToyCaptioner:
    return make_artifacts("hub")


def caption(artifacts, captioner: Captioner, setting=None, path=None, search=SEARCH) -> CaptionedImages:
    return caption_images(find_images([str(path or artifacts.images_dir)]), captioner, search=search, reranking=setting)


def assert_same(found: CaptionedImages, expected) -> None:
    assert [image.image_id for image in found.images] == [image.image_id for image in expected]
    for one, other in zip(found.images, expected, strict=True):
        assert [each.text for each in one.captions] == [detokenize(each.tokens) for each in other.captions]
        np.testing.assert_allclose(
            [each.log_prob for each in one.captions], [each.log_prob for each in other.captions], rtol=1e-3, atol=1e-3
        )


def test_caption_images_returns_the_captions_of_the_pipeline(artifacts):
    captioner = captioner_of_artifacts([artifacts.model], artifacts.features, artifacts.captions)
    found = caption(artifacts, captioner)
    assert_same(found, artifacts.in_the_pipeline())
    assert not found.rejects
    assert found.images[0].captions[0].consensus is None


def test_many_images_are_captioned_as_few_are(hub_artifacts, monkeypatch):
    captioner = find_captioner(hub_artifacts.model)
    eager = caption(hub_artifacts, captioner)
    monkeypatch.setattr(module, "EAGER_IMAGES", 7)
    assert_same(caption(hub_artifacts, captioner), hub_artifacts.in_the_pipeline())
    assert [image.image_id for image in eager.images] == hub_artifacts.ids
    assert not tf.config.functions_run_eagerly()


@pytest.mark.parametrize("kind", ["refined", "original"])
def test_reranking_is_that_of_the_pipeline(hub_artifacts, kind):
    setting = replace(SETTING, features=kind)
    found = caption(hub_artifacts, find_captioner(hub_artifacts.model), setting)
    rows = hub_artifacts.rows
    rows = hub_artifacts.net.refine(tf.constant(rows)).numpy() if kind == "refined" else rows
    neighbors = Neighbors(
        hub_artifacts.ids, hub_artifacts.ids, *nearest(rows, rows, 8, "euclidean"), "refined", "euclidean"
    )
    generated = hub_artifacts.in_the_pipeline()
    expected = [*map(Reranker(generated, neighbors, hub_artifacts.tokens, setting), generated)]
    assert_same(found, [each.image for each in expected])
    assert [[one.consensus for one in image.captions] for image in found.images] == [each.scores for each in expected]
    assert [list(image.neighbors) for image in found.images] == [each.neighbors for each in expected]


def test_samples_are_those_of_the_pipeline_and_compared_with_one_another(hub_artifacts):
    captioner = find_captioner(hub_artifacts.model)
    search = SamplingStrategy(5, Sampling(temperature=2.0), seed=3, max_length=6, constraints=Constraints(min_length=2))
    found = caption(hub_artifacts, captioner, RerankingSetting("bleu"), search=search)
    rows = hub_artifacts.rows
    drawn = sample_captions(hub_artifacts.net, rows, 5, search.sampling, 3, 0, 6, search.constraints)
    expected = [sorted(detokenize(VOCABULARY.decode(each.tokens)) for each in of_image) for of_image in drawn]
    assert [sorted(each.text for each in image.captions) for image in found.images] == expected
    for image in found.images:
        scores = [each.consensus for each in image.captions]
        assert scores == sorted(scores, reverse=True)
        assert not image.neighbors


def test_several_models_are_an_ensemble(hub_artifacts, tmp_path):
    other = MRNN(len(VOCABULARY), hub_artifacts.rows.shape[1], ModelConfig("mrnn", 4, 8, 8), seed=2)
    write_checkpoint(tmp_path / "other", other.save, other.get_config(), VOCABULARY, [])
    both = [hub_artifacts.model, tmp_path / "other"]
    found = caption(hub_artifacts, captioner_of_artifacts(both, hub_artifacts.features, None))
    expected = SEARCH(Ensemble([hub_artifacts.net, other]))(hub_artifacts.rows, 0)
    for image, of_image in zip(found.images, expected, strict=True):
        assert [each.text for each in image.captions] == [
            detokenize(VOCABULARY.decode(each.tokens)) for each in of_image
        ]


def test_fine_tuned_backbone_is_found_among_the_artifacts(hub_artifacts, tmp_path):
    network = make_artifact(tmp_path, "toys/FineTuneBackbone/1234567890")
    parameters = {**hub_artifacts.parameters, "backbone": "keras:MobileNetV2", "weights": "fine-tuned"}
    upstream = {"network": Upstream("FineTuneBackbone", "1234567890", "00")}
    features = make_artifact(tmp_path, "toys/ExtractFeatures/1234567890", parameters=parameters, upstream=upstream)
    shutil.copy(hub_artifacts.features / "features.h5", features)
    captioner = captioner_of_artifacts([hub_artifacts.model], features, None)
    assert captioner.backbone_spec().weights == str(network / BACKBONE_WEIGHTS)


def test_release_contains_the_weights_of_a_fine_tuned_backbone(make_artifacts):
    release = make_artifacts("keras").release()
    made = release / "provenance" / "original.json"
    content = read_json(made)
    write_json(made, {**content, "parameters": {**content["parameters"], "weights": "fine-tuned"}})
    weights = release / "model" / BACKBONE_WEIGHTS
    weights.touch()
    assert find_captioner(release).backbone_spec() == BackboneSpec("keras:MobileNet", str(weights), 32)


def test_release_asks_for_a_backbone_that_was_a_path(hub_artifacts):
    captioner = find_captioner(hub_artifacts.release())
    assert captioner.tokens is None
    with pytest.raises(ConfigurationError, match=r"hub:module SHA-256 00, whose path is not part of.*--backbone"):
        captioner.backbone_spec()
    assert captioner.backbone_spec(hub_artifacts.network_name) == hub_artifacts.spec


def test_another_backbone_is_refused(hub_artifacts):
    captioner = captioner_of_artifacts([hub_artifacts.model], hub_artifacts.features, None)
    images = find_images([str(hub_artifacts.images_dir)])
    with pytest.raises(ArtifactError, match=r"is not the one of .*--backbone"):
        caption_images(images, captioner, backbone="efficientnet-lite2", weights="imagenet")


@pytest.fixture(scope="module")
def lean_import():
    """What a new process prints that imports the captioning and then uses all of TensorFlow and Keras: its lines."""
    unused = {"IPython", "apache_beam", "dill", "luigi", "matplotlib", "nltk", "pandas", "pycocoevalcap", "scipy"}
    unused |= {"tensorflow_hub", "tensorflow.lite.python.lite", "tensorflow.python.feature_column.feature_column_v2"}
    code = f"""
import gc, sys
import pipelines.caption_images.caption
print(*{unused!r} & sys.modules.keys())
from model.lean_keras import keras, tf
assert gc.isenabled() and "lean_keras" not in repr(sys.meta_path)
print(tf.compat.v1.nn.relu([-1.0, 2.0]).numpy(), tf.image.rot90(tf.zeros((2, 3, 1))).shape)
print(tf.signal.rfft([1.0]).numpy())
print(next(iter(tf.data.Dataset.range(3).batch(3))).numpy(), tf.saved_model.load.__name__)
print(keras.Sequential([keras.layers.Dense(1)])(tf.zeros((1, 2))).shape, tf.lite.TFLiteConverter.__name__)
import pandas
print(pandas.Series([1]).sum())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def test_captioning_loads_neither_beam_nor_plotting_nor_all_of_tensorflow(lean_import):
    """Unneeded packages would double the start-up time; Keras itself loads Matplotlib and pandas if it can."""
    assert lean_import[0] == ""


def test_tensorflow_and_keras_are_complete_after_lean_import(lean_import):
    assert lean_import[1:] == ["[0. 2.] (3, 2, 1)", "[1.+0.j]", "[0 1 2] load", "(1, 1) TFLiteConverterV2", "1"]


def test_directory_without_a_model_is_refused(hub_artifacts, tmp_path):
    for folder in (tmp_path, tmp_path / "absent", hub_artifacts.captions):
        with pytest.raises(ConfigurationError, match="neither a release of PublishFeatures nor an artifact"):
            find_captioner(folder)
    moved = tmp_path / "moved" / "TrainModel" / "0123456789"
    shutil.copytree(hub_artifacts.model, moved)
    with pytest.raises(ArtifactError, match=r"was trained on .*ExtractFeatures/0123456789, which is missing"):
        find_captioner(moved)


def test_model_of_imported_features_cannot_caption(hub_artifacts, tmp_path):
    imported = make_artifact(tmp_path, "toys/ImportFeatures/0123456789")
    with pytest.raises(ConfigurationError, match="was trained on features from ImportFeatures"):
        captioner_of_artifacts([hub_artifacts.model], imported, hub_artifacts.captions)


def test_broken_images_are_skipped_and_hostile_names_do_no_harm(hub_artifacts, tmp_path):
    folder = tmp_path / "<script>alert(2)<"
    folder.mkdir()
    for name in ("=1+1.png", "<img src=x onerror=alert(3)>.png", 'quote".png'):
        shutil.copy(hub_artifacts.images_dir / "p0.png", folder / name)
    (folder / "<b>broken.png").write_bytes(b"not an image")
    (folder / "empty.png").touch()
    captioner = captioner_of_artifacts([hub_artifacts.model], hub_artifacts.features, hub_artifacts.captions)
    out = tmp_path / "out"
    out.mkdir()
    images = find_images([str(folder)])
    captioned = caption_images(images, captioner, search=SEARCH, reranking=SETTING)
    assert (len(captioned.images), len(captioned.rejects)) == (3, 2)
    write_outputs(out, captioned, images)
    assert read_outputs(out) == captioned

    page = (out / "gallery.html").read_text()
    assert "<script" not in page and "<img src=x" not in page and "<b>" not in page
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', page)) == 3
    assert "&lt;b&gt;broken.png" in page and "not an image in a known format" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs nothing else"
    records = [json.loads(line) for line in (out / "captions.jsonl").read_text().splitlines()]
    assert [record["image"] for record in records] == sorted(
        ["=1+1.png", "<img src=x onerror=alert(3)>.png", 'quote".png']
    )
    best = records[0]["captions"][0]
    assert best["probability"] == pytest.approx(math.exp(best["log_prob"]))
    with open(out / "captions.csv", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=1+1.png" in cells
    assert not any(cell.startswith("=") for cell in cells)


def test_outputs_without_a_readable_image_list_the_rejects(hub_artifacts, tmp_path):
    (tmp_path / "empty.png").touch()
    images = find_images([str(tmp_path / "empty.png")])
    captioned = caption_images(images, find_captioner(hub_artifacts.model), search=SEARCH, reranking=SETTING)
    assert not captioned.images
    write_outputs(tmp_path, captioned, images)
    assert "the file is empty" in (tmp_path / "gallery.html").read_text()
    assert (tmp_path / "captions.jsonl").read_text() == ""
