"""Validation of a network while it is trained: perplexity, and CIDEr-D of generated captions."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.decoding.beam_search import BeamSearch, decode_images
from model.metrics.captions import cider
from model.mrnn.likelihood import perplexity
from model.mrnn.network import MRNN
from model.training.history import TrainingData
from schemas.captions import Captions
from schemas.features import FeatureRows
from schemas.vocabulary import Vocabulary


@dataclass(frozen=True)
class ValidationMetrics:
    """Metrics of one validation.

    Attributes:
        perplexity: Perplexity of the validation captions.
        cider: CIDEr-D of the generated captions; 0 if the perplexity is not finite.
        distinct_captions: Number of different captions among those generated.
    """

    perplexity: float
    cider: float
    distinct_captions: int


class Validator:
    """Validates one network on one split; its search is compiled once."""

    def __init__(self, network: MRNN, vocabulary: Vocabulary, data: TrainingData, max_length: int, beam_width: int):
        """Prepare the search.

        Args:
            network: The m-RNN.
            vocabulary: Its vocabulary.
            data: Captions of the validation split.
            max_length: Maximum number of tokens of a caption.
            beam_width: Width of the search.
        """
        self.network, self.vocabulary, self.data, self.max_length = network, vocabulary, data, max_length
        self._search = BeamSearch(network, beam_width, max_length)

    def __call__(self, features: NDArray[np.floating] | FeatureRows) -> ValidationMetrics:
        """Measure perplexity and CIDEr-D with features (images, D) of the split's images."""
        found = perplexity(self.network, self.data.captions, features, self.max_length)
        if not math.isfinite(found):  # a search is meaningless with such probabilities
            return ValidationMetrics(found, 0.0, 0)
        return ValidationMetrics(found, *generated_cider(self._search, self.vocabulary, self.data.captions, features))


def generated_cider(
    search: BeamSearch, vocabulary: Vocabulary, captions: Captions, features: NDArray[np.floating] | FeatureRows
) -> tuple[float, int]:
    """Score generated captions, in tokens of the vocabulary.

    Args:
        search: Search in the network.
        vocabulary: Vocabulary of the network.
        captions: Reference captions.
        features: Features (images, D), in the order of `captions.image_ids`.

    Returns:
        CIDEr-D, and the number of different captions among those generated.
    """
    decoded = decode_images(search, features, batch_size=100)
    hypotheses = {
        image: " ".join(vocabulary.decode(found[0].tokens))
        for image, found in zip(captions.image_ids, decoded, strict=True)
    }
    references: dict[str, list[str]] = {image: [] for image in captions.image_ids}
    for index, owner in enumerate(captions.image_index):
        references[captions.image_ids[owner]].append(" ".join(vocabulary.decode(captions[index])))
    return cider(hypotheses, references), len(set(hypotheses.values()))
