"""Consensus reranking of captions from anybody's files."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from model.reranking.neighbors import nearest
from model.text.tokenizers import tf_mrnn_words
from pipelines.captions.reranker import Reranker, rerank
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
    neighbors: Path | None,
    features: Path | None,
    metric: str,
    similarity: str,
    k: int,
    m: int,
    progress: Callable[[float], None],
) -> dict[str, int]:
    """Reranks the captions of each image of `hypotheses` by the captions of its nearest images among `references`.

    The nearest are those of `neighbors`, a `neighbors.h5`, or found here in `features`, a file of features of both
    sides in any form that `schemas.interop.features` reads; without both, by self-consensus. Writes `results.json`
    with the
    best caption, `hypotheses.jsonl` and `reranked.jsonl` into `out`; returns counts.

    Raises:
        InputError: a file is malformed, or an image has no features.
        ConfigurationError: both `neighbors` and `features` are given; no such similarity or metric; k is too large.
        ArtifactError: `neighbors` does not fit the captions.
    """
    if neighbors and features:
        raise ConfigurationError("Both --neighbors and --features are given; give one of them.")
    captions = {
        image_id: [tf_mrnn_words(text) for text in texts] for image_id, texts in read_references(references).items()
    }
    images = _read_hypotheses(hypotheses)
    found = read_neighbors(neighbors) if neighbors else None
    if features:
        found = _find(features, [image.image_id for image in images], list(captions), k + 1, metric)
    out.mkdir(parents=True, exist_ok=True)
    setting = RerankingSetting(similarity, found.kind, found.metric, k, m) if found else RerankingSetting(similarity)
    counts = rerank(images, Reranker(images, found, captions, setting), out, progress)
    best = {image.image_id: " ".join(image.captions[0].tokens) for image in read_hypotheses(out)}
    write_results(out / "results.json", best)
    return counts


def _read_hypotheses(path: Path) -> list[ImageHypotheses]:
    """Hypotheses in any form; a log-probability that the file does not say is written as 0."""
    if path.name == "hypotheses.jsonl":
        return list(read_hypotheses(path.parent))
    return [
        ImageHypotheses(image_id, tuple(Hypothesis(tuple(tf_mrnn_words(text)), 0.0) for text in texts))
        for image_id, texts in read_generated(path).items()
    ]


def _find(path: Path, targets: Sequence[str], references: Sequence[str], count: int, metric: str) -> Neighbors:
    rows = _read_rows(path, {*targets, *references})
    for side in (targets, references):
        missing = [image_id for image_id in side if image_id not in rows]
        if missing:
            raise InputError(f"{path} has no features of image {missing[0]} (and {len(missing) - 1} more); add them.")
    indices, distances = nearest(
        np.stack([rows[image_id] for image_id in targets]),
        np.stack([rows[image_id] for image_id in references]),
        count,
        metric,
    )
    return Neighbors(list(targets), list(references), indices, distances, path.name, metric)


def _read_rows(path: Path, wanted: set[str]) -> Mapping[str, np.ndarray]:
    ids, blocks = read_feature_file(path)
    rows = chain.from_iterable(blocks)
    return {image_id: row.copy() for image_id, row in zip(ids, rows, strict=True) if image_id in wanted}
