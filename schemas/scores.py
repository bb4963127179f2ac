"""The `scores.json` artifacts: scores, and the settings that make them comparable."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError
from schemas.io.files import read_json, write_json, write_json_lines

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR", "SPICE", "CLIPScore", "RefCLIPScore")


def in_order(metrics: Collection[str]) -> list[str]:
    """Return metric names in the usual order: METRICS, then others by name."""
    others = sorted({*metrics} - {*METRICS})
    return [metric for metric in METRICS if metric in metrics] + others


@dataclass(frozen=True)
class _Scores:
    """Fields of all score sheets with one caption per image.

    Attributes:
        n: Number of images.
        tokenizer: Name of the tokenizer of captions and references.
        document_frequencies: Source of CIDEr-D's document frequencies.
        metrics: Values by metric.
        intervals: 95 % bootstrap intervals over images, by metric.
        left_out: Reason for each missing metric.
        warnings: Caveats about the values.
        statistics: See `model.metrics.text_statistics`.
    """

    n: int
    tokenizer: str
    document_frequencies: str
    metrics: dict[str, float]
    intervals: dict[str, list[float]]
    left_out: dict[str, str]
    warnings: list[str]
    statistics: dict[str, float]


@dataclass(frozen=True)
class CaptionScores(_Scores):
    """Scores of captions that the pipeline generated.

    Attributes:
        split: Split of the images.
        captions: `greedy`, `beam`, `n-best` or `reranked`.
        beam_width: Width of the search.
        reranking: Similarity, feature kind, metric, k, m and the split of the tuning, or None.
        image_input: `own`, or `shuffled` for the image-blind control.
        perplexity: 2 ** (bits per token) of the split's references under the model, end tokens included.
    """

    split: str
    captions: str
    beam_width: int
    reranking: dict[str, str | int | float] | None
    image_input: str
    perplexity: float


@dataclass(frozen=True)
class FileScores(_Scores):
    """Scores of a file of captions.

    Attributes:
        results: Name of the file.
        references: Name of the file of references.
        signature: Metrics and versions, tokenizer, number and digest of the references, in one line for a paper.
        not_captioned: Number of images of the references without a caption.
        ignored: Parts of the two files that are not scored, with counts and examples.
        baseline: Name of the file that this one is compared with, or None.
        differences: Value, low, high and p of `model.metrics.bootstrap.Difference` from `baseline`, by metric.
    """

    results: str
    references: str
    signature: str
    not_captioned: int
    ignored: list[str]
    baseline: str | None
    differences: dict[str, dict[str, float]]


@dataclass(frozen=True)
class PerplexityScore:
    """Perplexity of reference captions under a model.

    Attributes:
        split: Split of the captions.
        captions: Number of captions.
        perplexity: 2 ** (bits per token), end tokens included.
    """

    split: str
    captions: int
    perplexity: float


@dataclass(frozen=True)
class Recall:
    """Recall of retrieval in one direction.

    Attributes:
        r1: R@1 in percent.
        r5: R@5 in percent.
        r10: R@10 in percent.
        median_rank: Median rank of the first correct answer, from 1.
        mean_rank: Mean rank of the first correct answer.
    """

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float


@dataclass(frozen=True)
class RetrievalScores:
    """Scores of retrieval in both directions.

    Attributes:
        split: Split of the images.
        protocol: `all` images of the split, its first thousand (`1k`), or the mean over five thousands (`5fold`).
        images: Number of images of all parts.
        sentences: Number of captions of all parts.
        normalization_images: Number of training images that P(w) is the mean over.
        sentence: Image query, captions ranked by P(w|I)/P(w).
        image: Caption query, images ranked by P(w|I).
    """

    split: str
    protocol: str
    images: int
    sentences: int
    normalization_images: int
    sentence: Recall
    image: Recall


def write_caption_scores(
    directory: Path, scores: CaptionScores, image_ids: Sequence[str], per_image: dict[str, list[float]]
) -> None:
    """Write `scores.json`, and `per_image.jsonl` with one line per image.

    Args:
        directory: Directory of the artifact.
        scores: The score sheet.
        image_ids: Ids of the N images.
        per_image: N scores by metric.
    """
    write_json_lines(
        directory / "per_image.jsonl",
        (
            {"image_id": image_id, **{metric: values[index] for metric, values in per_image.items()}}
            for index, image_id in enumerate(image_ids)
        ),
    )
    write_json(directory / "scores.json", asdict(scores))


def file_scores_as_json(sheets: Sequence[FileScores]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the sheet of one system as a JSON object, and those of several as a list."""
    records = [asdict(sheet) for sheet in sheets]
    return records[0] if len(records) == 1 else records


def write_file_scores(directory: Path, sheets: Sequence[FileScores]) -> None:
    """Write `scores.json` of files of captions."""
    write_json(directory / "scores.json", file_scores_as_json(sheets))


def read_caption_scores(directory: Path) -> CaptionScores:
    """Read `scores.json` of captions.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    try:
        return CaptionScores(**read_json(directory / "scores.json"))
    except TypeError as error:
        raise ArtifactError(f"{directory / 'scores.json'} is not a caption score sheet ({error}).") from error


def write_perplexity(directory: Path, score: PerplexityScore) -> None:
    """Write `perplexity.json`."""
    write_json(directory / "perplexity.json", asdict(score))


def read_perplexity(directory: Path) -> PerplexityScore:
    """Read `perplexity.json`.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    path = directory / "perplexity.json"
    try:
        return PerplexityScore(**read_json(path))
    except TypeError as error:
        raise ArtifactError(f"{path} is not a perplexity score ({error}); run EvaluatePerplexity again.") from error


def write_retrieval_scores(directory: Path, scores: RetrievalScores) -> None:
    """Write `scores.json` of retrieval."""
    write_json(directory / "scores.json", asdict(scores))


def read_retrieval_scores(directory: Path) -> RetrievalScores:
    """Read `scores.json` of retrieval.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    try:
        record = read_json(directory / "scores.json")
        return RetrievalScores(
            **{**record, "sentence": Recall(**record["sentence"]), "image": Recall(**record["image"])}
        )
    except (TypeError, KeyError) as error:
        raise ArtifactError(f"{directory / 'scores.json'} is not a retrieval score sheet ({error}).") from error
