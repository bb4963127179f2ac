"""Which settings of consensus reranking would have chosen best on a split."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from model.metrics.captions import Scores, score_captions
from model.reranking.consensus import choices, score_of, self_consensus_scores
from model.text.detokenize import join_words
from model.text.ngrams import Words
from pipelines.captions.reranker import Comparison
from schemas.errors import ConfigurationError
from schemas.hypotheses import ImageHypotheses
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting, write_grid

METRICS = ("CIDEr-D", "BLEU-4")
SPLIT = "val"  # on which settings are compared


def tune_reranking(
    images: Sequence[ImageHypotheses],
    neighbors: Sequence[Neighbors],
    training_captions: Mapping[str, Sequence[Words]],
    references: Mapping[str, Sequence[str]],
    similarities: Sequence[str],
    ks: Sequence[int],
    ms: Sequence[int],
    path: Path,
    progress: Callable[[float, str], None],
) -> tuple[RerankingSetting, dict[str, float]]:
    """Scores every setting, writes them to `path` as JSON, best CIDEr-D first, and returns the best and its scores.

    Self-consensus is a setting too, once per similarity.

    Args:
        images: Hypotheses of the split's images.
        neighbors: Neighbors of these images, one artifact per kind of features and metric.
        training_captions: Tokenized training captions by image id.
        references: Raw reference captions of the split's images.
        similarities: Similarities in the grid.
        ks: Numbers of nearest images; a number above the known neighbors counts as that number.
        ms: Numbers of largest similarities that are summed.
        path: File to write.
        progress: Receives the finished fraction and a message.

    Raises:
        ConfigurationError: the grid is empty.
    """
    if not (similarities and ks and ms):
        raise ConfigurationError("The grid of TuneReranking is empty; set similarities, ks and ms.")
    hypotheses = {image.image_id: [each.tokens for each in image.captions] for image in images}
    scores = _scores_by_rank(hypotheses, references)
    scored: list[tuple[RerankingSetting, dict[str, float]]] = []

    def add(setting: RerankingSetting, chosen: np.ndarray) -> None:
        values = {each: score_of(chosen, [score.statistics[each] for score in scores]) for each in METRICS}
        scored.append((setting, values))

    for number, similarity in enumerate(similarities):
        comparison = Comparison(similarity, hypotheses, training_captions)
        alike = [self_consensus_scores(comparison.among_hypotheses(image_id)) for image_id in hypotheses]
        add(RerankingSetting(similarity, tuned_on=SPLIT), np.array([own.argmax() for own in alike]))
        for part, each_kind in enumerate(neighbors):
            features, metric = each_kind.kind, each_kind.metric
            done = (number + part / len(neighbors)) / len(similarities)
            progress(done, f"{similarity}, {features} features, {metric}")
            nearest = {image_id: each_kind.nearest(image_id)[: max(ks)] for image_id in hypotheses}
            compared = [comparison.with_references(image_id, own) for image_id, own in nearest.items()]
            captions = [np.array([len(training_captions[each]) for each in own]) for own in nearest.values()]
            known = min(len(own) for own in nearest.values())
            for k in sorted({min(k, known) for k in ks}):
                for m, chosen in zip(ms, choices(compared, captions, k, ms), strict=True):
                    add(RerankingSetting(similarity, features, metric, k, m, SPLIT), chosen)
    scored.sort(key=lambda each: -each[1]["CIDEr-D"])
    write_grid(path, {each: scores[0].corpus[each] for each in METRICS}, scored)
    return scored[0]


def _scores_by_rank(hypotheses: Mapping[str, Sequence[Words]], references: Mapping[str, Sequence[str]]) -> list[Scores]:
    """Scores of everybody's first, second, ... hypothesis.

    Where an image has fewer, its last stands for those that are never chosen.
    """
    truth = {image_id: references[image_id] for image_id in hypotheses}
    return [
        score_captions(
            {image_id: join_words(own[min(rank, len(own) - 1)]) for image_id, own in hypotheses.items()},
            truth,
            with_java=False,
        )
        for rank in range(max(len(own) for own in hypotheses.values()))
    ]
