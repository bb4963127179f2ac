"""Constraints: the mask against a naive check of each caption and token, and invalid constraints."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.constraints import Constraints, ids_of
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS, PAD, SPECIAL_WORDS, UNK, Vocabulary
from tests.support.naive_decoding import may_follow

VOCABULARY, LONGEST = 6, 7


@given(
    constraints=st.builds(
        Constraints,
        min_length=st.integers(0, LONGEST),
        forbidden=st.sets(st.sampled_from([PAD, UNK, 3, 4])).map(tuple),
        no_repeat_ngram=st.integers(0, LONGEST + 2),
    ),
    length=st.integers(0, LONGEST),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_mask_matches_the_naive_mask(constraints, length, seed):
    random = np.random.default_rng(seed)
    words = random.integers(3, VOCABULARY, (5, LONGEST))
    log_probs = random.standard_normal((5, VOCABULARY))
    found = constraints.mask(tf.constant(log_probs), tf.constant(words), tf.constant(length)).numpy()
    for row, caption in enumerate(words[:, :length].tolist()):
        for word in range(VOCABULARY):
            allowed = may_follow(tuple(caption), word, constraints)
            assert found[row, word] == (log_probs[row, word] if allowed else -np.inf)


@pytest.mark.parametrize(
    ("constraints", "max_length", "message"),
    [
        (Constraints(min_length=6), 5, "6 to 5 tokens"),
        (Constraints(min_length=-1), 5, "-1 to 5 tokens"),
        (Constraints(), 0, "0 to 0 tokens"),
        (Constraints(no_repeat_ngram=-1), 5, "no_repeat_ngram is -1"),
        (Constraints(forbidden=(1, 6, -2)), 5, r"\[6, -2\] are not in the vocabulary, whose ids are 0 to 5"),
        (Constraints(forbidden=(BOS,)), 5, "end token"),
        (Constraints(forbidden=(0, 1, 3, 4, 5)), 5, "All tokens are forbidden"),
    ],
)
def test_unsatisfiable_constraints_are_refused(constraints, max_length, message):
    with pytest.raises(ConfigurationError, match=message):
        constraints.check(VOCABULARY, max_length)


def test_satisfiable_constraints_are_accepted():
    Constraints(min_length=5, forbidden=(0, 1, 3, 4), no_repeat_ngram=9).check(VOCABULARY, 5)


def test_words_are_forbidden_by_their_ids():
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog"])
    assert ids_of(["<unk>", "dog"], vocabulary) == (1, 4)
    with pytest.raises(ConfigurationError, match=r"\['cat'\] are not in the model's vocabulary"):
        ids_of(["dog", "cat"], vocabulary)
