"""Logit masks of hard decoding constraints, for beam search and sampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS, PAD, UNK, Vocabulary

FINITE_MASK = -1e30  # its exponential is 0 in every precision


@dataclass(frozen=True)
class Constraints:
    """Hard decoding constraints.

    Attributes:
        min_length: Minimum number of tokens, without the end token.
        forbidden: Ids of masked tokens.
        no_repeat_ngram: Size of n-grams that must not be repeated; 0 disables the constraint.
    """

    min_length: int = 0
    forbidden: tuple[int, ...] = (PAD, UNK)
    no_repeat_ngram: int = 0

    def check(self, vocabulary_size: int, max_length: int) -> None:
        """Check that captions can satisfy the constraints.

        Args:
            vocabulary_size: Number of tokens of the vocabulary.
            max_length: Maximum number of tokens of a caption.

        Raises:
            ConfigurationError: No caption satisfies the constraints.
        """
        if not 0 <= self.min_length <= max_length or max_length < 1:
            raise ConfigurationError(
                f"No caption has {self.min_length} to {max_length} tokens; "
                "min_length must be 0 or more and max_length neither below it nor below 1."
            )
        if self.no_repeat_ngram < 0:
            raise ConfigurationError(f"no_repeat_ngram is {self.no_repeat_ngram}; it must be 0 (off) or more.")
        if strange := [word for word in self.forbidden if not 0 <= word < vocabulary_size]:
            raise ConfigurationError(
                f"Forbidden tokens {strange} are not in the vocabulary, whose ids are 0 to {vocabulary_size - 1}."
            )
        if BOS in self.forbidden:
            raise ConfigurationError(f"The end token ({BOS}) cannot be forbidden; min_length makes captions longer.")
        if len({*self.forbidden}) == vocabulary_size - 1:
            raise ConfigurationError("All tokens are forbidden; allow some.")

    def mask(self, log_probs: tf.Tensor, words: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Mask the log-probabilities of the next token.

        Args:
            log_probs: ln P of the next token (N, V).
            words: Token ids of the captions so far (N, T).
            length: Number of tokens of these captions, a scalar; the rest of `words` is ignored.

        Returns:
            (N, V): -inf for masked tokens; the others are unchanged and not renormalized.
        """
        size, dtype = log_probs.shape[1], log_probs.dtype.as_numpy_dtype
        never = logit_mask(size, self.forbidden, dtype=dtype)
        too_short = logit_mask(size, (*self.forbidden, BOS), dtype=dtype)
        log_probs += tf.where(length < self.min_length, too_short, never)
        if not 0 < self.no_repeat_ngram <= words.shape[1]:
            return log_probs
        # A token is masked if it followed the last n - 1 tokens before; `past` excludes positions without n - 1 tokens.
        before = self.no_repeat_ngram - 1
        starts = words.shape[1] - before
        past = tf.range(starts) + before < length
        barred = tf.broadcast_to(past, (tf.shape(words)[0], starts))
        for place in range(before):
            last = tf.gather(words, tf.maximum(length - before + place, 0), axis=1)
            barred &= words[:, place : place + starts] == last[:, None]
        rows = tf.broadcast_to(tf.range(tf.shape(words)[0])[:, None], tf.shape(barred))
        ids = tf.cast(words[:, before:], tf.int32)
        limits = tf.where(barred, tf.constant(-np.inf, log_probs.dtype), tf.constant(np.inf, log_probs.dtype))
        return tf.tensor_scatter_nd_min(log_probs, tf.stack([rows, ids], axis=2), limits)

    def no_valid_token_error(self) -> ConfigurationError:
        """Return the error for an image without a valid next token."""
        return ConfigurationError(
            "The decoding constraints leave no valid next token; relax min_length, forbidden or no_repeat_ngram."
        )


DEFAULT_CONSTRAINTS = Constraints()


def logit_mask(
    vocabulary_size: int, tokens: Sequence[int], value: float = -np.inf, dtype: type = np.float32
) -> NDArray[Any]:
    """Build a mask to add to logits or log-probabilities.

    Args:
        vocabulary_size: Number of tokens V.
        tokens: Ids of the masked tokens.
        value: Value at masked tokens. It must be finite where gradients are computed, because 0 times infinity is not
            a number; see `FINITE_MASK`.
        dtype: Data type of the mask.

    Returns:
        Array (V,) of `value` at the masked tokens and 0 elsewhere.
    """
    mask: NDArray[Any] = np.zeros(vocabulary_size, dtype)
    mask[list(tokens)] = value
    return mask


def ids_of(words: Sequence[str], vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return the ids of forbidden tokens.

    Raises:
        ConfigurationError: A token is not in the vocabulary.
    """
    if strange := [word for word in words if word not in vocabulary]:
        raise ConfigurationError(
            f"The forbidden tokens {strange} are not in the model's vocabulary; remove them or correct their spelling."
        )
    return tuple(vocabulary.encode(words))
