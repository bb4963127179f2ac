"""The reward of self-critical training: how like the captions of its image a sentence is."""

from collections.abc import Sequence

import numpy as np

from model.ngrams import SentenceTable, Words
from model.similarity import BleuSimilarity, CiderSimilarity, NgramWeights, Similarity


class CaptionReward:
    """Mean CIDEr-D, 0..10, of a sentence with each caption of its image (Rennie et al. 2017, Section 3), plus BLEU's.

    Document frequencies are those of all captions, a document being those of one image. `bleu` times the mean of
    mRNN-CR's BLEU similarity, 0..1, is added: CIDEr-D looks for the telling n-grams, it for all of them. The end sign
    counts if it is part of the sentences, as a word like any other.
    """

    def __init__(self, captions: Sequence[Words], by_image: Sequence[np.ndarray], bleu: float = 0.0):
        """Captions and, by image, the numbers of its own, see `Captions.by_image`."""
        self._captions, self._rows, self._bleu = captions, by_image, bleu
        self._weights = NgramWeights(SentenceTable(captions), self._rows)

    def __call__(self, sentences: Sequence[Words], images: np.ndarray) -> np.ndarray:
        """The rewards of sentences, of the image of each: float64 (sentences,)."""
        owners, places = np.unique(images, return_inverse=True)
        references = [self._captions[row] for image in owners for row in self._rows[image]]
        table = SentenceTable([*sentences, *references])
        similarities: list[tuple[float, Similarity]] = [(1.0, CiderSimilarity(table, self._weights))]
        if self._bleu:
            similarities.append((self._bleu, BleuSimilarity(table)))
        rewards, start = np.zeros(len(sentences)), len(sentences)
        for place, image in enumerate(owners):
            own, end = np.flatnonzero(places == place), start + len(self._rows[image])
            for weight, similarity in similarities:
                rewards[own] += weight * similarity(own, np.arange(start, end)).mean(axis=1)
            start = end
        return rewards
