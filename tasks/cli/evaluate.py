"""EvaluateFile: the scores of anybody's captions."""

from pathlib import Path

import luigi

from tasks.cli.command import Command


class EvaluateFile(Command):
    """Scores a file of captions against a file of references; prints the scores and writes them to a folder."""

    results = luigi.Parameter(description="captions: COCO results JSON, JSON lines, hypotheses.jsonl or m-RNN's list")
    references = luigi.Parameter(
        description="COCO captions JSON, JSON records or lines, annotations.jsonl or m-RNN's list"
    )
    out = luigi.Parameter(description="folder for scores.json and per_image.jsonl")
    baseline = luigi.Parameter(default="", description="captions of the same images to compare with, as `results`")

    def act(self) -> None:
        """Scores, writes and prints."""
        from pipelines.evaluation.evaluate_file import evaluate_file

        sheet = evaluate_file(
            Path(self.results), Path(self.references), Path(self.out), Path(self.baseline) if self.baseline else None
        )
        for metric, value in sheet.metrics.items():
            line = f"{metric:10s} {value:7.4f}"
            if metric in sheet.intervals:
                low, high = sheet.intervals[metric]
                line += f"  [{low:.4f}, {high:.4f}]"
            if metric in sheet.differences:
                found = sheet.differences[metric]
                line += f"  {found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}], p {found['p']:.3f}"
            print(line)
        for metric, reason in sheet.left_out.items():
            print(f"{metric:10s} left out: {reason}")
        for warning in sheet.warnings:
            print(f"Warning: {warning}")
        print(f"{sheet.n} images scored, {sheet.not_captioned} with references only: {Path(self.out) / 'scores.json'}")
