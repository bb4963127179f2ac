"""`mrnn evaluate`: scores of captions from files."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasks.cli.options import Json

if TYPE_CHECKING:
    from schemas.scores import FileScores


class Metric(StrEnum):
    """Metrics that are computed on request."""

    METEOR = "METEOR"
    SPICE = "SPICE"
    CLIP_SCORE = "CLIPScore"


class Format(StrEnum):
    """Form of printed tables."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"


Table = tuple[list[str], list[list[str]], list[str]]  # columns, rows, columns that are aligned right


def evaluate(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Captions, a file per system: COCO results, JSON, JSON lines, CSV, hypotheses.jsonl or m-RNN's list.",
        ),
    ],
    references: Annotated[
        Path,
        typer.Argument(
            help="References: COCO captions, a Karpathy file, JSON lines, CSV, annotations.jsonl or m-RNN's list.",
        ),
    ],
    baseline: Annotated[
        Path | None, typer.Option(help="Captions of the same images by the system that the others are compared with.")
    ] = None,
    metric: Annotated[
        list[Metric] | None,
        typer.Option(
            case_sensitive=False,
            help="Metric to add, which needs the extra `coco` or `clip`; may be given several times.",
        ),
    ] = None,
    clip_model: Annotated[
        Path | None, typer.Option(help="Directory of a CLIP model in ONNX, for CLIPScore and RefCLIPScore.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Directory of the images, for CLIPScore.")] = None,
    by_character: Annotated[
        bool, typer.Option("--by-character", help="Score Chinese, Japanese, Thai and the like by character.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Directory to write scores.json and per_image.csv to.")] = None,
    form: Annotated[Format, typer.Option("--format", help="Form of the printed table.")] = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Score captions with the COCO metrics.

    Prints each metric with its 95 % bootstrap interval, and the paired difference to a baseline; of several systems, a
    table. Images that are only in one of the two files are not scored, but counted and named. The last line is a
    signature for a paper.
    """
    from pipelines.evaluation.evaluate_file import Clip, evaluate_files
    from schemas.scores import file_scores_as_json
    from tasks.cli.console import print_json

    if as_json and form != Format.TABLE:
        raise typer.BadParameter("choose one of --json and --format", param_hint="--format")
    wants_clip = Metric.CLIP_SCORE in (metric or ())
    if (clip_model or images) and not wants_clip:
        raise typer.BadParameter("only CLIPScore uses --clip-model and --images; add it", param_hint="--metric")
    sheets = evaluate_files(
        results,
        references,
        baseline=baseline,
        by_character=by_character,
        java_metrics=[each for each in metric or () if each != Metric.CLIP_SCORE],
        clip=Clip(clip_model, images) if wants_clip else None,
        out=out,
    )
    if as_json:
        print_json(file_scores_as_json(sheets))
    elif len(sheets) == 1:
        _print([_metrics_table(sheets[0])], sheets, form)
    else:
        differences = [_differences_table(sheets)] if baseline else []
        _print([_systems_table(sheets), *differences], sheets, form)


def _metrics_table(sheet: "FileScores") -> Table:
    """Return a row per metric."""
    rows = []
    for metric, value in sheet.metrics.items():
        difference = sheet.differences.get(metric)
        compared = f"{_signed(difference)}, p {_p_value(difference['p'])}" if difference else ""
        rows.append(
            [metric, f"{value:.4f}", _interval(*sheet.intervals[metric]), *([compared] if sheet.baseline else [])]
        )
    return (
        ["metric", "value", "95 % interval", *([f"minus {sheet.baseline}"] if sheet.baseline else [])],
        rows,
        ["value"],
    )


def _systems_table(sheets: Sequence["FileScores"]) -> Table:
    """Return a row per system and a column per metric."""
    from schemas.scores import in_order

    metrics = in_order(sheets[0].metrics)
    rows = [[sheet.results, *(f"{sheet.metrics[metric]:.4f}" for metric in metrics)] for sheet in sheets]
    return ["system", *metrics], rows, metrics


def _differences_table(sheets: Sequence["FileScores"]) -> Table:
    """Return a row per system and metric."""
    from schemas.scores import in_order

    rows = [
        [sheet.results, metric, f"{found['value']:+.4f}", _interval(found["low"], found["high"]), _p_value(found["p"])]
        for sheet in sheets
        for metric in in_order(sheet.differences)
        for found in [sheet.differences[metric]]
    ]
    baseline = next(sheet.baseline for sheet in sheets if sheet.baseline)
    return ["system", "metric", f"minus {baseline}", "95 % interval", "p"], rows, [f"minus {baseline}", "p"]


def _interval(low: float, high: float) -> str:
    return f"[{low:.4f}, {high:.4f}]"


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _signed(difference: dict[str, float]) -> str:
    return f"{difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"


def _print(tables: Sequence[Table], sheets: Sequence["FileScores"], form: Format) -> None:
    """Print tables and signature; what a table to paste has no place for goes to standard error."""
    from tasks.cli.console import format_latex, format_markdown, print_table

    notes = sys.stdout if form == Format.TABLE else sys.stderr
    for number, (columns, rows, right) in enumerate(tables):
        if number:
            print()
        if form == Format.TABLE:
            print_table(columns, rows, right)
        else:
            print((format_markdown if form == Format.MARKDOWN else format_latex)(columns, rows, right))
    first = sheets[0]
    for metric, why in first.left_out.items():
        print(f"{metric} left out: {why}", file=notes)
    for warning in dict.fromkeys(warning for sheet in sheets for warning in sheet.warnings):
        print(f"Warning: {warning}", file=notes)
    for ignored in dict.fromkeys(sentence for sheet in sheets for sentence in sheet.ignored):
        print(f"Not scored: {ignored}", file=notes)
    print(f"{first.n} images scored, {first.not_captioned} with references only", file=notes)
    signature = {Format.TABLE: "Signature: {}", Format.MARKDOWN: "\n`{}`", Format.LATEX: "% {}"}[form]
    print(signature.format(first.signature))
