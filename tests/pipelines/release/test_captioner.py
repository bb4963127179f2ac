"""The release of a captioner captions images like the pipeline, in any directory."""

import shutil

import numpy as np
import pytest

from model.text.detokenize import detokenize
from pipelines.caption_images.caption import caption_images
from pipelines.caption_images.inputs import find_images
from pipelines.data.datasets import DATASETS
from pipelines.release.captioner import write_captioner_release
from pipelines.release.layout import SUMS, read_sums, released_files
from schemas.errors import ArtifactError
from schemas.io.files import digest_file
from schemas.provenance import Upstream
from schemas.scores import CaptionScores, write_caption_scores
from tests.support.artifacts import make_artifact
from tests.support.toy_captioner import SEARCH, ToyCaptioner

COUNTS = {"parameters": 100, "captions": 16, "epochs": 3, "best_epoch": 2}
SHEET = CaptionScores(
    n=8,
    tokenizer="ptb",
    document_frequencies="dataset",
    metrics={"CIDEr-D": 0.5125, "BLEU-4": 0.25, "METEOR": 0.2},
    intervals={"CIDEr-D": [0.41, 0.62], "BLEU-4": [0.2, 0.3]},
    left_out={},
    warnings=[],
    statistics={},
    split="test",
    captions="beam",
    beam_width=3,
    reranking=None,
    image_input="own",
    perplexity=18.5,
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return ToyCaptioner(tmp_path_factory.mktemp("toy"), "lite")


@pytest.fixture
def release(toy, tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "toys", DATASETS["shapes"])
    upstream = {"features": Upstream("ExtractFeatures", toy.features.name, "00")}
    parameters = {"variant": "mrnn", "epochs": 3, "seed": 0}
    make_artifact(toy.root, "toys/TrainModel/0123456789", counts=COUNTS, parameters=parameters, upstream=upstream)
    evaluated = {"model": Upstream("TrainModel", toy.model.name, "00")}
    scores = make_artifact(toy.root, "toys/EvaluateCaptions/0123456789", upstream=evaluated)
    write_caption_scores(scores, SHEET, [], {})
    write_captioner_release(tmp_path / "release", toy.model, toy.features, scores)
    return tmp_path / "release"


def test_release_captions_images_like_the_pipeline(toy, release, tmp_path):
    moved = shutil.move(release, tmp_path / "elsewhere")
    found = caption_images(find_images([str(toy.images_dir)]), moved, search=SEARCH)
    expected = toy.in_the_pipeline()
    assert [image.captions[0].text for image in found.images] == [
        detokenize(image.captions[0].tokens) for image in expected
    ]
    np.testing.assert_allclose(
        [image.captions[0].log_prob for image in found.images],
        [image.captions[0].log_prob for image in expected],
        rtol=1e-3,
    )


def test_release_contains_no_features_and_no_captions(release):
    names = [name for name, _ in released_files(release)]
    assert names == [
        "README.md",
        "model/config.json",
        "model/model.keras",
        "model/vocabulary.txt",
        "provenance/model.json",
        "provenance/original.json",
        "release.json",
    ]
    assert read_sums(release) == {name: digest_file(path) for name, path in released_files(release)}


def test_card_states_scores_with_intervals(release):
    card = (release / "README.md").read_text()
    assert "| CIDEr-D | 0.512 | 0.410 to 0.620 |" in card
    assert "| METEOR | 0.200 |  |" in card
    assert "| perplexity | 18.50 | |" in card


def test_equal_artifacts_give_equal_bytes(toy, release, tmp_path):
    sums = (release / SUMS).read_bytes()
    scores = toy.root / "toys" / "EvaluateCaptions" / "0123456789"
    write_captioner_release(tmp_path / "again", toy.model, toy.features, scores)
    assert (tmp_path / "again" / SUMS).read_bytes() == sums


def test_mismatched_artifacts_are_refused(toy, release, tmp_path):
    other = make_artifact(tmp_path, "toys/ExtractFeatures/9999999999")
    scores = toy.root / "toys" / "EvaluateCaptions" / "0123456789"
    with pytest.raises(ArtifactError, match="9999999999 is not the artifact 0123456789"):
        write_captioner_release(tmp_path / "x", toy.model, other, scores)
