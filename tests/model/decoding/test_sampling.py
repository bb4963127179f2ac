"""Sampling: the distribution it draws from, its limits, its seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.beam_search import BeamSearch
from model.decoding.constraints import DEFAULT_CONSTRAINTS, Constraints
from model.decoding.sampling import Sampling, sample_captions
from model.decoding.strategies import SamplingStrategy
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS, PAD, UNK
from tests.support.naive_decoding import may_follow

FEATURES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
SHARES = np.array([0.05, 0.5, 0.15, 0.3])


def draw(sampling, count=20_000):
    uniform = np.random.default_rng(0).random(count)
    words = sampling.choose(np.tile(np.log(SHARES), (count, 1)), uniform)
    return np.bincount(words, minlength=4) / count


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), SHARES),
        (Sampling(temperature=0.5), SHARES**2 / (SHARES**2).sum()),
        (Sampling(temperature=4.0), SHARES**0.25 / (SHARES**0.25).sum()),
        (Sampling(top_k=2), [0, 0.5 / 0.8, 0, 0.3 / 0.8]),
        (Sampling(top_k=9), SHARES),
        (Sampling(top_p=0.6), [0, 0.5 / 0.8, 0, 0.3 / 0.8]),
        (Sampling(top_p=0.5), [0, 1, 0, 0]),
        (Sampling(top_p=0.81), [0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95]),
        (Sampling(top_k=3, top_p=0.9), [0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95]),
        (Sampling(temperature=1e-3), [0, 1, 0, 0]),
    ],
)
def test_words_are_drawn_by_their_shares(sampling, expected):
    np.testing.assert_allclose(draw(sampling), expected, atol=0.012)


def test_numbers_at_the_ends_choose_the_first_and_the_last_allowed():
    log_probs = np.log(SHARES)[None]
    log_probs = np.concatenate([[[-np.inf]], log_probs, [[-np.inf]]], axis=1)  # words that are forbidden
    assert Sampling().choose(log_probs, np.array([0.0])).tolist() == [1]
    assert Sampling().choose(log_probs, np.array([np.nextafter(1.0, 0.0)])).tolist() == [4]
    log_probs = log_probs[:, 1:-1]
    assert Sampling(top_k=2).choose(log_probs, np.array([0.0])).tolist() == [1]
    assert Sampling(top_k=2).choose(log_probs, np.array([np.nextafter(1.0, 0.0)])).tolist() == [3]


def test_log_probabilities_are_those_of_the_network(make_network):
    network = make_network(2)
    for image, drawn in zip(
        FEATURES, sample_captions(network, FEATURES, 5, Sampling(0.7), 0, max_length=6), strict=True
    ):
        assert len(drawn) == 5
        for caption in drawn:
            assert not {PAD, UNK, BOS} & {*caption.tokens}
            words = [*caption.tokens, BOS][:6]
            logits = network(np.array([[BOS, *words[:-1]]]), image[None]).numpy()[0].astype(np.float64)
            log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            assert caption.log_prob == pytest.approx(log_probs[np.arange(len(words)), words].sum(), abs=1e-4)


def test_captions_come_as_often_as_they_are_likely(make_network):
    network = make_network(vocabulary_size=5)
    (drawn,) = sample_captions(
        network, FEATURES[:1], 4000, Sampling(), 0, max_length=2, constraints=Constraints(forbidden=())
    )
    for caption in {each.tokens: each for each in drawn}.values():
        share = sum(each.tokens == caption.tokens for each in drawn) / len(drawn)
        assert share == pytest.approx(np.exp(caption.log_prob), abs=0.03)


def test_sampling_from_one_token_is_greedy(make_network):
    network = make_network(5)
    greedy = BeamSearch(network, 1, max_length=6)(FEATURES)
    for (expected,), (found,) in zip(
        greedy, sample_captions(network, FEATURES, 1, Sampling(top_k=1), 0, max_length=6), strict=True
    ):
        assert found.tokens == expected.tokens


def test_samples_depend_on_seed_and_image_only(make_network):
    network = make_network()
    everything = sample_captions(network, FEATURES, 3, Sampling(), 7, max_length=6)
    assert sample_captions(network, FEATURES, 3, Sampling(), 7, max_length=6) == everything
    assert sample_captions(network, FEATURES, 3, Sampling(), 8, max_length=6) != everything
    (alone,) = sample_captions(network, FEATURES[2:], 3, Sampling(), 7, first=2, max_length=6)
    assert [each.tokens for each in alone] == [each.tokens for each in everything[2]]


def test_samples_are_sorted_and_independent_of_the_batch(make_network):
    network = make_network()
    decode = SamplingStrategy(4, Sampling(), seed=7, max_length=6, constraints=DEFAULT_CONSTRAINTS)(network)
    found = [*decode(FEATURES[:2], 0), *decode(FEATURES[2:], 2)]
    for images, drawn in zip(sample_captions(network, FEATURES, 4, Sampling(), 7, max_length=6), found, strict=True):
        assert sorted(each.tokens for each in drawn) == sorted(each.tokens for each in images)
        assert [each.log_prob for each in drawn] == sorted((each.log_prob for each in drawn), reverse=True)


@pytest.mark.parametrize("values", [{"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_invalid_distribution_is_refused(values):
    with pytest.raises(ConfigurationError, match="is invalid"):
        Sampling(**values)


@given(
    constraints=st.builds(
        Constraints,
        min_length=st.integers(0, 4),
        forbidden=st.sets(st.sampled_from([PAD, UNK, 3, 4])).map(tuple),
        no_repeat_ngram=st.sampled_from([0, 2, 3]),
    ),
    sampling=st.builds(Sampling, temperature=st.sampled_from([0.5, 2.0]), top_k=st.sampled_from([0, 1, 3])),
)
@settings(max_examples=15, deadline=None)
def test_constraints_are_obeyed(make_network, constraints, sampling):
    for drawn in sample_captions(make_network(), FEATURES, 4, sampling, 0, max_length=5, constraints=constraints):
        assert len(drawn) == 4
        for caption in drawn:
            assert constraints.min_length <= len(caption.tokens) <= 5
            for place, word in enumerate(caption.tokens):
                assert may_follow(caption.tokens[:place], word, constraints)


def test_unsatisfiable_constraints_are_an_error_in_sampling(make_network):
    constraints = Constraints(min_length=6, no_repeat_ngram=1)  # there are four words
    with pytest.raises(ConfigurationError, match="no valid next token"):
        sample_captions(make_network(), FEATURES, 2, Sampling(), 0, max_length=6, constraints=constraints)
