"""Decoding strategies as plain values, which can be sent to the process that has the network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.decoding.beam_search import BeamOptions, BeamSearch, Decoded
from model.decoding.config import DecodingConfig
from model.decoding.constraints import Constraints, ids_of
from model.decoding.sampling import Sampling, sample_captions
from model.decoding.step_model import StepModel
from schemas.hypotheses import Hypothesis, ImageHypotheses
from schemas.vocabulary import Vocabulary

Decode = Callable[[NDArray[np.floating], int], list[list[Decoded]]]
"""Features (B, D) of images and the number of the first among all -> hypotheses of each image, best first."""


class Search(Protocol):
    """Interface of search strategies, which are hashable and picklable.

    Attributes:
        max_length: Maximum number of tokens; a caption of this length is truncated and has no end token.
    """

    @property
    def max_length(self) -> int:
        """Maximum number of tokens."""
        ...

    def __call__(self, network: StepModel) -> Decode:
        """Return the search in a network, which is compiled once."""
        ...


@dataclass(frozen=True)
class BeamStrategy:
    """Beam search.

    Attributes:
        width: Width of the beam; 1 is greedy search.
        max_length: Maximum number of tokens.
        constraints: Hard decoding constraints.
        options: Length penalty and diversity.
    """

    width: int
    max_length: int
    constraints: Constraints
    options: BeamOptions

    def __call__(self, network: StepModel) -> Decode:
        """See `Search`."""
        search = BeamSearch(network, self.width, self.max_length, self.constraints, self.options)
        return lambda features, first: search(features)


@dataclass(frozen=True)
class SamplingStrategy:
    """Sampling from the network's distribution.

    Attributes:
        count: Number of captions per image.
        sampling: Distribution that tokens are sampled from.
        seed: Seed of the random numbers.
        max_length: Maximum number of tokens.
        constraints: Hard decoding constraints.
    """

    count: int
    sampling: Sampling
    seed: int
    max_length: int
    constraints: Constraints

    def __call__(self, network: StepModel) -> Decode:
        """See `Search`."""

        def decode(features: NDArray[np.floating], first: int) -> list[list[Decoded]]:
            every = sample_captions(
                network, features, self.count, self.sampling, self.seed, first, self.max_length, self.constraints
            )
            return [sorted(drawn, key=lambda caption: -caption.log_prob) for drawn in every]

        return decode


def make_search(config: DecodingConfig, vocabulary: Vocabulary) -> Search:
    """Build the search that the configuration describes.

    Raises:
        ConfigurationError: A forbidden token is not in the vocabulary, or the options of sampling are invalid.
    """
    constraints = Constraints(config.min_length, ids_of(config.forbidden, vocabulary), config.no_repeat_ngram)
    if config.search == "sample":
        sampling = Sampling(config.temperature, config.top_k, config.top_p)
        return SamplingStrategy(config.width, sampling, config.seed, config.max_length, constraints)
    options = BeamOptions(
        0.0 if config.search == "greedy" else config.length_penalty,
        config.groups if config.search == "n-best" else 1,
        config.diversity,
    )
    return BeamStrategy(config.width, config.max_length, constraints, options)


def decode_rows(
    decode: Decode,
    vocabulary: Vocabulary,
    image_ids: Sequence[str],
    rows: NDArray[np.floating],
    batch_size: int,
    first: int = 0,
) -> Iterator[ImageHypotheses]:
    """Decode images batch by batch.

    Args:
        decode: A search in a network.
        vocabulary: Vocabulary of the network.
        image_ids: Ids of the N images.
        rows: Their features (N, D).
        batch_size: Number of images per batch.
        first: Number of the first image among all, on which the samples of an image depend.

    Yields:
        The hypotheses of each image, in order.
    """
    for start in range(0, len(rows), batch_size):
        batch = slice(start, start + batch_size)
        for image_id, found in zip(image_ids[batch], decode(rows[batch], first + start), strict=True):
            captions = tuple(Hypothesis(tuple(vocabulary.decode(each.tokens)), each.log_prob) for each in found)
            yield ImageHypotheses(image_id, captions)
