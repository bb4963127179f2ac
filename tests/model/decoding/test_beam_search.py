"""Beam search against a naive one and against enumeration; run eagerly except where a test asks for `compiled`."""

from functools import cache
from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.beam_search import BeamOptions, BeamSearch, Decoded, _top_k, decode_images
from model.decoding.constraints import Constraints
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from model.mrnn.variants import VARIANTS
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS, PAD, UNK
from tests.support.naive_decoding import may_follow, next_log_probs, plain_beam_search, rank

pytestmark = pytest.mark.usefixtures("eagerly")

# One recurrent and one multimodal layer of each kind.
COMPILED = ("mrnn-shared", "tf-mrnn-init-lstm", "vis-in-rnn-both-shared")
FEATURES = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)


def assert_same(decoded, expected):
    """Assert equal captions in order; rounding may reorder captions of equal ln P, the last of which may be missing."""
    scores = np.array([score for _, score in expected])
    np.testing.assert_allclose([each.log_prob for each in decoded], scores, atol=1e-4)
    for hypothesis, score in zip(decoded, scores, strict=True):
        equals = [other for other, its in expected if abs(its - score) < 1e-5]
        assert hypothesis.tokens in equals or abs(score - scores[-1]) < 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_beam_search_matches_the_naive_search(make_network, variant):
    check_against_naive_search(make_network, variant, seeds=1, width=3, images=FEATURES[:2])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("variant", "seeds", "width"),
    [
        *(("mrnn", 3, width) for width in (1, 3, 10)),
        *((each, 1, 3) for each in COMPILED),
        *(
            pytest.param(each, 1, 3, marks=pytest.mark.slow("compiles a search of each variant"))
            for each in VARIANTS
            if each not in COMPILED
        ),
    ],
)
def test_compiled_beam_search_matches_the_naive_search(make_network, variant, seeds, width):
    check_against_naive_search(make_network, variant, seeds, width, FEATURES)


def check_against_naive_search(make_network, variant, seeds, width, images):
    network = make_network(variant=variant)
    search = BeamSearch(network, width, max_length=5)
    for seed in range(seeds):
        network.set_weights(make_network(seed, variant=variant).get_weights())
        log_probs = next_log_probs(network, images)
        for of_image, decoded in zip(log_probs, search(images), strict=True):
            assert_same(decoded, plain_beam_search(of_image, width, 5, Constraints(), BeamOptions()))


@pytest.mark.usefixtures("compiled")
@pytest.mark.slow("decodes with networks of published sizes")
@pytest.mark.parametrize("variant", ["mrnn", "mrnn-shared"])
@pytest.mark.parametrize(
    ("width", "constraints", "options"),
    [
        (10, Constraints(), BeamOptions()),
        (5, Constraints(), BeamOptions(length_penalty=0.7)),
        (6, Constraints(4, (PAD, UNK, 7), 2), BeamOptions(length_penalty=0.7, groups=3)),
    ],
)
def test_beam_search_matches_the_naive_search_at_published_sizes(variant, width, constraints, options):
    network = MRNN(300, 16, ModelConfig(variant=variant, dropout=0.0), seed=3)
    random = np.random.default_rng(3)
    for variable in network.trainable_variables:
        variable.assign(2 * variable + random.normal(0, 0.1, variable.shape))  # choices that are plain
    network.softmax.bias.assign(np.eye(1, 300, BOS)[0] * 4.0)
    images = random.standard_normal((2, 16)).astype(np.float32)
    found = BeamSearch(network, width, 8, constraints, options)(images)
    for log_probs, decoded in zip(next_log_probs(network, images), found, strict=True):
        assert_same(decoded, plain_beam_search(log_probs, width, 8, constraints, options))


@pytest.fixture(scope="module")
def network_of_seed(make_network):
    """A network, and its probabilities for two images, of each seed."""

    @cache
    def make(seed):
        network = make_network(seed)
        return network, next_log_probs(network, FEATURES[:2])

    return make


@st.composite
def searches(draw):
    """Random but valid width, maximum length, constraints and options."""
    groups, max_length = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    forbidden = draw(st.sets(st.sampled_from([PAD, UNK, 3, 4, 5])))
    constraints = Constraints(draw(st.integers(0, max_length)), tuple(forbidden), draw(st.integers(0, 3)))
    options = BeamOptions(draw(st.sampled_from([0.0, 0.6, 2.0])), groups, draw(st.sampled_from([0.0, 0.5, 3.0])))
    return groups * draw(st.integers(1, 3)), max_length, constraints, options


@given(search=searches(), seed=st.integers(0, 5))
@settings(max_examples=15)
def test_any_choice_of_options_is_the_plain_search_and_is_obeyed(network_of_seed, search, seed):
    width, max_length, constraints, options = search
    network, log_probs = network_of_seed(seed)
    expected = [plain_beam_search(of_image, width, max_length, constraints, options) for of_image in log_probs]
    if not all(expected):
        with pytest.raises(ConfigurationError, match="no valid next token"):
            BeamSearch(network, width, max_length, constraints, options)(FEATURES[:2])
        return
    found = BeamSearch(network, width, max_length, constraints, options)(FEATURES[:2])
    for decoded, plain in zip(found, expected, strict=True):
        assert_same(decoded, plain)
        for hypothesis in decoded:
            words = hypothesis.tokens
            assert constraints.min_length <= len(words) <= max_length
            assert all(may_follow(words[:place], word, constraints) for place, word in enumerate(words))


