"""The main numbers of a run, for the terminal and for scripts."""

from pathlib import Path
from typing import Any

from schemas.scores import read_caption_scores, read_retrieval_scores

COLUMNS = ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR")


def summarise(scores: dict[str, Path], retrieval: Path, note: str | None) -> dict[str, Any]:
    """Scores by row label, perplexity, retrieval and the note, as JSON values; the paths are artifacts."""
    sheets = {label: read_caption_scores(path) for label, path in scores.items()}
    found = read_retrieval_scores(retrieval)
    return {
        "rows": {label: {**sheet.metrics, "perplexity": sheet.perplexity} for label, sheet in sheets.items()},
        "images": next(iter(sheets.values())).n,
        "retrieval": {
            direction: [recall.r1, recall.r5, recall.r10, recall.median_rank]
            for direction, recall in (("sentence", found.sentence), ("image", found.image))
        },
        "note": note,
    }


def format_summary(summary: dict[str, Any]) -> str:
    """The summary as a plain-text table of a few lines."""
    columns = [name for name in COLUMNS if any(name in row for row in summary["rows"].values())]
    width = max(map(len, summary["rows"]))
    lines = [f"{'test split, ' + str(summary['images']) + ' images':{width}}  " + " ".join(f"{c:>8}" for c in columns)]
    for label, row in summary["rows"].items():
        cells = (f"{row[name]:8.3f}" if name in row else " " * 7 + "-" for name in columns)
        lines.append(f"{label:{width}}  " + " ".join(cells))
    first = next(iter(summary["rows"].values()))
    lines.append(f"perplexity {first['perplexity']:.2f}")
    for direction, (r1, r5, r10, median) in summary["retrieval"].items():
        lines.append(f"{direction} retrieval: R@1 {r1:.1f}, R@5 {r5:.1f}, R@10 {r10:.1f}, median rank {median:g}")
    if summary["note"]:
        lines.append(summary["note"])
    return "\n".join(lines)
