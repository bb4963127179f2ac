"""CIDEr-D of sentences against the captions of their images: the reward of self-critical training."""

from collections.abc import Sequence

import numpy as np

from model.ngrams import SentenceTable, Words
from model.similarity import CiderSimilarity, NgramWeights


class CiderReward:
    """Mean CIDEr-D, 0..10, of a sentence with each caption of its image (Rennie et al. 2017, Section 3).

    Document frequencies are those of all captions, a document being those of one image. The end sign counts if it is
    part of the sentences, as a word like any other.
    """

    def __init__(self, captions: Sequence[Words], of_image: Sequence[np.ndarray]):
        """Captions and, by image, the numbers of its own, see `Captions.of_image`."""
        self._captions, self._rows = captions, of_image
        self._weights = NgramWeights(SentenceTable(captions), self._rows)

    def __call__(self, sentences: Sequence[Words], images: np.ndarray) -> np.ndarray:
        """The rewards of sentences, of the image of each: float64 (sentences,)."""
        owners, places = np.unique(images, return_inverse=True)
        references = [self._captions[row] for image in owners for row in self._rows[image]]
        similarity = CiderSimilarity(SentenceTable([*sentences, *references]), self._weights)
        rewards, start = np.zeros(len(sentences)), len(sentences)
        for place, image in enumerate(owners):
            own, end = np.flatnonzero(places == place), start + len(self._rows[image])
            rewards[own] = similarity(own, np.arange(start, end)).mean(axis=1)
            start = end
        return rewards
