"""Explanations of captions: they are those of `caption_images`, and their parts agree with it."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from pipelines.caption_images.caption import caption_images
from pipelines.caption_images.captioner import find_captioner
from pipelines.caption_images.explain import END, NEIGHBORS, Explainer, find_training_images
from pipelines.caption_images.inputs import find_images
from schemas.errors import InputError
from tests.support.toy_captioner import SEARCH, ToyCaptioner


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> ToyCaptioner:
    return ToyCaptioner(tmp_path_factory.mktemp("toys"), "hub")


@pytest.fixture(scope="module")
def explainer(artifacts) -> Explainer:
    return Explainer(find_captioner(artifacts.model), SEARCH)


@pytest.mark.parametrize("number", [0, 5])
def test_explain_returns_the_captions_of_caption_images(artifacts, explainer, number):
    path = artifacts.images_dir / artifacts.ids[number]
    (expected,) = caption_images(find_images([str(path)]), find_captioner(artifacts.model), search=SEARCH).images
    explanation = explainer.explain(path)
    assert [each.text for each in explanation.captions] == [each.text for each in expected.captions]


def test_token_probabilities_multiply_to_the_probability_of_the_caption(artifacts, explainer):
    ends = []
    patient = Explainer(find_captioner(artifacts.model), replace(SEARCH, max_length=10))
    for each in (explainer, patient):
        for image_id in artifacts.ids[:3]:
            explanation = each.explain(artifacts.images_dir / image_id)
            ends.append(explanation.tokens[-1].text == END)
            probability = math.prod(each.probability for each in explanation.tokens)
            assert probability == pytest.approx(explanation.captions[0].probability, rel=1e-3)
    assert any(ends) and not all(ends), "captions with an end token and truncated ones"


@pytest.mark.parametrize("kind", ["original", "refined"])
def test_neighbors_are_the_nearest_training_images(artifacts, explainer, kind):
    rows = artifacts.rows if kind == "original" else artifacts.net.refine(tf.constant(artifacts.rows)).numpy()
    distances = np.linalg.norm(rows.astype(np.float64) - rows[3], axis=1)
    neighbors = explainer.explain(artifacts.images_dir / artifacts.ids[3]).neighbors[kind]
    found = [artifacts.ids.index(each.image.image_id) for each in neighbors]
    assert len(set(found)) == NEIGHBORS
    np.testing.assert_allclose(distances[found], np.sort(distances)[:NEIGHBORS], atol=1e-3)
    np.testing.assert_allclose([each.distance for each in neighbors], distances[found], atol=1e-3)


def test_release_has_no_training_images(artifacts):
    assert find_training_images(find_captioner(artifacts.model)) is not None
    assert find_training_images(find_captioner(artifacts.release())) is None


def test_missing_dataset_leaves_out_the_neighbors(artifacts, tmp_path):
    shutil.copytree(artifacts.root / "toys", tmp_path / "toys")
    shutil.rmtree(tmp_path / "toys" / "DownloadDataset")
    captioner = find_captioner(tmp_path / "toys" / "TrainModel" / "0123456789")
    explanation = Explainer(captioner, SEARCH).explain(artifacts.images_dir / artifacts.ids[0])
    assert explanation.captions and not explanation.neighbors


def test_unreadable_image_is_one_sentence(explainer, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(
        InputError, match=r"^broken.jpg cannot be captioned: the file is not an image in a known format"
    ):
        explainer.explain(tmp_path / "broken.jpg")
