"""Consensus reranking of captions from files of any system."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.reranking.neighbors import nearest
from model.text.tokenizers import tf_mrnn_words
from pipelines.captions.reranker import ImageWeights, Reranker, rerank, weigh_images
from schemas.errors import ConfigurationError, InputError
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses
from schemas.interop.caption_files import read_generated, read_references
from schemas.interop.features import read_feature_file
from schemas.neighbors import Neighbors, read_neighbors
from schemas.reranking import RerankingSetting
from schemas.results import write_results


def rerank_file(
    hypotheses: Path,
    references: Path,
    out: Path,
    *,
    setting: RerankingSetting,
    neighbors: Path | None = None,
    features: Path | None = None,
    progress: Callable[[float], None],
) -> dict[str, int]:
    """Reranks the captions of each image of `hypotheses` by the captions of similar images among `references`.

    Writes `results.json` with the best caption, `hypotheses.jsonl` and `reranked.jsonl`.

    Args:
        hypotheses: Several captions per image.
        references: Captions of the reference images.
        out: Directory to write.
        setting: Setting of the reranking; for self-consensus both files may be missing.
        neighbors: Neighbors of the images, a `neighbors.h5`, for consensus.
        features: Features of both sides in any form that `schemas.interop.features` reads.
        progress: Receives the finished fraction.

    Returns:
        Counts.

    Raises:
        InputError: A file is malformed, or an image has no features.
        ConfigurationError: Neither or both of `neighbors` and `features` are given where one is needed, or a value of
            the setting is invalid.
        ArtifactError: `neighbors` does not fit the captions.
    """
    if setting.features and (neighbors is None) == (features is None):
        raise ConfigurationError(f"{setting.method} takes either --neighbors or --features; give one of them.")
    if setting.method == "kernel-ridge" and features is None:
        raise ConfigurationError("kernel-ridge compares images by features; give --features, not --neighbors.")
    captions = {
        image_id: [tf_mrnn_words(text) for text in texts]
        for image_id, texts in read_references(references).captions.items()
    }
    images = _read_hypotheses(hypotheses)
    found: Neighbors | ImageWeights | None = read_neighbors(neighbors) if neighbors else None
    if features:
        found = _compare(features, [image.image_id for image in images], list(captions), setting)
    out.mkdir(parents=True, exist_ok=True)
    counts = rerank(images, Reranker(images, found, captions, setting), out, progress)
    best = {image.image_id: " ".join(image.captions[0].tokens) for image in read_hypotheses(out)}
    write_results(out / "results.json", best)
    return counts


def _read_hypotheses(path: Path) -> list[ImageHypotheses]:
    """Read hypotheses in any form; a log-probability that the file does not contain is None."""
    if path.name == "hypotheses.jsonl":
        return list(read_hypotheses(path.parent))
    return [
        ImageHypotheses(image_id, tuple(Hypothesis(tuple(tf_mrnn_words(text)), None) for text in texts))
        for image_id, texts in read_generated(path).items()
    ]


def _compare(
    path: Path, targets: Sequence[str], references: Sequence[str], setting: RerankingSetting
) -> Neighbors | ImageWeights:
    """Find the k nearest references of each target and one more, or weights all of them."""
    rows = _read_rows(path, {*targets, *references})
    for side in (targets, references):
        missing = [image_id for image_id in side if image_id not in rows]
        if missing:
            raise InputError(f"{path} has no features of image {missing[0]} (and {len(missing) - 1} more); add them.")
    target_rows, reference_rows = (np.stack([rows[image_id] for image_id in side]) for side in (targets, references))
    if setting.metric is None:
        return weigh_images(targets, target_rows, references, reference_rows, setting)
    indices, distances = nearest(target_rows, reference_rows, setting.k + 1, setting.metric)
    return Neighbors(list(targets), list(references), indices, distances, path.name, setting.metric)


def _read_rows(path: Path, wanted: set[str]) -> Mapping[str, NDArray[np.float32]]:
    ids, blocks = read_feature_file(path)
    rows = chain.from_iterable(blocks)
    return {image_id: row.copy() for image_id, row in zip(ids, rows, strict=True) if image_id in wanted}
