"""Summary of a run for the terminal and for scripts: scores, and captions of the first test images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.text.detokenize import detokenize
from schemas.annotations import AnnotatedImage
from schemas.results import read_results
from schemas.scores import read_caption_scores, read_retrieval_scores
from schemas.text import escape_control_characters, quantity

COLUMNS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D", "METEOR", "SPICE", "perplexity")
EXAMPLES = 10  # images whose captions are shown


def summarize(
    scores: Mapping[str, Path],
    examples: str,
    images: Mapping[str, AnnotatedImage],
    retrieval: Path,
    note: str | None,
) -> dict[str, Any]:
    """Summarize the scores of a run as JSON values, with the captions of the first images.

    Args:
        scores: Score artifacts by row label.
        examples: Label of the row whose captions are shown.
        images: Annotated images by id.
        retrieval: Artifact of `EvaluateRetrieval`.
        note: A sentence to show below the scores, if there is one.
    """
    sheets = {label: read_caption_scores(path) for label, path in scores.items()}
    recalls = read_retrieval_scores(retrieval)
    captions = read_results(scores[examples] / "results.json")
    return {
        "rows": [{"label": label, "perplexity": sheet.perplexity, **sheet.metrics} for label, sheet in sheets.items()],
        "images": next(iter(sheets.values())).n,
        "retrieval": {
            direction: [recall.r1, recall.r5, recall.r10, recall.median_rank, recall.mean_rank]
            for direction, recall in (("sentence", recalls.sentence), ("image", recalls.image))
        },
        "examples": {
            "label": examples,
            "captions": [
                {
                    "image_id": image_id,
                    "caption": detokenize(captions[image_id].split()),
                    "reference": images[image_id].captions[0],
                }
                for image_id in list(captions)[:EXAMPLES]
            ],
        },
        "note": note,
    }


def format_summary(summary: dict[str, Any]) -> str:
    """Format the summary as plain text."""
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
    examples = summary["examples"]
    shown = examples["captions"]
    first = "first image" if len(shown) == 1 else f"first {len(shown)} images"
    lines += ["", f"{examples['label']}: {first} of the test split"]
    for each in shown:
        lines += [each["image_id"], f"  caption    {each['caption']}", f"  reference  {each['reference']}"]
    return "\n".join(map(escape_control_characters, lines))
