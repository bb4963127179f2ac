"""From pictures to captions: the same image network, search and reranking as in the pipeline."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from model.decoding.ensemble import as_one
from model.decoding.strategies import Search
from model.mrnn.network import MRNN, load_network, refine_features
from model.reranking.neighbors import nearest
from pipelines.caption_images.captioner import Captioner
from pipelines.captions.generate_captions import decode_rows
from pipelines.captions.reranker import Reranker, rerank
from pipelines.features.extractor import FeatureExtractor
from pipelines.features.images import ImageSource, read_ahead
from pipelines.features.shards import ShardCounts
from schemas.captions import read_tokens
from schemas.checkpoint import read_checkpoint
from schemas.errors import ArtifactError
from schemas.features import FeatureFile, Reject, write_rejects
from schemas.hypotheses import ImageHypotheses, write_hypotheses
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting

Progress = Callable[[float, str], None]
BATCH = 32  # pictures at a time


def caption_pictures(
    pictures: Sequence[ImageSource],
    captioner: Captioner,
    network: FeatureExtractor,
    search: Search,
    setting: RerankingSetting | None,
    directory: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Writes `hypotheses.jsonl` and `rejects.jsonl`, and `reranked.jsonl` if there is a `setting`; returns counts.

    Raises:
        ArtifactError: the image network is not the one that the model was trained with, or artifacts do not fit.
        ConfigurationError: nothing can be said under the search's settings, or the models make no ensemble.
    """
    _check_network(network, captioner)
    checkpoints = [read_checkpoint(path) for path in captioner.models]
    models = [load_network(checkpoint.network) for checkpoint in checkpoints]
    image_ids, rows, rejects = _extract(pictures, network, lambda done, what: progress(0.6 * done, what))
    hypotheses: list[ImageHypotheses] = []
    for image in decode_rows(search(as_one(models)), checkpoints[0].vocabulary, image_ids, rows, BATCH):
        hypotheses.append(image)
        progress(0.6 + 0.3 * len(hypotheses) / len(rows), f"{len(hypotheses)} of {len(rows)} pictures captioned")
    write_rejects(directory, rejects)
    if setting and hypotheses:
        progress(0.9, "comparing captions")
        _rerank(hypotheses, rows, models[0], captioner, setting, directory)
    else:
        write_hypotheses(directory, hypotheses)
        (directory / "reranked.jsonl").unlink(missing_ok=True)  # of an earlier run
    return {"pictures": len(pictures), "captioned": len(hypotheses), "rejected": len(rejects)}


def _check_network(network: FeatureExtractor, captioner: Captioner) -> None:
    trained = FeatureFile(captioner.features).description
    found = network.description(trained.dataset)
    if (found.preprocessing, found.weights_digest) != (trained.preprocessing, trained.weights_digest):
        raise ArtifactError(
            f"The image network {found.kind} ({found.preprocessing}; weights {found.weights_digest[:10]}) is not that "
            f"of {captioner.features} ({trained.preprocessing}; weights {trained.weights_digest[:10]}), on which the "
            "model was trained; say with --backbone and --weights where that one is."
        )


def _extract(
    pictures: Sequence[ImageSource], network: FeatureExtractor, progress: Progress
) -> tuple[list[str], np.ndarray, list[Reject]]:
    """Ids and features (n, D) of the pictures that can be read, and the others."""
    image_ids: list[str] = []
    rejects: list[Reject] = []
    blocks = [np.empty((0, network.dimension), network.dtype)]
    pixels: list[np.ndarray] = []
    threads = os.cpu_count() or 1
    outcomes = read_ahead(pictures, network.input_size, network.crop, threads, 2 * BATCH, ShardCounts())
    for number, (picture, outcome) in enumerate(outcomes, start=1):
        if isinstance(outcome, Reject):
            rejects.append(outcome)
        else:
            image_ids.append(picture.image_id)
            pixels.append(outcome)
        if pixels and (len(pixels) == BATCH or number == len(pictures)):
            blocks.append(network.features(pixels))
            pixels.clear()
        progress(number / len(pictures), f"{number} of {len(pictures)} pictures seen")
    return image_ids, np.concatenate(blocks), rejects


def _rerank(
    hypotheses: Sequence[ImageHypotheses],
    rows: np.ndarray,
    model: MRNN,
    captioner: Captioner,
    setting: RerankingSetting,
    directory: Path,
) -> None:
    assert captioner.tokens is not None
    captions = read_tokens(captioner.tokens, "train")
    image_ids = [image.image_id for image in hypotheses]
    neighbors = _find_neighbors(image_ids, rows, captions, model, captioner, setting)
    if neighbors:
        setting = replace(setting, k=min(setting.k, neighbors.indices.shape[1] - 1))
    rerank(hypotheses, Reranker(hypotheses, neighbors, captions, setting), directory, lambda done: None)


def _find_neighbors(
    image_ids: Sequence[str],
    rows: np.ndarray,
    captions: Mapping[str, Any],
    model: MRNN,
    captioner: Captioner,
    setting: RerankingSetting,
) -> Neighbors | None:
    """Finds the k nearest training images, and one more, for an image that has the id of one of them.

    Returns None for self-consensus.
    """
    if setting.features is None or setting.metric is None:
        return None
    features = FeatureFile(captioner.features)
    reference_ids = [image_id for image_id in captions if image_id in features]
    references = features.read(reference_ids)
    if setting.features == "refined":
        rows, references = (np.concatenate(list(refine_features(model, iter([side])))) for side in (rows, references))
    indices, distances = nearest(rows, references, setting.k + 1, setting.metric)
    return Neighbors(list(image_ids), reference_ids, indices, distances, setting.features, setting.metric)
