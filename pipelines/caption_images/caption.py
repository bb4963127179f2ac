"""Captions of arbitrary images: the backbone, decoding and reranking of the pipeline, in one process."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.lean_keras import tf  # isort: skip  # before whatever imports Keras

from model.decoding.beam_search import BeamOptions
from model.decoding.constraints import Constraints
from model.decoding.ensemble import as_one
from model.decoding.strategies import BeamStrategy, Search, decode_rows
from model.mrnn.network import MRNN, load_network, refine_features
from model.reranking.neighbors import nearest
from model.text.detokenize import detokenize
from pipelines.caption_images.captioner import Captioner, find_captioner, find_pretrained
from pipelines.captions.reranker import ImageWeights, Reranked, Reranker, weigh_images
from pipelines.engines.shards import ImageSource
from pipelines.features.extractor import FeatureExtractor
from pipelines.features.images import ShardCounts, read_ahead
from schemas.captions import read_tokens
from schemas.checkpoint import read_checkpoint
from schemas.errors import ArtifactError
from schemas.features import FeatureFile, Reject
from schemas.hypotheses import Hypothesis, ImageHypotheses
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting

Progress = Callable[[float, str], None]
BATCH_SIZE = 32
EAGER_IMAGES = 64  # up to which compiling graphs takes longer than computing without them
DEFAULT_SEARCH = BeamStrategy(3, 29, Constraints(no_repeat_ngram=3), BeamOptions(length_penalty=1.0))


@dataclass(frozen=True)
class Caption:
    """A caption of an image.

    Attributes:
        text: The sentence.
        log_prob: ln P(caption | image) in nats, including the end token.
        consensus: Consensus score, or None without reranking.
    """

    text: str
    log_prob: float
    consensus: float | None

    @property
    def probability(self) -> float:
        """P(caption | image)."""
        return math.exp(self.log_prob)


@dataclass(frozen=True)
class CaptionedImage:
    """A captioned image.

    Attributes:
        image_id: Id of the image.
        captions: Its captions, best first.
        neighbors: Ids of the nearest training images that reranking compared it with.
    """

    image_id: str
    captions: tuple[Caption, ...]
    neighbors: tuple[str, ...]


@dataclass(frozen=True)
class CaptionedImages:
    """Captions of several images.

    Attributes:
        images: Images that could be read, in their order.
        rejects: All other images.
    """

    images: tuple[CaptionedImage, ...]
    rejects: tuple[Reject, ...]


class LoadedCaptioner:
    """The networks of a captioner in memory.

    Attributes:
        networks: The m-RNN, or those of an ensemble.
        vocabulary: Vocabulary of the networks.
    """

    def __init__(self, captioner: Captioner, backbone: str = "", weights: str = ""):
        """Load backbone and networks.

        Args:
            captioner: Location of the captioner.
            backbone: Backbone in place of the recorded one, where a SavedModel has moved.
            weights: Weights of the backbone in place of the recorded ones, where their file has moved.

        Raises:
            ArtifactError: The backbone is not the one that the model was trained with, or an artifact is damaged.
            ConfigurationError: The model has no backbone to compute features with, or the ensemble is impossible.
        """
        extraction = captioner.extraction
        spec = captioner.backbone_spec(backbone, weights)
        self._extractor = FeatureExtractor(spec, extraction["crop"], extraction["dtype"], threads=0)
        _check_backbone(self._extractor, captioner)
        checkpoints = [read_checkpoint(path) for path in captioner.models]
        self.networks = [load_network(checkpoint.network) for checkpoint in checkpoints]
        self.vocabulary = checkpoints[0].vocabulary
        self.step_model = as_one(self.networks)

    def extract(
        self, images: Sequence[ImageSource], progress: Progress = lambda fraction, message: None
    ) -> tuple[list[str], NDArray[np.floating], list[Reject]]:
        """Extract features: ids and features (n, D) of the images that can be read, and the others."""
        extractor = self._extractor
        image_ids: list[str] = []
        rejects: list[Reject] = []
        blocks = [np.empty((0, extractor.dimension), extractor.dtype)]
        pixels: list[NDArray[np.uint8]] = []
        threads = os.cpu_count() or 1
        outcomes = read_ahead(images, extractor.cut, threads, 2 * BATCH_SIZE, ShardCounts())
        for number, (image, outcome) in enumerate(outcomes, start=1):
            if isinstance(outcome, Reject):
                rejects.append(outcome)
            else:
                image_ids.append(image.image_id)
                pixels.append(outcome)
            if pixels and (len(pixels) == BATCH_SIZE or number == len(images)):
                blocks.append(extractor.features(pixels))
                pixels.clear()
            progress(number / len(images), f"features of {number} of {len(images)} images")
        return image_ids, np.concatenate(blocks), rejects

    def decode(
        self,
        search: Search,
        image_ids: Sequence[str],
        rows: NDArray[np.floating],
        progress: Progress = lambda fraction, message: None,
    ) -> list[ImageHypotheses]:
        """Generate captions from features.

        Args:
            search: Decoding strategy.
            image_ids: Ids of the n images.
            rows: Their features (n, D).
            progress: Called with the completed fraction and a message.

        Raises:
            ConfigurationError: The search is impossible.
        """
        hypotheses: list[ImageHypotheses] = []
        for image in decode_rows(search(self.step_model), self.vocabulary, image_ids, rows, BATCH_SIZE):
            hypotheses.append(image)
            progress(len(hypotheses) / len(rows), f"{len(hypotheses)} of {len(rows)} images captioned")
        return hypotheses


def caption_images(
    images: Sequence[ImageSource],
    model: Captioner | Path | None = None,
    *,
    backbone: str = "",
    weights: str = "",
    search: Search = DEFAULT_SEARCH,
    reranking: RerankingSetting | None = None,
    progress: Progress = lambda fraction, message: None,
) -> CaptionedImages:
    """Caption images.

    Args:
        images: Images, see `find_images`.
        model: Captioner, or directory of a release or of a model artifact; None for the pretrained captioner.
        backbone: Backbone in place of the recorded one, where a SavedModel has moved.
        weights: Weights of the backbone in place of the recorded ones, where their file has moved.
        search: Decoding strategy.
        reranking: Consensus reranking by the captions of similar training images; ignored without training captions.
        progress: Called with the completed fraction and a message.

    Raises:
        ArtifactError: The backbone is not the one that the model was trained with, or an artifact is damaged.
        ConfigurationError: The model has no backbone to compute features with, or the search or ensemble is impossible.
    """
    captioner = model if isinstance(model, Captioner) else find_captioner(model) if model else find_pretrained()
    progress(0.0, "loading the networks")
    loaded = LoadedCaptioner(captioner, backbone, weights)
    with eager_execution(len(images) <= EAGER_IMAGES):
        image_ids, rows, rejects = loaded.extract(images, lambda done, message: progress(0.6 * done, message))
        hypotheses = loaded.decode(search, image_ids, rows, lambda done, message: progress(0.6 + 0.3 * done, message))
    if reranking and captioner.tokens and hypotheses:
        progress(0.9, "reranking captions")
        found = [*_rerank(hypotheses, rows, loaded.networks[0], captioner, reranking)]
    else:
        found = [Reranked(image, [], [], False) for image in hypotheses]
    return CaptionedImages(tuple(map(_captioned, found)), tuple(rejects))


def describe_caption(hypothesis: Hypothesis, consensus: float | None = None) -> Caption:
    """Turn a generated hypothesis into a caption for people."""
    assert hypothesis.log_prob is not None
    return Caption(detokenize(hypothesis.tokens), hypothesis.log_prob, consensus)


def _captioned(reranked: Reranked) -> CaptionedImage:
    captions = reranked.image.captions
    scores: Sequence[float | None] = reranked.scores or [None] * len(captions)
    return CaptionedImage(
        reranked.image.image_id,
        tuple(describe_caption(each, score) for each, score in zip(captions, scores, strict=True)),
        tuple(reranked.neighbors),
    )


def _check_backbone(extractor: FeatureExtractor, captioner: Captioner) -> None:
    found, trained = extractor.description(""), captioner.backbone
    if (found.preprocessing, found.weights_digest) != (trained["preprocessing"], trained["weights_digest"]):
        raise ArtifactError(
            f"The backbone {found.kind} ({found.preprocessing}; weights {found.weights_digest[:10]}) is not the one of "
            f"{captioner.models[0]} ({trained['preprocessing']}; weights {trained['weights_digest'][:10]}); name that "
            "one with --backbone and --weights."
        )


@contextmanager
def eager_execution(eager: bool) -> Iterator[None]:
    """Execute functions that would be compiled to graphs operation by operation."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(eager)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _rerank(
    hypotheses: Sequence[ImageHypotheses],
    rows: NDArray[np.floating],
    network: MRNN,
    captioner: Captioner,
    setting: RerankingSetting,
) -> Iterator[Reranked]:
    assert captioner.tokens
    captions = read_tokens(captioner.tokens, "train")
    image_ids = [image.image_id for image in hypotheses]
    references = _compare_images(image_ids, rows, captions, network, captioner, setting)
    if isinstance(references, Neighbors):
        setting = replace(setting, k=min(setting.k, references.indices.shape[1] - 1))
    return map(Reranker(hypotheses, references, captions, setting), hypotheses)


def _compare_images(
    image_ids: Sequence[str],
    rows: NDArray[np.floating],
    captions: Mapping[str, Any],
    network: MRNN,
    captioner: Captioner,
    setting: RerankingSetting,
) -> Neighbors | ImageWeights | None:
    """Find the k nearest training images and one more, in case an image has the id of one of them, or weights all.

    Returns None for self-consensus.
    """
    if setting.features is None:
        return None
    assert captioner.features
    features = FeatureFile(captioner.features)
    training_ids = [image_id for image_id in captions if image_id in features]
    training = features.read(training_ids)
    if setting.features == "refined":
        rows, training = (np.concatenate(list(refine_features(network, iter([side])))) for side in (rows, training))
    if setting.metric is None:
        return weigh_images(image_ids, rows, training_ids, training, setting)
    indices, distances = nearest(rows, training, setting.k + 1, setting.metric)
    return Neighbors(list(image_ids), training_ids, indices, distances, setting.features, setting.metric)
