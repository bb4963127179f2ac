"""Summary of a run's scores for the terminal and for scripts."""

from pathlib import Path
from typing import Any

from schemas.scores import read_caption_scores, read_retrieval_scores
from schemas.text import quantity

COLUMNS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR", "SPICE", "perplexity")


def summarize(scores: dict[str, Path], retrieval: Path, note: str | None) -> dict[str, Any]:
    """Summarize the scores of a run as JSON values.

    Args:
        scores: Score artifacts by row label.
        retrieval: Artifact of `EvaluateRetrieval`.
        note: A sentence to show below the scores, if there is one.
    """
    sheets = {label: read_caption_scores(path) for label, path in scores.items()}
    recalls = read_retrieval_scores(retrieval)
    return {
        "rows": [{"label": label, "perplexity": sheet.perplexity, **sheet.metrics} for label, sheet in sheets.items()],
        "images": next(iter(sheets.values())).n,
        "retrieval": {
            direction: [recall.r1, recall.r5, recall.r10, recall.median_rank, recall.mean_rank]
            for direction, recall in (("sentence", recalls.sentence), ("image", recalls.image))
        },
        "note": note,
    }


def format_summary(summary: dict[str, Any]) -> str:
    """Format the summary as a plain-text table."""
    rows = summary["rows"]
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    title = f"test split, {quantity(summary['images'], 'image')}"
    width = max(len(title), *(len(row["label"]) for row in rows))
    lines = [f"{title:{width}}  " + " ".join(f"{column:>10}" for column in columns)]
    for row in rows:
        cells = (f"{row[column]:10.3f}" if column in row else f"{'-':>10}" for column in columns)
        lines.append(f"{row['label']:{width}}  " + " ".join(cells))
    for direction, (r1, r5, r10, median, mean) in summary["retrieval"].items():
        recalls = f"R@1 {r1:.1f}, R@5 {r5:.1f}, R@10 {r10:.1f}"
        lines.append(f"{direction} retrieval: {recalls}, median rank {median:g}, mean {mean:.1f}")
    if summary["note"]:
        lines.append(summary["note"])
    return "\n".join(lines)
