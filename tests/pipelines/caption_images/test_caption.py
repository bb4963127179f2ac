"""Pictures get the captions that the pipeline gives them, whichever the image network."""

import csv
import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from model.backbones.spec import BackboneSpec
from model.decoding.constraints import Constraints
from model.decoding.ensemble import Ensemble
from model.decoding.sampling import Sampling, sample_captions
from model.decoding.strategies import SamplingStrategy
from model.mrnn.network import MRNN
from model.reranking.neighbors import nearest
from pipelines.caption_images.caption import caption_pictures
from pipelines.caption_images.captioner import captioner_of_artifacts, captioner_of_directory
from pipelines.caption_images.inputs import find_pictures
from pipelines.caption_images.outputs import write_outcome
from pipelines.captions.reranker import Reranker, rerank
from pipelines.features.extractor import FeatureExtractor
from schemas.checkpoint import BACKBONE_WEIGHTS, write_checkpoint
from schemas.errors import ArtifactError, ConfigurationError
from schemas.hypotheses import read_hypotheses
from schemas.io.files import read_json, write_json
from schemas.neighbors import Neighbors
from schemas.provenance import Upstream
from schemas.reranking import RerankingSetting
from tests.support.artifacts import make_artifact
from tests.support.toy_captioner import NETWORKS, SEARCH, SETTING, VOCABULARY, ToyCaptioner


