"""Explanations of captions: alternatives, the probability of each token, and the nearest training images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.decoding.likelihood import token_log_probs
from model.decoding.strategies import Search
from model.mrnn.network import refine_features
from model.reranking.neighbors import nearest
from pipelines.caption_images.caption import DEFAULT_SEARCH, Caption, LoadedCaptioner, describe_caption, eager_execution
from pipelines.caption_images.captioner import Captioner
from pipelines.engines.shards import ImageSource
from schemas.annotations import AnnotatedImage, read_annotations
from schemas.errors import InputError
from schemas.features import FeatureFile
from schemas.io.files import read_json
from schemas.provenance import is_complete, read_provenance

NEIGHBORS = 6  # training images that are shown per kind of features
END = "(end)"
_BLOCK = 4096  # training images that are refined at a time


@dataclass(frozen=True)
class Token:
    """A token of a caption.

    Attributes:
        text: The token, or `END`.
        probability: Its probability given the image and the tokens before it.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Neighbor:
    """A training image near to an image.

    Attributes:
        image: The training image.
        distance: Euclidean distance in feature space.
    """

    image: AnnotatedImage
    distance: float


@dataclass(frozen=True)
class Explanation:
    """A captioned image.

    Attributes:
        captions: Captions, most probable first as the search orders them.
        tokens: Tokens of the first caption, with the end token unless it was truncated.
        neighbors: Nearest training images by kind of features, `original` and `refined`; empty where the captioner
            has no training images.
    """

    captions: tuple[Caption, ...]
    tokens: tuple[Token, ...]
    neighbors: Mapping[str, tuple[Neighbor, ...]]


@dataclass(frozen=True)
class TrainingImages:
    """Training images of a captioner.

    Attributes:
        root: Directory that their files are relative to.
        images: Images of the training split that have features.
        features: Their features (n, D).
    """

    root: Path
    images: tuple[AnnotatedImage, ...]
    features: NDArray[np.floating]


def find_training_images(captioner: Captioner) -> TrainingImages | None:
    """Find the training images of a captioner; None for a release, or where their artifacts are gone."""
    if captioner.features is None:
        return None
    directory = captioner.features.parent
    upstream = read_provenance(directory).upstream
    data = directory.absolute().parent.parent
    found = [
        data / upstream[name].stage / upstream[name].key for name in ("annotations", "download") if name in upstream
    ]
    if len(found) < 2 or not all(map(is_complete, found)):
        return None
    annotations, download = found
    features = FeatureFile(captioner.features)
    images = tuple(image for image in read_annotations(annotations, "train") if image.image_id in features)
    root = download / str(read_json(download / "manifest.json")["root"])
    return TrainingImages(root, images, features.read([image.image_id for image in images]))


class Explainer:
    """Captions images one by one and explains the captions.

    Attributes:
        dataset: Name of the dataset that the captioner was trained on.
        training: Training images, or None where they are not available.
    """

    def __init__(self, captioner: Captioner, search: Search = DEFAULT_SEARCH):
        """Load the networks.

        Args:
            captioner: Location of the captioner.
            search: Decoding strategy.

        Raises:
            ArtifactError: The backbone is not the one that the model was trained with, or an artifact is damaged.
            ConfigurationError: The model has no backbone to compute features with, or the ensemble is impossible.
        """
        self._loaded, self._search = LoadedCaptioner(captioner), search
        self.dataset = str(captioner.extraction["dataset"])
        self.training = find_training_images(captioner)
        self._references: dict[str, NDArray[np.floating]] = {}
        if self.training:
            kinds = ("original", "refined") if self._loaded.networks[0].choices.image_input else ("original",)
            self._references = {kind: self._of_kind(self.training.features, kind) for kind in kinds}

    def explain(self, path: Path) -> Explanation:
        """Caption an image.

        Raises:
            InputError: The file is not a readable image.
        """
        with eager_execution(True):
            _, rows, rejects = self._loaded.extract([ImageSource(path.name, str(path))])
            if rejects:
                raise InputError(f"{path.name} cannot be captioned: {rejects[0].error}.")
            (found,) = self._loaded.decode(self._search, [path.name], rows)
            best = found.captions[0].tokens
            log_probs = token_log_probs(self._loaded.step_model, rows[0], self._loaded.vocabulary.encode(best))
        shown = (*best, END) if len(best) < self._search.max_length else best
        return Explanation(
            tuple(describe_caption(each) for each in found.captions),
            tuple(Token(text, math.exp(value)) for text, value in zip(shown, log_probs, strict=False)),
            {kind: self._nearest(rows, kind) for kind in self._references},
        )

    def _nearest(self, rows: NDArray[np.floating], kind: str) -> tuple[Neighbor, ...]:
        assert self.training
        indices, distances = nearest(self._of_kind(rows, kind), self._references[kind], NEIGHBORS, "euclidean")
        return tuple(
            Neighbor(self.training.images[index], float(distance))
            for index, distance in zip(indices[0], distances[0], strict=True)
        )

    def _of_kind(self, rows: NDArray[np.floating], kind: str) -> NDArray[np.floating]:
        """Return the features themselves, or refined ones (by the first network of an ensemble)."""
        if kind == "original":
            return rows
        blocks = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
        return np.concatenate(list(refine_features(self._loaded.networks[0], blocks)))
