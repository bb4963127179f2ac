"""Protocols of retrieval, and interrupted runs."""

import numpy as np
import pytest

from model.metrics import pair_likelihoods
from model.metrics.pair_likelihoods import log_likelihoods
from pipelines.evaluation import evaluate_retrieval as retrieve
from schemas.captions import write_captions
from schemas.errors import ConfigurationError
from schemas.features import FeatureFile
from tests.support.tiny_model import VOCABULARY, write_images, write_model

IMAGES, TRAINING = 11, 6


@pytest.fixture(params=["mrnn"])
def artifacts(tmp_path, monkeypatch, request):
    """Parts of two images; the last six of all images are for training. No sentence comes twice."""
    monkeypatch.setattr(retrieve, "PART", 2)
    monkeypatch.setattr(pair_likelihoods, "SHORTEST", 2)
    network = write_model(tmp_path / "model", variant=request.param)
    image_ids = write_images(tmp_path / "features", IMAGES + TRAINING)
    random = np.random.default_rng(0)
    captions = [
        [list(map(str, random.choice(VOCABULARY.words[3:], random.integers(5, 8)))) for _ in range(2)]
        for _ in image_ids
    ]
    (tmp_path / "captions").mkdir()
    VOCABULARY.write(tmp_path / "captions" / "vocabulary.txt")
    splits = ["test"] * IMAGES + ["train"] * TRAINING
    write_captions(tmp_path / "captions" / "captions.h5", VOCABULARY, image_ids, splits, captions)
    features = FeatureFile(tmp_path / "features" / "features.h5")
    return network, captions, features.read(image_ids)


def evaluate(root, protocol):
    return retrieve.evaluate_retrieval(
        model=root / "model",
        features=root / "features",
        captions=root / "captions",
        split="test",
        protocol=protocol,
        normalization_images=TRAINING,
        seed=0,
        scratch=root / "scratch",
        progress=lambda done, message: None,
    )


def ranks_by_hand(network, captions, rows, images):
    """Ranks of the right images and of the best right sentences, from a table of all pairs."""
    sentences = [np.array(VOCABULARY.encode(words)) for image in images for words in captions[image]]
    table = log_likelihoods(network, sentences, np.concatenate([rows[images], rows[IMAGES:]]))
    own, owner = table[:, : len(images)], np.repeat(np.arange(len(images)), 2)
    of_images = [1 + (own[row] > own[row, right]).sum() for row, right in enumerate(owner)]
    scores = own - np.log(np.exp(table[:, len(images) :]).mean(axis=1, keepdims=True))
    of_sentences = [
        1 + (scores[owner != image, image] > scores[owner == image, image].max()).sum() for image in range(len(images))
    ]
    return of_sentences, of_images


@pytest.mark.parametrize(
    ("protocol", "parts"),
    [("all", [range(IMAGES)]), ("1k", [range(2)]), ("5fold", [range(start, start + 2) for start in range(0, 10, 2)])],
)
def test_recalls_are_those_of_each_part_by_hand(artifacts, tmp_path, protocol, parts):
    scores = evaluate(tmp_path, protocol)
    by_hand = [ranks_by_hand(*artifacts, list(images)) for images in parts]
    assert (scores.images, scores.sentences) == (sum(map(len, parts)), 2 * sum(map(len, parts)))
    for found, ranks in (
        (scores.sentence, [each[0] for each in by_hand]),
        (scores.image, [each[1] for each in by_hand]),
    ):
        assert found.mean_rank == pytest.approx(np.mean([np.mean(each) for each in ranks]))
        assert found.median_rank == pytest.approx(np.mean([np.median(each) for each in ranks]))
        assert found.r1 == pytest.approx(np.mean([100 * np.mean(np.array(each) <= 1) for each in ranks]))


@pytest.mark.parametrize("artifacts", ["vis-in-rnn", "blind"], indirect=True)
def test_recalls_of_other_variants_are_those_by_hand(artifacts, tmp_path):
    found = evaluate(tmp_path, "all")
    of_sentences, of_images = ranks_by_hand(*artifacts, list(range(IMAGES)))
    ties = "blind" in artifacts[0].variant  # every rank is then in the middle
    assert found.image.mean_rank == pytest.approx((IMAGES + 1) / 2 if ties else np.mean(of_images))
    if not ties:
        assert found.sentence.mean_rank == pytest.approx(np.mean(of_sentences))


def test_retrieval_computes_only_pairs_that_ranks_depend_on(artifacts, tmp_path):
    evaluate(tmp_path, "all")
    table = np.load(tmp_path / "scratch" / "0" / "likelihoods.npy")[:IMAGES]
    owner = np.repeat(np.arange(IMAGES), 2)
    assert np.isfinite(table[owner, np.arange(len(owner))]).all()
    assert 0.05 < np.isfinite(table).mean() < 0.95


@pytest.mark.parametrize("interrupted", ["bounds", "likelihoods"])
def test_interrupted_retrieval_resumes(artifacts, tmp_path, monkeypatch, interrupted):
    monkeypatch.setattr(pair_likelihoods, "SENTENCES", 5)
    expected = evaluate(tmp_path, "all")
    tables = {name: tmp_path / "scratch" / "0" / f"{name}.npy" for name in ("bounds", "likelihoods")}
    whole = {name: np.load(path) for name, path in tables.items()}
    partial = whole[interrupted].copy()
    partial[3:] = 0.0
    np.save(tables[interrupted], partial)
    if interrupted == "bounds":
        tables["likelihoods"].unlink()
    assert evaluate(tmp_path, "all") == expected
    for name, path in tables.items():
        np.testing.assert_array_equal(np.load(path), whole[name])


def test_split_too_small_for_the_protocol_is_refused(artifacts, tmp_path, monkeypatch):
    monkeypatch.setattr(retrieve, "PART", 3)
    with pytest.raises(ConfigurationError, match="5fold needs 15 images and test has 11; set protocol to all"):
        evaluate(tmp_path, "5fold")