@pytest.mark.parametrize(
    ("constraints", "length_penalty"),
    [
        (Constraints(forbidden=()), 0.0),
        (Constraints(forbidden=(PAD, UNK)), 0.0),
        (Constraints(forbidden=(), min_length=2), 0.0),
        (Constraints(forbidden=(), no_repeat_ngram=1), 0.0),
        (Constraints(forbidden=(), no_repeat_ngram=2), 1.0),
        (Constraints(forbidden=()), 1.0),
        (Constraints(forbidden=()), 5.0),
    ],
)
def test_beam_search_enumerates_all_captions_in_order(make_network, constraints, length_penalty):
    network, options = make_network(vocabulary_size=5), BeamOptions(length_penalty)
    found = BeamSearch(network, 100, 3, constraints, options)(FEATURES[:2])
    for log_probs, decoded in zip(next_log_probs(network, FEATURES[:2]), found, strict=True):
        scores = {}
        for caption in (words for length in range(4) for words in product((0, 1, 3, 4), repeat=length)):
            words = [*caption, BOS][:3]  # a caption of three words is cut off before its end sign
            if all(may_follow(caption[:step], word, constraints) for step, word in enumerate(words)):
                scores[caption] = sum(log_probs(caption[:step])[word] for step, word in enumerate(words))
        assert len(scores) > 5
        assert_same(decoded, sorted(scores.items(), key=lambda each: -rank(*each, 3, options)))


def network_with(make_network, shares):
    """Make a network that gives the tokens from the end token on fixed probabilities."""
    network = make_network(vocabulary_size=2 + len(shares))
    for variable in network.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    network.softmax.bias.assign([-30.0, -30.0, *np.log(shares)])
    return network


def test_length_penalty_matches_hand_computation(make_network):
    # One word of P = .6 or the end, P = .4. ln P is -.916, -1.427, -1.938, ... for none, one, two words and their end.
    network = network_with(make_network, [0.4, 0.6])
    (decoded,) = BeamSearch(network, 2, max_length=9)(FEATURES[:1])
    assert_same(decoded, [((), np.log(0.4)), ((3,), np.log(0.24))])
    # Divided by ((5 + L) / 6)^2: -.916, -1.048, -1.090, -1.088, -1.066, -1.033, -.995, -.957, -.919 for up to eight
    # words, and nine without an end, ln P = 9 ln .6 = -4.597, divided by (14 / 6)^2 = 5.444: -.844.
    (decoded,) = BeamSearch(network, 2, max_length=9, options=BeamOptions(length_penalty=2.0))(FEATURES[:1])
    assert_same(decoded, [((3,) * 9, 9 * np.log(0.6)), ((), np.log(0.4))])


def test_diverse_search_by_hand(make_network):
    # One hypothesis a group. The first chooses 3 (P = .5) and the second, to which 3 costs lambda, 4 (P = .3) if
    # lambda > ln(.5 / .3) = .511.
    network = network_with(make_network, [0.05, 0.5, 0.3, 0.15])
    for diversity, second in ((0.5, (3,)), (0.52, (4,))):
        options = BeamOptions(groups=2, diversity=diversity)
        (decoded,) = BeamSearch(network, 2, max_length=1, options=options)(FEATURES[:1])
        assert_same(decoded, [((3,), np.log(0.5)), ((4,), np.log(0.3))][: 1 + (second == (4,))])


def test_diversity_penalty_separates_the_groups(make_network):
    network = make_network(vocabulary_size=12)
    options = BeamOptions(groups=4, diversity=100.0)
    for decoded in BeamSearch(network, 4, 3, Constraints(min_length=3), options)(FEATURES):
        words = np.array([hypothesis.tokens for hypothesis in decoded])
        assert words.shape == (4, 3)
        assert all(len({*column}) == 4 for column in words.T)


def test_width_one_is_greedy_search(make_network):
    network = make_network(seed=5)
    for image, (best,) in zip(FEATURES, BeamSearch(network, 1, max_length=6)(FEATURES), strict=True):
        caption = []
        while len(caption) < 6:
            logits = network(np.array([[BOS, *caption]]), image[None]).numpy()[0, -1]
            logits[[PAD, UNK]] = -np.inf
            if logits.argmax() == BOS:
                break
            caption.append(int(logits.argmax()))
        assert best.tokens == tuple(caption)


def test_log_probabilities_are_those_of_the_network(make_network):
    network = make_network(seed=2)
    for image, decoded in zip(FEATURES, BeamSearch(network, 4, max_length=8)(FEATURES), strict=True):
        for hypothesis in decoded:
            words = [*hypothesis.tokens, BOS][:8]
            logits = network(np.array([[BOS, *words[:-1]]]), image[None]).numpy()[0].astype(np.float64)
            log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            expected = log_probs[np.arange(len(words)), words].sum()
            assert hypothesis.log_prob == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("forbidden", [(PAD, UNK), (PAD, UNK, 3, 4, 5)])
