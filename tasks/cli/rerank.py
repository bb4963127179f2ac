"""`mrnn rerank`: consensus reranking of captions from files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from model.reranking.config import Metric, SimilarityName


class Method(StrEnum):
    """Scores of a caption."""

    CONSENSUS = "consensus"
    KERNEL_RIDGE = "kernel-ridge"


def rerank(
    hypotheses: Annotated[
        Path, typer.Argument(help="Several captions per image: hypotheses.jsonl, JSON lines or m-RNN's list.")
    ],
    references: Annotated[
        Path, typer.Argument(help="Captions of the reference images: COCO JSON, JSON lines or m-RNN's list.")
    ],
    out: Annotated[Path, typer.Option(help="Directory for results.json, hypotheses.jsonl and reranked.jsonl.")],
    neighbors: Annotated[Path | None, typer.Option(help="neighbors.h5 of FindNeighbors.")] = None,
    features: Annotated[Path | None, typer.Option(help="Features of images and reference images.")] = None,
    method: Annotated[
        Method, typer.Option(help="References: the nearest images, or all images, weighted by kernel ridge regression.")
    ] = Method.CONSENSUS,
    metric: Annotated[Metric, typer.Option(help="Distance between features, of consensus.")] = Metric.EUCLIDEAN,
    similarity: Annotated[SimilarityName, typer.Option(help="Similarity of two captions.")] = SimilarityName.CIDER,
    k: Annotated[int, typer.Option("-k", min=1, help="Nearest images, of consensus.")] = 60,
    m: Annotated[int, typer.Option("-m", min=1, help="Largest similarities to sum (paper: 175 for bleu).")] = 125,
    gamma: Annotated[float, typer.Option(help="Sharpness of the kernel, of kernel-ridge.")] = 1.0,
    regularization: Annotated[float, typer.Option(help="Ridge penalty, of kernel-ridge.")] = 1.0,
) -> None:
    """Rerank captions by consensus with those of similar images.

    Without --neighbors and --features, references are the other captions of the same image.
    """
    from pipelines.captions.rerank_file import rerank_file
    from schemas.reranking import RerankingSetting
    from tasks.cli.console import progress_bar

    if method == Method.KERNEL_RIDGE:
        setting = RerankingSetting(similarity.value, "given", gamma=gamma, regularization=regularization)
    elif neighbors or features:
        setting = RerankingSetting(similarity.value, "given", metric.value, k, m)
    else:
        setting = RerankingSetting(similarity.value)
    with progress_bar() as progress:
        counts = rerank_file(
            hypotheses,
            references,
            out,
            setting=setting,
            neighbors=neighbors,
            features=features,
            progress=lambda fraction: progress(fraction, "comparing captions"),
        )
    changed = counts["first_changed"]
    print(f"{counts['images']} images reranked, {changed} with another first caption: {out / 'results.json'}")
