"""Beam search and diverse beam search, batched over images. Width 1 is greedy search."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.decoding.constraints import DEFAULT_CONSTRAINTS, Constraints
from model.decoding.step_model import StepModel
from schemas.errors import ConfigurationError
from schemas.features import FeatureRows
from schemas.vocabulary import BOS


@dataclass(frozen=True)
class Decoded:
    """A decoded caption.

    Attributes:
        tokens: Token ids, without start and end token.
        log_prob: ln P(tokens, end token | image) of the network in nats, without penalties of the search; a truncated
            caption has no end token.
    """

    tokens: tuple[int, ...]
    log_prob: float


@dataclass(frozen=True)
class BeamOptions:
    """Options of beam search.

    Attributes:
        length_penalty: alpha of the score ln P / ((5 + L) / 6)^alpha (Wu et al. 2016, Equation 14), L being the number
            of tokens with the end token; 0, as in the paper, gives ln P.
        groups: Number of groups of diverse beam search (Vijayakumar et al. 2016, Algorithm 1); 1 disables it.
        diversity: Penalty lambda in nats of a token per hypothesis of earlier groups that has it at the same
            step (Hamming diversity).
    """

    length_penalty: float = 0.0
    groups: int = 1
    diversity: float = 0.5

    def check(self, beam_width: int) -> None:
        """Check the options for a search.

        Args:
            beam_width: Width of the search.

        Raises:
            ConfigurationError: A search of this width is impossible.
        """
        if self.length_penalty < 0 or self.diversity < 0:
            raise ConfigurationError(f"{self} is invalid: length_penalty and diversity must be 0 or more.")
        if beam_width < 1 or self.groups < 1 or beam_width % self.groups:
            raise ConfigurationError(
                f"A beam of width {beam_width} cannot be searched in {self.groups} groups; the width must be 1 or more "
                "and the number of groups divide it."
            )

    def divisor(self, length: Any) -> Any:
        """Return the divisor of ln P for a number of tokens, end token included."""
        return ((5.0 + length) / 6.0) ** self.length_penalty


PLAIN = BeamOptions()


_BLOCK = 64  # columns that `_top_k` sees as one at first


class _Hypotheses(NamedTuple):
    """At most n hypotheses of each of R groups; missing ones have a score of -inf.

    Attributes:
        words: Token ids int32 (R, n, max_length), of which `length` are set.
        length: Number of tokens, int32 (R, n).
        score: ln P minus the diversity penalties, float32 (R, n).
        cost: Diversity penalties, float32 (R, n).
    """

    words: Any
    length: Any
    score: Any
    cost: Any


class BeamSearch:
    """Beam search over one network, or over an ensemble.

    At each step every live hypothesis is extended by every token. Among the best `beam_width` extensions, those that
    end are finished hypotheses; the best `beam_width` of the others stay alive. The score is the sum of
    log-probabilities, without length normalization as in the paper, unless there is a `length_penalty`. The search of
    an image ends when no live hypothesis can overtake the worst of its `beam_width` finished ones. Of equal scores that
    of the better parent hypothesis comes first, then that of the smaller token id. Hypotheses that are alive after
    `max_length` tokens compete as they are.

    In diverse beam search each group is such a beam with an equal part of the width.
    """

    def __init__(
        self,
        network: StepModel,
        beam_width: int,
        max_length: int = 30,
        constraints: Constraints = DEFAULT_CONSTRAINTS,
        options: BeamOptions = PLAIN,
    ):
        """Prepare the search, which is compiled at the first call.

        Args:
            network: One network, or an ensemble.
            beam_width: Number of hypotheses per image.
            max_length: Maximum number of tokens.
            constraints: Hard decoding constraints.
            options: Length penalty and diversity.

        Raises:
            ConfigurationError: Constraints or options cannot be satisfied.
        """
        constraints.check(network.sizes["vocabulary_size"], max_length)
        options.check(beam_width)
        self.beam_width, self.max_length = beam_width, max_length
        self.constraints, self.options = constraints, options
        self._network = network
        features = tf.TensorSpec((None, network.sizes["feature_size"]), tf.float32)
        self._search = tf.function(self._search_images, input_signature=[features], autograph=False)

    def __call__(self, features: NDArray[np.floating]) -> list[list[Decoded]]:
        """Decode a batch of images.

        Args:
            features: Image features (B, D).

        Returns:
            At most `beam_width` hypotheses per image, best first. The groups of a diverse search are merged; duplicates
            are removed.

        Raises:
            ConfigurationError: The constraints leave no valid token for an image.
        """
        shape = (len(features), self.beam_width)
        words, length, score, cost = (
            part.numpy().reshape(*shape, *part.shape[2:]) for part in self._search(tf.constant(features, tf.float32))
        )
        found: list[dict[tuple[int, ...], float]] = []
        for row, column in np.ndindex(shape):
            if column == 0:
                found.append({})
            if np.isfinite(score[row, column]):
                tokens = tuple(words[row, column, : length[row, column]].tolist())
                found[row][tokens] = float(score[row, column] + cost[row, column])
        if not all(found):
            raise self.constraints.no_valid_token_error()

        def order(hypothesis: Decoded) -> float:
            return float(-hypothesis.log_prob / self.options.divisor(min(len(hypothesis.tokens) + 1, self.max_length)))

        return [sorted((Decoded(*each) for each in image.items()), key=order) for image in found]

    def _search_images(self, features: tf.Tensor) -> _Hypotheses:
        """Return the finished hypotheses of the groups of each image, (B * groups, group width), from features.

        Images whose search has ended leave the batch. `active` has the indices of the others, whose rows the state,
        `live` and `finished` contain; `found` has the finished hypotheses of all images.
        """
        groups, width = self.options.groups, self.beam_width // self.options.groups
        images = tf.shape(features)[0]
        rows = images * groups
        projected = self._network.project_image(features)

        def image_of(active: tf.Tensor) -> Any:
            hypotheses = tf.repeat(active, self.beam_width)
            return tf.nest.map_structure(lambda part: tf.gather(part, hypotheses), projected)

        active = tf.range(images)
        state = self._network.initial_state(rows * width, image_of(active))
        nothing = _Hypotheses(
            tf.zeros((rows, width, self.max_length), tf.int32),
            tf.zeros((rows, width), tf.int32),
            tf.fill((rows, width), -np.inf),
            tf.zeros((rows, width)),
        )
        # The hypotheses of a group are equal at the start, so that only one can be extended at first.
        live = nothing._replace(score=tf.tile(tf.constant([[0.0] + [-np.inf] * (width - 1)]), (rows, 1)))
        last = tf.fill((rows, width), BOS)

        def rows_of(images: tf.Tensor) -> tf.Tensor:
            return tf.reshape(images[:, None] * groups + tf.range(groups), [-1])

        def put(found: _Hypotheses, active: tf.Tensor, finished: _Hypotheses) -> _Hypotheses:
            place = rows_of(active)[:, None]
            together: _Hypotheses = tf.nest.map_structure(
                lambda whole, part: tf.tensor_scatter_nd_update(whole, place, part), found, finished
            )
            return together

        def step(
            length: tf.Tensor,
            active: tf.Tensor,
            last: tf.Tensor,
            state: Any,
            live: _Hypotheses,
            finished: _Hypotheses,
            found: _Hypotheses,
        ) -> tuple[Any, ...]:
            logits, new_state = self._network.step(tf.reshape(last, [-1]), state, image_of(active))
            history = tf.reshape(live.words, [-1, self.max_length])
            log_probs = self.constraints.mask(tf.nn.log_softmax(tf.cast(logits, tf.float32)), history, length)
            parents, words, continued = self._continue(live, log_probs)
            ended = continued._replace(score=tf.where(words == BOS, continued.score, -np.inf))
            finished = self._best([finished, tf.nest.map_structure(lambda part: part[:, :width], ended)], width)
            alive = _alive(words, width)
            live, parents, last = tf.nest.map_structure(
                lambda part: tf.gather(part, alive, axis=1, batch_dims=1), (continued, parents, words)
            )
            written = tf.range(self.max_length) == length
            live = live._replace(words=tf.where(written, last[:, :, None], live.words), length=live.length + 1)
            survivors = tf.range(tf.shape(parents)[0])[:, None] * width + parents

            found = put(found, active, finished)
            # ln P only decreases, and its divisor grows with the length: an upper bound of the final score.
            bound = live.score[:, 0] / self.options.divisor(float(self.max_length))
            searching = tf.reshape(self._rank(finished)[:, -1] < bound, [-1, groups])
            kept = tf.where(tf.reduce_any(searching, axis=1))[:, 0]
            kept_rows = rows_of(tf.cast(kept, tf.int32))
            last, live, finished, survivors = tf.nest.map_structure(
                lambda part: tf.gather(part, kept_rows), (last, live, finished, survivors)
            )
            # A network in mixed precision returns half-precision states for the initial float32 ones.
            state = tf.nest.map_structure(
                lambda part, before: tf.cast(tf.gather(part, tf.reshape(survivors, [-1])), before.dtype),
                new_state,
                state,
            )
            return length + 1, tf.gather(active, kept), last, state, live, finished, found

        _, active, _, _, live, finished, found = tf.while_loop(
            lambda length, active, *_: (length < self.max_length) & (tf.size(active) > 0),
            step,
            (0, active, last, state, live, nothing, nothing),
        )
        return put(found, active, self._best([finished, live], width))  # those that are cut off

    def _continue(self, live: _Hypotheses, log_probs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, _Hypotheses]:
        """Return the best extensions of each group, twice as many as it has hypotheses.

        Args:
            live: Live hypotheses (R, n).
            log_probs: ln P of the next token (R * n, V).

        Returns:
            Parents and tokens, int32 (R, 2n), and the hypotheses (R, 2n) without these tokens.
        """
        groups, width, vocabulary_size = self.options.groups, live.score.shape[1], log_probs.shape[1]
        totals = live.score[:, :, None] + tf.reshape(log_probs, [-1, width, vocabulary_size])
        totals = tf.reshape(totals, [-1, groups, width, vocabulary_size])
        price = tf.zeros((tf.shape(totals)[0], vocabulary_size))  # of each token for the next group, (B, V)
        found: list[tuple[tf.Tensor, ...]] = []
        for of_group in tf.split(totals, groups, axis=1):
            if found:
                of_group -= price[:, None, None, :]
            # _top_k puts the lower index first among equals: the better parent, then the smaller token id.
            score, index = _top_k(tf.reshape(of_group, [-1, width * vocabulary_size]), 2 * width)
            parents, words = index // vocabulary_size, index % vocabulary_size
            found.append((score, parents, words, tf.gather(price, words, batch_dims=1)))
            chosen = tf.gather(tf.where(score > -np.inf, words, -1), _alive(words, width), batch_dims=1)
            price += self.options.diversity * tf.reduce_sum(tf.one_hot(chosen, vocabulary_size), axis=1)
        score, parents, words, cost = (
            tf.reshape(tf.stack(parts, axis=1), [-1, 2 * width]) for parts in zip(*found, strict=True)
        )
        before = tf.nest.map_structure(lambda part: tf.gather(part, parents, axis=1, batch_dims=1), live)
        return parents, words, before._replace(score=score, cost=before.cost + cost)

    def _rank(self, hypotheses: _Hypotheses) -> tf.Tensor:
        """Return the scores of finished hypotheses; truncated ones have no end token."""
        predicted = tf.minimum(hypotheses.length + 1, self.max_length)
        return hypotheses.score / self.options.divisor(tf.cast(predicted, tf.float32))

    def _best(self, parts: list[_Hypotheses], count: int) -> _Hypotheses:
        """Return the best of all, best first; among equals the earlier."""
        together = tf.nest.map_structure(lambda *each: tf.concat(each, axis=1), *parts)
        _, order = tf.math.top_k(self._rank(together), count)
        best: _Hypotheses = tf.nest.map_structure(lambda part: tf.gather(part, order, axis=1, batch_dims=1), together)
        return best


def _top_k(values: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `tf.math.top_k` returns for the rows of a matrix, in a third of its time if they are long.

    The `count` best values are in the `count` blocks with the largest maxima. These stay in their order, so that of
    equal values the one with the lower index comes first.
    """
    blocks, rest = divmod(values.shape[1], _BLOCK)
    if blocks < 4 * count:
        best, index = tf.math.top_k(values, count)
        return best, index
    padded = tf.pad(values, [[0, 0], [0, _BLOCK - rest]], constant_values=-np.inf)
    by_block = tf.reshape(padded, [-1, blocks + 1, _BLOCK])
    _, chosen = tf.math.top_k(tf.reduce_max(by_block, axis=2), count)
    chosen = tf.sort(chosen, axis=1)
    candidates = tf.reshape(tf.gather(by_block, chosen, batch_dims=1), [-1, count * _BLOCK])
    best, place = tf.math.top_k(candidates, count)
    return best, tf.gather(chosen, place // _BLOCK, batch_dims=1) * _BLOCK + place % _BLOCK


def _alive(words: tf.Tensor, count: int) -> tf.Tensor:
    """Return the indices (R, count) of the extensions (R, 2 count) that stay alive; at most half of them end."""
    return tf.argsort(tf.cast(words == BOS, tf.int32), axis=1, stable=True)[:, :count]


def decode_images(
    search: BeamSearch,
    features: NDArray[np.floating] | FeatureRows,
    batch_size: int,
    progress: Callable[[float], None] = lambda done: None,
) -> Iterator[list[Decoded]]:
    """Decode images batch by batch.

    Args:
        search: A beam search.
        features: Image features (N, D).
        batch_size: Number of images per batch.
        progress: Receives the finished fraction.

    Yields:
        The hypotheses of each image, in order, best first.
    """
    for start in range(0, len(features), batch_size):
        yield from search(features[start : start + batch_size])
        progress(min(1.0, (start + batch_size) / len(features)))
