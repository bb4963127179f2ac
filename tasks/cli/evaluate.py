"""`mrnn evaluate`: scores of captions from files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.cli.options import Json


def evaluate(
    results: Annotated[
        Path, typer.Argument(help="Captions: COCO results JSON, JSON lines, hypotheses.jsonl or m-RNN's list.")
    ],
    references: Annotated[
        Path, typer.Argument(help="References: COCO captions JSON, JSON lines, annotations.jsonl or m-RNN's list.")
    ],
    baseline: Annotated[Path | None, typer.Option(help="Captions of the same images to compare with.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write scores.json and per_image.jsonl to.")] = None,
    as_json: Json = False,
) -> None:
    """Score captions with the COCO metrics.

    Prints each metric with its 95 % bootstrap interval, and the difference to a baseline.
    """
    from dataclasses import asdict

    from pipelines.evaluation.evaluate_file import evaluate_file
    from tasks.cli.console import print_json, print_table

    sheet = evaluate_file(results, references, out, baseline)
    if as_json:
        print_json(asdict(sheet))
        return
    rows = []
    for metric, value in sheet.metrics.items():
        low, high = sheet.intervals.get(metric, (None, None))
        interval = f"[{low:.4f}, {high:.4f}]" if low is not None else ""
        rows.append([metric, f"{value:.4f}", interval, _difference(sheet.differences.get(metric))])
    print_table(
        ["metric", "value", "95 % interval", f"minus {baseline.name}" if baseline else ""], rows, right=["value"]
    )
    for metric, why in sheet.left_out.items():
        print(f"{metric} left out: {why}")
    for warning in sheet.warnings:
        print(f"Warning: {warning}")
    print(f"{sheet.n} images scored, {sheet.not_captioned} with references only")


def _difference(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}], p {found['p']:.3f}"
