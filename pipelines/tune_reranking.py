"""Which settings of consensus reranking would have chosen best on a split."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.metrics import score_captions
from model.ngrams import Words
from model.reranking_grid import choices, score_of
from model.tokenisation import join_words
from pipelines.rerank import Comparison, NearestImages
from schemas.errors import ConfigurationError
from schemas.files import write_json
from schemas.hypotheses import ImageHypotheses
from schemas.neighbours import Neighbours

METRICS = ("CIDEr-D", "BLEU-4")


def tune_reranking(
    images: Sequence[ImageHypotheses],
    neighbours: Mapping[str, Neighbours],
    training_captions: Mapping[str, Sequence[Words]],
    references: Mapping[str, Sequence[str]],
    similarities: Sequence[str],
    ks: Sequence[int],
    ms: Sequence[int],
    path: Path,
    progress: Callable[[float, str], None],
) -> dict[str, Any]:
    """Scores every setting, writes them to `path` as JSON, best CIDEr-D first, and returns the best.

    neighbours: by feature kind; training_captions: tokenised, by image id; references: raw texts of the split's images.

    Raises:
        ConfigurationError: the grid is empty, or more neighbours are asked for than are known.
    """
    if not (similarities and ks and ms):
        raise ConfigurationError("The grid of TuneReranking is empty; set similarities, ks and ms.")
    hypotheses = {image.image_id: [each.tokens for each in image.captions] for image in images}
    ranks = max(len(own) for own in hypotheses.values())
    scores = [
        # Where an image has fewer hypotheses, its last stands for those that are never chosen.
        score_captions(
            {image_id: join_words(own[min(rank, len(own) - 1)]) for image_id, own in hypotheses.items()},
            {image_id: references[image_id] for image_id in hypotheses},
            with_meteor=False,
        )
        for rank in range(ranks)
    ]
    comparisons = {each: Comparison(each, hypotheses, training_captions) for each in similarities}
    grid: list[dict[str, Any]] = []
    for number, (kind, similarity) in enumerate((kind, each) for kind in neighbours for each in similarities):
        progress(number / (len(neighbours) * len(similarities)), f"{similarity}, {kind} features")
        found = NearestImages(neighbours[kind])
        nearest = {image_id: found.of(image_id, max(ks)) for image_id in hypotheses}
        compared = [comparisons[similarity].with_references(image_id, own) for image_id, own in nearest.items()]
        captions = [np.array([len(training_captions[each]) for each in own]) for own in nearest.values()]
        for k in ks:
            for m in ms:
                chosen = choices(compared, captions, k, m)
                values = {each: score_of(chosen, [score.statistics[each] for score in scores]) for each in METRICS}
                grid.append({"features": kind, "similarity": similarity, "k": k, "m": m, **values})
    grid.sort(key=lambda setting: -setting["CIDEr-D"])
    write_json(path, {"unchanged": {each: scores[0].corpus[each] for each in METRICS}, "settings": grid})
    return grid[0]
