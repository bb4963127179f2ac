"""Grid search over the settings of reranking on the validation split."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.metrics.bootstrap import Statistics
from model.metrics.scorers import bleu, cider_d
from model.metrics.tokenized import TokenizedCaptions
from model.reranking.config import RerankingGrid
from model.reranking.consensus import choices, score_of, self_consensus_scores
from model.text.detokenize import join_words
from model.text.ngrams import Words
from model.text.ptb import ptb_tokens
from pipelines.captions.rerank_captions import weights_by_features
from pipelines.captions.reranker import Comparison, ImageWeights
from schemas.annotations import read_annotations
from schemas.captions import read_tokens
from schemas.hypotheses import read_hypotheses
from schemas.neighbors import read_neighbors
from schemas.reranking import RerankingSetting, write_grid

METRICS = ("CIDEr-D", "BLEU-4")
SPLIT = "val"  # on which settings are compared


@dataclass(frozen=True)
class TuneRerankingInputs:
    """Artifacts that TuneReranking reads.

    Attributes:
        hypotheses: Hypotheses of the validation images.
        annotations: Their reference captions.
        captions: Tokenized training captions.
        neighbors: Neighbors of these images, one artifact per feature kind and metric.
        features: Features of all images by feature kind.
    """

    hypotheses: Path
    annotations: Path
    captions: Path
    neighbors: Sequence[Path]
    features: Mapping[str, Path]


def tune_reranking(
    inputs: TuneRerankingInputs, directory: Path, grid: RerankingGrid, progress: Callable[[float, str], None]
) -> tuple[RerankingSetting, dict[str, float]]:
    """Score every setting, write them to `grid.json`, best CIDEr-D first, and return the best and its scores.

    Self-consensus is a setting too, once per similarity. A k above the number of known neighbors is limited to it.
    Kernel-ridge consensus needs 4 bytes per validation image, training image and setting.

    Args:
        inputs: Artifacts to read.
        directory: Artifact to write.
        grid: Settings to compare.
        progress: Receives the finished fraction and a message.

    Raises:
        ArtifactError: An input is missing or corrupted, or the inputs do not fit.
        ConfigurationError: A value of the grid is invalid.
    """
    images = read_hypotheses(inputs.hypotheses)
    hypotheses = {image.image_id: [each.tokens for each in image.captions] for image in images}
    training_captions = read_tokens(inputs.captions / "tokens.jsonl", "train")
    references = {image.image_id: image.captions for image in read_annotations(inputs.annotations, SPLIT)}
    weights = list(_weigh(inputs.features, list(hypotheses), training_captions, grid, progress))
    neighbors = [read_neighbors(path / "neighbors.h5") for path in inputs.neighbors]
    statistics = _statistics_by_rank(hypotheses, references)
    scored: list[tuple[RerankingSetting, dict[str, float]]] = []

    def add(setting: RerankingSetting, chosen: NDArray[np.int64]) -> None:
        scored.append((setting, {metric: score_of(chosen, every) for metric, every in statistics.items()}))

    for number, similarity in enumerate(grid.similarities):
        comparison = Comparison(similarity, hypotheses, training_captions)
        alike = [self_consensus_scores(comparison.among_hypotheses(image_id)) for image_id in hypotheses]
        add(RerankingSetting(similarity, tuned_on=SPLIT), np.array([own.argmax() for own in alike]))
        for part, each_kind in enumerate(neighbors):
            features, metric = each_kind.kind, each_kind.metric
            done = (number + part / len(neighbors)) / len(grid.similarities)
            progress(0.5 + done / 2, f"{similarity}, {features} features, {metric}")
            nearest = {image_id: each_kind.nearest(image_id)[: max(grid.ks)] for image_id in hypotheses}
            compared = [comparison.with_references(image_id, own) for image_id, own in nearest.items()]
            captions = [np.array([len(training_captions[each]) for each in own]) for own in nearest.values()]
            known = min(len(own) for own in nearest.values())
            for k in sorted({min(k, known) for k in grid.ks}):
                for m, chosen in zip(grid.ms, choices(compared, captions, k, grid.ms), strict=True):
                    add(RerankingSetting(similarity, features, metric, k, m, tuned_on=SPLIT), chosen)
        for setting, chosen in zip(*_choose_by_weights(comparison, hypotheses, weights), strict=True):
            add(replace(setting, similarity=similarity), chosen)
    scored.sort(key=lambda each: -each[1]["CIDEr-D"])
    write_grid(directory / "grid.json", {metric: every[0].score() for metric, every in statistics.items()}, scored)
    return scored[0]


def _weigh(
    features: Mapping[str, Path],
    image_ids: Sequence[str],
    captions: Mapping[str, Sequence[Words]],
    grid: RerankingGrid,
    progress: Callable[[float, str], None],
) -> Iterator[tuple[RerankingSetting, ImageWeights]]:
    """Yield the settings of kernel-ridge consensus, for any similarity, with the weights of training images."""
    settings = list(product(features, grid.gammas, grid.regularizations))
    for number, (kind, gamma, regularization) in enumerate(settings):
        progress(0.5 * number / len(settings), f"kernel ridge regression, {kind} features, gamma {gamma}")
        setting = RerankingSetting("", kind, gamma=gamma, regularization=regularization, tuned_on=SPLIT)
        yield setting, weights_by_features(features[kind], image_ids, captions, setting)


def _choose_by_weights(
    comparison: Comparison,
    hypotheses: Mapping[str, Sequence[Words]],
    weights: Sequence[tuple[RerankingSetting, ImageWeights]],
) -> tuple[list[RerankingSetting], list[NDArray[np.int64]]]:
    """Return settings, and the positions int64 (N,) of the hypotheses that each chooses."""
    settings, tables = [setting for setting, _ in weights], [table for _, table in weights]
    chosen = [
        comparison.utilities(
            image_id, tables[0].reference_ids, np.stack([table.of(image_id) for table in tables])
        ).argmax(axis=0)
        for image_id in hypotheses
    ]
    return settings, list(np.stack(chosen, axis=1))


def _statistics_by_rank(
    hypotheses: Mapping[str, Sequence[Words]], references: Mapping[str, Sequence[str]]
) -> dict[str, list[Statistics]]:
    """Compute the statistics of all images' first, second, ... hypotheses by metric.

    Where an image has fewer, its last hypothesis fills the places, which are never chosen.
    """
    truth = [[" ".join(ptb_tokens(text)) for text in references[image_id]] for image_id in hypotheses]
    texts = [[" ".join(ptb_tokens(join_words(words))) for words in own] for own in hypotheses.values()]
    found: dict[str, list[Statistics]] = {metric: [] for metric in METRICS}
    for rank in range(max(map(len, texts))):
        captions = TokenizedCaptions([own[min(rank, len(own) - 1)] for own in texts], truth)
        statistics = {**cider_d.score(captions), **bleu.score(captions)}
        for metric, every in found.items():
            every.append(statistics[metric])
    return found
