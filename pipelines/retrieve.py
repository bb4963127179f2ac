"""Evaluation of retrieval: all references of a split against all its images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from model.network import load_network
from model.retrieval import image_recall, log_likelihoods, normalise, sentence_recall
from pipelines.training_data import read_training_data
from schemas.checkpoint import read_checkpoint
from schemas.scores import RetrievalScores


def evaluate_retrieval(
    *,
    model: Path,
    features: Path,
    captions: Path,
    split: str,
    normalisation_images: int,
    seed: int,
    progress: Callable[[float, str], None],
) -> RetrievalScores:
    """Recall in both directions (the paper's Section 5.3); the paths are those of the artifacts.

    P(w) of the image-to-sentence score is the mean over `normalisation_images` training images, sampled by `seed`.
    """
    network = load_network(read_checkpoint(model).network)
    data, train = (read_training_data(captions, features, each) for each in (split, "train"))
    sample = np.random.default_rng(seed).permutation(len(train.features))[:normalisation_images]
    sentences = [data.captions[caption] for caption in range(len(data.captions))]
    images = len(data.features)
    likelihoods = log_likelihoods(
        network,
        sentences,
        np.concatenate([data.features[:], train.features[np.sort(sample)]]),
        lambda done: progress(done, f"{len(sentences)} sentences against {images} + {len(sample)} images"),
    )
    owner = data.captions.image_index
    return RetrievalScores(
        split=split,
        images=images,
        sentences=len(sentences),
        normalisation_images=len(sample),
        sentence=sentence_recall(normalise(likelihoods[:, :images], likelihoods[:, images:]), owner),
        image=image_recall(likelihoods[:, :images], owner),
    )
