"""The report of a run: `report.html` and `summary.json`."""

from pathlib import Path

from pipelines.report.collect import collect_contents
from pipelines.report.data import ReportInputs
from pipelines.report.render import render_report
from pipelines.report.summary import summarize
from schemas.annotations import read_annotations
from schemas.io.files import write_json, write_text

REPORT = "report.html"
SUMMARY = "summary.json"


def build_report(inputs: ReportInputs, examples: str, directory: Path) -> None:
    """Write the report, and its main numbers and some captions.

    Args:
        inputs: The artifacts that the report shows.
        examples: Label of the row whose captions `SUMMARY` contains.
        directory: Directory that receives `REPORT` and `SUMMARY`.

    Raises:
        ArtifactError: An artifact is missing or malformed.
    """
    write_text(directory / REPORT, render_report(collect_contents(inputs)))
    images = {image.image_id: image for image in read_annotations(inputs.annotations, "test")}
    write_json(directory / SUMMARY, summarize(inputs.scores, examples, images, inputs.retrieval, inputs.note))
