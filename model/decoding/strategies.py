"""Searches for captions as plain values, which can be sent to the process that has the network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.decoding.beam_search import BeamOptions, BeamSearch, Decoded
from model.decoding.constraints import Constraints
from model.decoding.sampling import Sampling, sample_captions
from model.decoding.step_model import StepModel

Decode = Callable[[np.ndarray, int], list[list[Decoded]]]
"""Features (B, D) of images and the number of the first among all -> hypotheses of each image, best first."""


class Search(Protocol):
    """How captions are searched for; hashable, and can be pickled."""

    def __call__(self, network: StepModel) -> Decode:
        """The search in a network; what it compiles is compiled once."""
        ...


@dataclass(frozen=True)
class BeamStrategy:
    """`BeamSearch` of this width; 1 is greedy search."""

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
    """So many captions an image drawn from the network's distribution."""

    count: int
    sampling: Sampling
    seed: int
    max_length: int
    constraints: Constraints

    def __call__(self, network: StepModel) -> Decode:
        """See `Search`."""

        def decode(features: np.ndarray, first: int) -> list[list[Decoded]]:
            every = sample_captions(
                network, features, self.count, self.sampling, self.seed, first, self.max_length, self.constraints
            )
            return [sorted(drawn, key=lambda caption: -caption.log_prob) for drawn in every]

        return decode
