"""CIDEr-D (Vedantam et al. 2015) as coco-caption computes it, with the document frequencies of the references."""

import numpy as np

from model.metrics.bootstrap import Statistics, mean_of
from model.metrics.tokenized import TokenizedCaptions
from model.text.ngrams import ORDERS

NAMES, VERSION, NEEDS_JAVA = ("CIDEr-D",), "coco-caption", False
_LENGTH_DEVIATION = 6.0  # standard deviation of the Gaussian length penalty, in bigrams


def score(captions: TokenizedCaptions) -> dict[str, Statistics]:
    """Return the statistics of CIDEr-D, a mean over images in 0..10."""
    table, images, matches = captions.table, len(captions.captions), captions.matches
    ends = images + np.cumsum([len(texts) for texts in captions.references])
    documents = np.split(np.arange(images, len(table)), ends[:-1] - images)
    weights = np.log(float(images)) - np.log(np.maximum(1, table.document_frequencies(documents)))

    row = np.repeat(np.arange(len(table)), np.diff(table.starts))
    squares = (table.entry_counts * weights[table.entry_columns]) ** 2
    places = row * ORDERS + table.orders[table.entry_columns] - 1
    norms = np.sqrt(np.bincount(places, squares, len(table) * ORDERS).reshape(-1, ORDERS))

    clipped = np.minimum(table.entry_counts[matches.entry], matches.in_reference)
    products = clipped * matches.in_reference * weights[matches.column] ** 2
    places = matches.reference * ORDERS + table.orders[matches.column] - 1
    similarity = np.bincount(places, products, len(captions.owners) * ORDERS).reshape(-1, ORDERS)
    both = norms[captions.owners] * norms[images:]
    similarity = np.divide(similarity, both, out=np.zeros(both.shape), where=both > 0).mean(axis=1)
    bigrams = np.maximum(0, table.lengths - 1)
    difference = bigrams[captions.owners] - bigrams[images:]
    similarity *= np.exp(-(difference**2) / (2 * _LENGTH_DEVIATION**2))
    sums = np.bincount(captions.owners, similarity, images)
    return {"CIDEr-D": mean_of(10.0 * sums / np.bincount(captions.owners, minlength=images))}
