"""Beam search against a plain one, against enumeration, and what it promises."""

from itertools import product

import numpy as np
import pytest

from model.decoding import BeamSearch, Decoded, decode_images
from model.variants import VARIANTS
from schemas.vocabulary import BOS, PAD, UNK

FEATURES = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)


def all_log_probs(network, image, max_length, forbidden):
    """ln P(next word | prefix) of every word, after each prefix of at most `max_length` words of one image."""
    size = network.sizes["vocabulary_size"]
    words = [word for word in range(size) if word != BOS and word not in forbidden]
    captions = list(product(words, repeat=max_length))
    tokens = np.array([(BOS, *caption) for caption in captions], np.int32)
    logits = network(tokens, np.repeat(image[None], len(tokens), axis=0)).numpy().astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    log_probs[:, :, list(forbidden)] = -np.inf
    return {
        caption[:length]: log_probs[row, length]
        for row, caption in enumerate(captions)
        for length in range(max_length + 1)
    }


def plain_beam_search(log_probs, width, max_length):
    """The search that `BeamSearch` describes, for one image: (caption, ln P) pairs, best first."""
    live, finished = [((), 0.0)], []
    for _ in range(max_length):
        continuations = sorted(
            (-(score + log_prob), parent, word)
            for parent, (caption, score) in enumerate(live)
            for word, log_prob in enumerate(log_probs[caption])
            if log_prob > -np.inf
        )
        finished += [(live[parent][0], -loss) for loss, parent, word in continuations[:width] if word == BOS]
        others = [each for each in continuations if each[2] != BOS][:width]
        live = [((*live[parent][0], word), -loss) for loss, parent, word in others]
        finished = sorted(finished, key=lambda hypothesis: -hypothesis[1])[:width]
        if len(finished) == width and finished[-1][1] >= live[0][1]:
            return finished
    return sorted(finished + live, key=lambda hypothesis: -hypothesis[1])[:width]


def assert_same(decoded, expected):
    assert [hypothesis.tokens for hypothesis in decoded] == [caption for caption, _ in expected]
    np.testing.assert_allclose([each.log_prob for each in decoded], [score for _, score in expected], atol=1e-4)


@pytest.mark.parametrize(
    ("variant", "seed", "width"),
    [*(("mrnn", seed, width) for seed in range(3) for width in (1, 3, 10)), *((variant, 0, 3) for variant in VARIANTS)],
)
def test_the_search_is_the_plain_one(make_network, variant, seed, width):
    network = make_network(seed, variant=variant)
    found = BeamSearch(network, width, max_length=5)(FEATURES)
    for image, decoded in zip(FEATURES, found, strict=True):
        assert_same(decoded, plain_beam_search(all_log_probs(network, image, 5, (PAD, UNK)), width, 5))


def test_a_beam_wide_enough_finds_every_caption_in_order(make_network):
    network = make_network(vocabulary_size=5)
    found = BeamSearch(network, 100, max_length=3, forbidden=())(FEATURES[:2])
    for image, decoded in zip(FEATURES, found, strict=False):
        log_probs = all_log_probs(network, image, 3, ())
        captions = [caption for length in range(4) for caption in product((0, 1, 3, 4), repeat=length)]
        scores = []
        for caption in captions:
            words = [*caption, BOS][:3]  # a caption of three words is cut off before its end sign
            scores.append(sum(log_probs[caption[:step]][word] for step, word in enumerate(words)))
        assert_same(decoded, sorted(zip(captions, scores, strict=True), key=lambda each: -each[1]))


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
def test_forbidden_words_are_never_said(make_network, forbidden):
    network = make_network()
    bias = network.softmax.bias.numpy()
    bias[list(forbidden)] = 50.0  # they would be all that is said
    network.softmax.bias.assign(bias)
    for decoded in BeamSearch(network, 4, max_length=4, forbidden=forbidden)(FEATURES):
        assert decoded
        assert not {word for hypothesis in decoded for word in hypothesis.tokens} & {*forbidden, BOS}


def test_hypotheses_are_distinct_and_come_best_first(make_network):
    for decoded in BeamSearch(make_network(), 5, max_length=6)(FEATURES):
        assert len({hypothesis.tokens for hypothesis in decoded}) == len(decoded) == 5
        scores = [hypothesis.log_prob for hypothesis in decoded]
        assert scores == sorted(scores, reverse=True)


def test_equal_scores_go_to_the_smaller_word(make_network):
    network = make_network()
    for variable in network.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    (decoded,) = BeamSearch(network, 3, max_length=1)(FEATURES[:1])
    assert [hypothesis.tokens for hypothesis in decoded] == [(), (3,), (4,)]


def test_an_image_is_described_alike_in_whatever_company(make_network):
    search = BeamSearch(make_network(), 3, max_length=6)
    progress = []
    alone = list(decode_images(search, FEATURES, batch_size=1))
    together = list(decode_images(search, FEATURES, 3, progress.append))
    for one, other in zip(alone, together, strict=True):
        assert_same(one, [(hypothesis.tokens, hypothesis.log_prob) for hypothesis in other])
    assert progress == [0.75, 1.0]


def test_no_images_have_no_captions(make_network):
    assert list(decode_images(BeamSearch(make_network(), 2), FEATURES[:0], batch_size=8)) == []


def test_half_precision_features_are_taken(make_network):
    (decoded,) = BeamSearch(make_network(), 1, max_length=2)(FEATURES[:1].astype(np.float16))
    assert isinstance(decoded[0], Decoded)