def test_forbidden_tokens_are_never_generated(make_network, forbidden):
    network = make_network()
    bias = network.softmax.bias.numpy()
    bias[list(forbidden)] = 50.0  # they would be generated only
    network.softmax.bias.assign(bias)
    for decoded in BeamSearch(network, 4, max_length=4, constraints=Constraints(forbidden=forbidden))(FEATURES):
        assert decoded
        assert not {word for hypothesis in decoded for word in hypothesis.tokens} & {*forbidden, BOS}


def test_hypotheses_are_distinct_and_come_best_first(make_network):
    for decoded in BeamSearch(make_network(), 5, max_length=6)(FEATURES):
        assert len({hypothesis.tokens for hypothesis in decoded}) == len(decoded) == 5
        scores = [hypothesis.log_prob for hypothesis in decoded]
        assert scores == sorted(scores, reverse=True)


def test_ties_go_to_the_smaller_token_id(make_network):
    network = make_network()
    for variable in network.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    (decoded,) = BeamSearch(network, 3, max_length=1)(FEATURES[:1])
    assert [hypothesis.tokens for hypothesis in decoded] == [(), (3,), (4,)]


@pytest.mark.usefixtures("compiled")
def test_beam_search_is_independent_of_the_batch(make_network):
    search = BeamSearch(make_network(), 3, max_length=6)
    progress = []
    alone = list(decode_images(search, FEATURES, batch_size=1))
    together = list(decode_images(search, FEATURES, 3, progress.append))
    for one, other in zip(alone, together, strict=True):
        assert_same(one, [(hypothesis.tokens, hypothesis.log_prob) for hypothesis in other])
    assert progress == [0.75, 1.0]


@pytest.mark.usefixtures("compiled")
def test_beam_search_of_no_images_is_empty(make_network):
    assert list(decode_images(BeamSearch(make_network(), 2), FEATURES[:0], batch_size=8)) == []


def test_half_precision_features_are_accepted(make_network):
    (decoded,) = BeamSearch(make_network(), 1, max_length=2)(FEATURES[:1].astype(np.float16))
    assert isinstance(decoded[0], Decoded)


def test_beam_search_wider_than_the_vocabulary(make_network):
    network = make_network(vocabulary_size=4)  # one word, and the end sign
    for decoded in BeamSearch(network, 50, max_length=3)(FEATURES):
        assert sorted(hypothesis.tokens for hypothesis in decoded) == [(), (3,), (3, 3), (3, 3, 3)]


def test_diverse_beam_search_wider_than_the_vocabulary(make_network):
    network, options = make_network(), BeamOptions(groups=2, diversity=1.0)
    found = BeamSearch(network, 40, 2, options=options)(FEATURES)
    for log_probs, decoded in zip(next_log_probs(network, FEATURES), found, strict=True):
        assert_same(decoded, plain_beam_search(log_probs, 40, 2, Constraints(), options))


@pytest.mark.usefixtures("compiled")
def test_beam_search_in_mixed_precision(make_network):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = make_network(variant="tf-mrnn")
    finally:
        keras.config.set_dtype_policy("float32")
    for decoded in BeamSearch(network, 3, max_length=4)(FEATURES):
        assert len(decoded) == 3


@pytest.mark.parametrize(
    ("width", "options", "message"),
    [
        (0, BeamOptions(), "width 0"),
        (3, BeamOptions(groups=2), "cannot be searched in 2 groups"),
        (3, BeamOptions(groups=0), "0 groups"),
        (3, BeamOptions(length_penalty=-1.0), "must be 0 or more"),
        (3, BeamOptions(diversity=-0.1), "must be 0 or more"),
    ],
)
def test_invalid_search_settings_are_refused(make_network, width, options, message):
    with pytest.raises(ConfigurationError, match=message):
        BeamSearch(make_network(), width, options=options)


def test_constraints_without_valid_token_are_an_error(make_network):
    search = BeamSearch(make_network(), 3, 6, Constraints(min_length=6, no_repeat_ngram=1))  # of four words
    with pytest.raises(ConfigurationError, match="no valid next token"):
        search(FEATURES)


@pytest.mark.parametrize("columns", [3, 1000, 1024, 5001])
@pytest.mark.parametrize("distinct", [1, 2, 50, 10**6])
def test_top_k_by_blocks_matches_tensorflow(columns, distinct):
    random = np.random.default_rng(0)
    values = random.integers(0, distinct, (20, columns)).astype(np.float32)  # few distinct values: many ties
    values[random.random(values.shape) < 0.5] = -np.inf
    values[:5] = -np.inf
    found, expected = _top_k(tf.constant(values), 3), tf.math.top_k(values, 3)
    np.testing.assert_array_equal(found[0], expected.values)
    np.testing.assert_array_equal(found[1], expected.indices)
