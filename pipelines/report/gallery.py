"""Gallery of test images with their captions."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model.text.detokenize import detokenize
from pipelines.html.thumbnails import Thumbnails
from pipelines.report.data import GROUPS, GalleryImage, ReportInputs, ShownHypothesis
from pipelines.report.neighbors import neighbor_thumbnails
from schemas.annotations import AnnotatedImage
from schemas.errors import ArtifactError
from schemas.hypotheses import ImageHypotheses, read_hypotheses
from schemas.io.files import read_json_lines
from schemas.neighbors import Neighbors
from schemas.results import read_results

BEST, WORST, RANDOM = 8, 8, 16  # images of each group
SEED = 0  # of the random group
SIDE = 224  # pixels
NEIGHBORS = 3


def collect_gallery(
    images: Mapping[str, AnnotatedImage],
    thumbnails: Thumbnails,
    label: str,
    inputs: ReportInputs,
    neighbors: Neighbors | None,
) -> tuple[GalleryImage, ...]:
    """Choose the best, the worst and some random images by CIDEr-D, and collect what is shown of each.

    Args:
        images: Annotated images by id.
        thumbnails: Thumbnails of the images.
        label: Label of the score row whose captions are shown.
        inputs: The artifacts of the run.
        neighbors: The neighbors used for reranking; None if reranking used none.

    Raises:
        ArtifactError: An artifact is corrupted, or lacks an image that another one has.
    """
    row, hypotheses, reranked = inputs.scores[label], inputs.hypotheses, inputs.reranked
    cider = {record["image_id"]: record["CIDEr-D"] for record in _records(row / "per_image.jsonl", "CIDEr-D")}
    groups = choose_images(cider)
    captions = read_results(row / "results.json")
    by_likelihood = {each.image_id: each for each in read_hypotheses(hypotheses) if each.image_id in groups}
    by_consensus = {each.image_id: each for each in read_hypotheses(reranked) if each.image_id in groups}
    consensus = {
        record["image_id"]: record["scores"]
        for record in _records(reranked / "reranked.jsonl", "scores")
        if record["image_id"] in groups
    }

    def show(image_id: str) -> GalleryImage:
        return GalleryImage(
            thumbnail=thumbnails.thumbnail(image_id, SIDE),
            groups=groups[image_id],
            caption=detokenize(captions[image_id].split()),
            cider=cider[image_id],
            hypotheses=_hypotheses(by_likelihood[image_id], by_consensus[image_id], consensus[image_id]),
            references=images[image_id].captions,
            nearest=neighbor_thumbnails(neighbors, image_id, NEIGHBORS, thumbnails) if neighbors is not None else (),
        )

    try:
        return tuple(show(image_id) for image_id in groups)
    except (KeyError, ValueError) as error:
        raise ArtifactError(
            f"{row}, {hypotheses}, {reranked} and the neighbors cover different images ({error!r}); "
            "run EvaluateCaptions again."
        ) from error


def choose_images(cider: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """Choose the images of the gallery.

    Equal scores are ordered by id. No image is both best and worst: of few images, the better half can be best.

    Args:
        cider: CIDEr-D by image id.

    Returns:
        The groups of each chosen image by id: the best first, then the worst, then the random ones that are neither.
    """
    ranked = sorted(cider, key=lambda image_id: (-cider[image_id], image_id))
    best = ranked[: min(BEST, (len(ranked) + 1) // 2)]
    worst = ranked[len(best) :][::-1][:WORST]
    chosen = random.Random(SEED).sample(sorted(cider), min(RANDOM, len(cider)))
    members = dict(zip(GROUPS, (best, worst, chosen), strict=True))
    return {
        image_id: tuple(group for group, ids in members.items() if image_id in ids)
        for image_id in dict.fromkeys([*best, *worst, *chosen])
    }


def _hypotheses(
    by_likelihood: ImageHypotheses, by_consensus: ImageHypotheses, consensus: list[float]
) -> tuple[ShownHypothesis, ...]:
    """Return the hypotheses in the order of reranking; raise ValueError if the two sides differ."""
    beam = [hypothesis.tokens for hypothesis in by_likelihood.captions]
    return tuple(
        ShownHypothesis(
            detokenize(hypothesis.tokens), beam.index(hypothesis.tokens) + 1, hypothesis.log_prob, float(score)
        )
        for hypothesis, score in zip(by_consensus.captions, consensus, strict=True)
    )


def _records(path: Path, field: str) -> Iterator[dict[str, Any]]:
    """Read JSON lines that have `image_id` and `field`."""
    for number, record in enumerate(read_json_lines(path), start=1):
        if not isinstance(record, dict) or not {"image_id", field} <= record.keys():
            raise ArtifactError(f"{path}, line {number}, lacks `image_id` or `{field}`; run its stage again.")
        yield record
