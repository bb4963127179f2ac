"""The `scores.json` artifacts: numbers, and all that one must know to compare them with other numbers."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.errors import ArtifactError
from schemas.io.files import read_json, write_json, write_json_lines

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR", "SPICE")


def in_order(metrics: Collection[str]) -> list[str]:
    """Metrics as they are usually listed: METRICS, then others by name."""
    others = sorted({*metrics} - {*METRICS})
    return [metric for metric in METRICS if metric in metrics] + others


@dataclass(frozen=True)
class _Scores:
    """What every score sheet of one caption an image says.

    metrics: METRICS -> value; intervals: metric -> its 95 % bootstrap interval over images; left_out: metric -> why it
    is missing; warnings: what a reader of the values must know; statistics: as of `model.metrics.text_statistics`.
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

    captions: `greedy`, `beam`, `n-best` or `reranked`; reranking: similarity, feature kind, its metric, k
    and m, and `tuned on` which split, or None; image_input: `own`, or `shuffled` for the image-blind control;
    perplexity: 2 ** (bits a word) of the split's references under the model, end sign counted.
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

    not_captioned: images of the references without a caption; differences: metric -> value, low, high and p of
    `model.metrics.bootstrap.Difference`, against the captions of `baseline`.
    """

    results: str
    references: str
    not_captioned: int
    baseline: str | None
    differences: dict[str, dict[str, float]]


@dataclass(frozen=True)
class PerplexityScore:
    """Perplexity of reference captions under a model.

    Attributes:
        split: Split of the captions.
        captions: Number of captions.
        perplexity: 2 ** (bits per token), the end sign counted.
    """

    split: str
    captions: int
    perplexity: float


@dataclass(frozen=True)
class Recall:
    """R@1, R@5 and R@10 in percent, and median and mean rank of the first right answer."""

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float


@dataclass(frozen=True)
class RetrievalScores:
    """sentence: image query, sentences ranked by P(w|I)/P(w); image: sentence query, images ranked by P(w|I).

    protocol: `all` images of the split at once, its first thousand (`1k`), or the mean over five thousands (`5fold`);
    images and sentences count those of all parts.
    """

    split: str
    protocol: str
    images: int
    sentences: int
    normalization_images: int
    sentence: Recall
    image: Recall


def write_caption_scores(
    directory: Path, scores: CaptionScores | FileScores, image_ids: Sequence[str], per_image: dict[str, list[float]]
) -> None:
    """Writes `scores.json`, and `per_image.jsonl` with a line an image."""
    write_json_lines(
        directory / "per_image.jsonl",
        (
            {"image_id": image_id, **{metric: values[index] for metric, values in per_image.items()}}
            for index, image_id in enumerate(image_ids)
        ),
    )
    write_json(directory / "scores.json", asdict(scores))


def read_caption_scores(directory: Path) -> CaptionScores:
    """Reads `scores.json` of captions; raises ArtifactError if it is not one."""
    try:
        return CaptionScores(**read_json(directory / "scores.json"))
    except TypeError as error:
        raise ArtifactError(f"{directory / 'scores.json'} is not a caption score sheet ({error}).") from error


def write_perplexity(directory: Path, score: PerplexityScore) -> None:
    """Writes `perplexity.json`."""
    write_json(directory / "perplexity.json", asdict(score))


def read_perplexity(directory: Path) -> PerplexityScore:
    """Reads `perplexity.json`.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    path = directory / "perplexity.json"
    try:
        return PerplexityScore(**read_json(path))
    except TypeError as error:
        raise ArtifactError(f"{path} is not a perplexity score ({error}); run EvaluatePerplexity again.") from error


def write_retrieval_scores(directory: Path, scores: RetrievalScores) -> None:
    """Writes `scores.json` of retrieval."""
    write_json(directory / "scores.json", asdict(scores))


def read_retrieval_scores(directory: Path) -> RetrievalScores:
    """Reads `scores.json` of retrieval; raises ArtifactError if it is not one."""
    try:
        record = read_json(directory / "scores.json")
        return RetrievalScores(
            **{**record, "sentence": Recall(**record["sentence"]), "image": Recall(**record["image"])}
        )
    except (TypeError, KeyError) as error:
        raise ArtifactError(f"{directory / 'scores.json'} is not a retrieval score sheet ({error}).") from error
