"""Evaluation of retrieval: all references of some images against all of these images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.metrics.pair_likelihoods import likelihood_bounds, log_likelihoods
from model.metrics.retrieval import image_ranks, log_prior, pairs_in_question, recall, sentence_ranks
from model.mrnn.network import MRNN, load_network
from model.training.history import TrainingData
from pipelines.training.data import read_training_data
from schemas.checkpoint import read_checkpoint
from schemas.errors import ConfigurationError
from schemas.scores import RetrievalScores

PART = 1000  # images of a part in the protocols of the literature
BOUNDS = 0.7  # fraction of the progress when the bounds of likelihoods are known
PARTS = {"all": None, "1k": 1, "5fold": 5}


def evaluate_retrieval(
    *,
    model: Path,
    features: Path,
    captions: Path,
    split: str,
    protocol: str,
    normalization_images: int,
    seed: int,
    scratch: Path,
    progress: Callable[[float, str], None],
) -> RetrievalScores:
    """Evaluate retrieval in both directions (the paper's Section 5.3).

    All ranks are exact. If the image enters the multimodal layer only, upper bounds of the likelihoods show which pairs
    no rank depends on, and these are not computed.

    Bounds and likelihoods are stored in `scratch`, so that an interrupted run resumes with what remains.

    Args:
        model: Model artifact.
        features: Feature artifact.
        captions: Artifact of TokenizeCaptions.
        split: Split of the images.
        protocol: See `RetrievalScores`; the thousands are the split's first images, in order.
        normalization_images: Number of training images that P(w) of the image-to-sentence score is the mean over.
        seed: Seed of the sample of training images.
        scratch: Directory for likelihoods.
        progress: Called with a fraction and a message.

    Raises:
        ConfigurationError: The split has too few images for the protocol.
        ArtifactError: The model's probabilities are not finite.
    """
    network = load_network(read_checkpoint(model).network)
    data, train = (read_training_data(captions, features, each) for each in (split, "train"))
    sample = np.sort(np.random.default_rng(seed).permutation(len(train.features))[:normalization_images])
    parts = _parts(len(data.features), protocol, split)
    ranks = [
        _ranks_of_part(
            network,
            data,
            images,
            train.features[sample],
            scratch / str(number),
            lambda done, message, number=number: progress((number + done) / len(parts), message),  # type: ignore[misc]
        )
        for number, images in enumerate(parts)
    ]
    return RetrievalScores(
        split=split,
        protocol=protocol,
        images=sum(len(of_sentences) for of_sentences, _ in ranks),
        sentences=sum(len(of_images) for _, of_images in ranks),
        normalization_images=len(sample),
        sentence=recall([of_sentences for of_sentences, _ in ranks]),
        image=recall([of_images for _, of_images in ranks]),
    )


def _parts(images: int, protocol: str, split: str) -> list[NDArray[np.int64]]:
    """Return the images of each part."""
    count = PARTS[protocol]
    if count is None:
        return [np.arange(images)]
    if images < count * PART:
        raise ConfigurationError(
            f"The protocol {protocol} needs {count * PART} images and {split} has {images}; set protocol to all."
        )
    return list(np.arange(count * PART).reshape(count, PART))


def _ranks_of_part(
    network: MRNN,
    data: TrainingData,
    images: NDArray[np.int64],
    sampled: NDArray[np.floating],
    scratch: Path,
    progress: Callable[[float, str], None],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rank captions by image and images by caption, among `images` and their captions."""
    owners = data.captions.image_index
    captions = np.flatnonzero(np.isin(owners, images)).tolist()
    owner = np.searchsorted(images, owners[captions])
    sentences, features = [data.captions[caption] for caption in captions], data.features[images]
    likelihoods = _open_array(scratch / "likelihoods.npy", (len(images) + len(sampled), len(captions))).T
    own, others = likelihoods[:, : len(images)], likelihoods[:, len(images) :]
    description = f"{len(captions)} sentences against {len(images)} + {len(sampled)} images"
    if network.image_enters_last:
        bounds = _open_array(scratch / "bounds.npy", (len(captions), len(sampled) + len(images)))
        likelihood_bounds(
            network, sentences, sampled, features, bounds, lambda done: progress(done * BOUNDS, description)
        )
        others, bounds = bounds[:, : len(sampled)], bounds[:, len(sampled) :]
        right = owner[:, None] == np.arange(len(images))
        of_right = log_likelihoods(network, sentences, features, pairs=right)[right]
        pairs = pairs_in_question(bounds, of_right, log_prior(others), owner)
        log_likelihoods(
            network,
            sentences,
            features,
            own,
            lambda done: progress(BOUNDS + done * (1.0 - BOUNDS), f"{pairs.sum()} pairs of {description}"),
            pairs,
        )
    else:
        every_image = np.concatenate([features, sampled])
        log_likelihoods(network, sentences, every_image, likelihoods, lambda done: progress(done, description))
    return sentence_ranks(own, log_prior(others), owner), image_ranks(own, owner)


def _open_array(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the array in a file, float64, one of zeros if there is none yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=np.float64, shape=shape)