@pytest.fixture(scope="module", params=list(NETWORKS))
def artifacts(request, tmp_path_factory) -> ToyCaptioner:
    return ToyCaptioner(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def hub_artifacts(tmp_path_factory) -> ToyCaptioner:
    return ToyCaptioner(tmp_path_factory.mktemp("hub_alone"), "hub")


def caption(artifacts, out, captioner, setting, path=None, search=SEARCH):
    out.mkdir(exist_ok=True)
    pictures = find_pictures(str(path or artifacts.pictures))
    network = FeatureExtractor(captioner.backbone("", ""), artifacts.crop, "float16", 0)
    return pictures, caption_pictures(pictures, captioner, network, search, setting, out, lambda *_: None)


def assert_same(found, expected):
    assert [image.image_id for image in found] == [image.image_id for image in expected]
    for one, other in zip(found, expected, strict=True):
        assert [each.tokens for each in one.captions] == [each.tokens for each in other.captions]
        np.testing.assert_allclose(
            [each.log_prob for each in one.captions], [each.log_prob for each in other.captions], rtol=1e-3, atol=1e-3
        )


def test_the_captions_are_the_pipeline_s(artifacts, tmp_path):
    captioner = captioner_of_artifacts([artifacts.model], artifacts.features, artifacts.captions)
    _, counts = caption(artifacts, tmp_path / "out", captioner, setting=None)
    assert counts == {"pictures": 8, "captioned": 8, "rejected": 0}
    assert_same(list(read_hypotheses(tmp_path / "out")), artifacts.in_the_pipeline())


@pytest.mark.parametrize("kind", ["refined", "original"])
def test_the_reranked_captions_are_the_pipeline_s(hub_artifacts, tmp_path, kind):
    captioner = captioner_of_directory(hub_artifacts.model)
    setting = replace(SETTING, features=kind)
    caption(hub_artifacts, tmp_path / "out", captioner, setting)
    rows = hub_artifacts.rows
    rows = hub_artifacts.net.refine(tf.constant(rows)).numpy() if kind == "refined" else rows
    neighbors = Neighbors(
        hub_artifacts.ids, hub_artifacts.ids, *nearest(rows, rows, 8, "euclidean"), "refined", "euclidean"
    )
    generated = hub_artifacts.in_the_pipeline()
    expected = tmp_path / "expected"
    expected.mkdir()
    rerank(generated, Reranker(generated, neighbors, hub_artifacts.tokens, setting), expected, lambda done: None)
    assert_same(list(read_hypotheses(tmp_path / "out")), list(read_hypotheses(expected)))
    assert (tmp_path / "out" / "reranked.jsonl").read_text() == (expected / "reranked.jsonl").read_text()


def test_hypotheses_are_drawn_as_the_pipeline_draws_them_and_compared_with_one_another(hub_artifacts, tmp_path):
    captioner = captioner_of_directory(hub_artifacts.model)
    search = SamplingStrategy(5, Sampling(temperature=2.0), seed=3, max_length=6, constraints=Constraints(min_length=2))
    caption(hub_artifacts, tmp_path / "out", captioner, RerankingSetting("bleu"), search=search)
    rows = hub_artifacts.rows
    drawn = sample_captions(hub_artifacts.net, rows, 5, search.sampling, 3, 0, 6, search.constraints)
    expected = [sorted(tuple(VOCABULARY.decode(each.tokens)) for each in of_image) for of_image in drawn]
    found = list(read_hypotheses(tmp_path / "out"))
    assert [sorted(each.tokens for each in image.captions) for image in found] == expected
    records = [json.loads(line) for line in (tmp_path / "out" / "reranked.jsonl").read_text().splitlines()]
    assert all(record["scores"] == sorted(record["scores"], reverse=True) for record in records)
    assert not any(record["neighbors"] for record in records)


def test_several_models_are_an_ensemble(hub_artifacts, tmp_path):
    other = MRNN(len(VOCABULARY), hub_artifacts.rows.shape[1], 4, 8, 8, seed=2)
    write_checkpoint(tmp_path / "other", other.save, other.get_config(), VOCABULARY, [])
    both = [hub_artifacts.model, tmp_path / "other"]
    caption(hub_artifacts, tmp_path / "out", captioner_of_artifacts(both, hub_artifacts.features, None), None)
    expected = SEARCH(Ensemble([hub_artifacts.net, other]))(hub_artifacts.rows, 0)
    for image, of_image in zip(read_hypotheses(tmp_path / "out"), expected, strict=True):
        assert [each.tokens for each in image.captions] == [tuple(VOCABULARY.decode(each.tokens)) for each in of_image]


def test_a_tuned_image_network_is_found_beside_its_features(hub_artifacts, tmp_path):
    network = make_artifact(tmp_path, "toys/FineTuneBackbone/1234567890")
    parameters = {**hub_artifacts.parameters, "backbone": "keras:MobileNetV2", "weights": "fine-tuned"}
    upstream = {"network": Upstream("FineTuneBackbone", "1234567890", "00")}
    features = make_artifact(tmp_path, "toys/ExtractFeatures/1234567890", parameters=parameters, upstream=upstream)
    captioner = captioner_of_artifacts([hub_artifacts.model], features, None)
    assert captioner.backbone("", "").weights == str(network / BACKBONE_WEIGHTS)


def test_a_release_has_the_tuned_image_network_s_weights(tmp_path):
    release = ToyCaptioner(tmp_path, "keras").release()
    made = release / "provenance" / "original.json"
    content = read_json(made)
    write_json(made, {**content, "parameters": {**content["parameters"], "weights": "fine-tuned"}})
    weights = release / "model" / BACKBONE_WEIGHTS
    weights.touch()
    assert captioner_of_directory(release).backbone("", "") == BackboneSpec("keras:MobileNetV2", str(weights), 32)


def test_a_release_says_that_its_network_was_elsewhere_and_takes_it_from_where_it_is(hub_artifacts, tmp_path):
    captioner = captioner_of_directory(hub_artifacts.release())
    assert captioner.tokens is None
    with pytest.raises(ConfigurationError, match=r"hub:module SHA-256 00, which lay on another disk.*--backbone"):
        captioner.backbone("", "")
    assert captioner.backbone(hub_artifacts.network_name, "") == hub_artifacts.spec


def test_another_image_network_is_refused(hub_artifacts, tmp_path):
    captioner = captioner_of_artifacts([hub_artifacts.model], hub_artifacts.features, None)
    for other in (BackboneSpec(hub_artifacts.network_name, "", 9), BackboneSpec("keras:MobileNetV2", "random:1", 32)):
        with pytest.raises(ArtifactError, match=r"is not that of .*--backbone"):
            pictures = find_pictures(str(hub_artifacts.pictures))
            network = FeatureExtractor(other, "squash", "float16", 0)
            caption_pictures(pictures, captioner, network, SEARCH, None, tmp_path, lambda *_: None)


def test_a_folder_that_is_no_model_is_refused(hub_artifacts, tmp_path):
    for folder in (tmp_path, tmp_path / "absent", hub_artifacts.captions):
        with pytest.raises(ConfigurationError, match="neither a release of PublishFeatures nor an artifact"):
            captioner_of_directory(folder)
    moved = tmp_path / "moved" / "TrainModel" / "0123456789"
    shutil.copytree(hub_artifacts.model, moved)
    with pytest.raises(ArtifactError, match=r"was trained on .*ExtractFeatures/0123456789, which is gone"):
        captioner_of_directory(moved)


def test_a_model_of_imported_features_cannot_caption(hub_artifacts, tmp_path):
    imported = make_artifact(tmp_path, "toys/ImportFeatures/0123456789")
    with pytest.raises(ConfigurationError, match=r"made elsewhere \(ImportFeatures\)"):
        captioner_of_artifacts([hub_artifacts.model], imported, hub_artifacts.captions)


def test_broken_pictures_are_skipped_and_hostile_names_do_no_harm(hub_artifacts, tmp_path):
    folder = tmp_path / "<script>alert(2)<"
    folder.mkdir()
    for name in ("=1+1.png", "<img src=x onerror=alert(3)>.png", 'quote".png'):
        shutil.copy(hub_artifacts.pictures / "p0.png", folder / name)
    (folder / "<b>broken.png").write_bytes(b"not a picture")
    (folder / "empty.png").touch()
    captioner = captioner_of_artifacts([hub_artifacts.model], hub_artifacts.features, hub_artifacts.captions)
    out = tmp_path / "out"
    pictures, counts = caption(hub_artifacts, out, captioner, SETTING, path=folder)
    assert counts == {"pictures": 5, "captioned": 3, "rejected": 2}
    write_outcome(out, pictures)

    page = (out / "gallery.html").read_text()
    assert "<script" not in page and "<img src=x" not in page and "<b>" not in page
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', page)) == 3
    assert "&lt;b&gt;broken.png" in page and "not an image in a known format" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs nothing else"
    records = [json.loads(line) for line in (out / "captions.jsonl").read_text().splitlines()]
    assert [record["picture"] for record in records] == sorted(
        ["=1+1.png", "<img src=x onerror=alert(3)>.png", 'quote".png']
    )
    best = records[0]["captions"][0]
    assert best["probability"] == pytest.approx(math.exp(best["log_prob"]))
    with open(out / "captions.csv", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=1+1.png" in cells
    assert not any(cell.startswith("=") for cell in cells)


def test_if_no_picture_can_be_read_the_files_say_so(hub_artifacts, tmp_path):
    (tmp_path / "empty.png").touch()
    captioner = captioner_of_artifacts([hub_artifacts.model], hub_artifacts.features, hub_artifacts.captions)
    pictures, counts = caption(hub_artifacts, tmp_path / "out", captioner, SETTING, path=tmp_path / "empty.png")
    assert counts["captioned"] == 0
    write_outcome(tmp_path / "out", pictures)
    assert "the file is empty" in (tmp_path / "out" / "gallery.html").read_text()
    assert (tmp_path / "out" / "captions.jsonl").read_text() == ""
