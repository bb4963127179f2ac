"""The report, from imitation artifacts that the real writers wrote: true numbers."""

from dataclasses import replace
from typing import Any

import pytest

from pipelines.report.collect import collect_contents
from pipelines.report.data import ReportContents
from pipelines.report.published_results import MARKS, published_captions, published_retrieval
from pipelines.report.render import render_report
from schemas.errors import ArtifactError
from schemas.features import Reject, write_rejects
from schemas.scores import read_caption_scores
from tests.support.imitation import HOSTILE, METEOR_REASON, WARNING
from tests.support.report_page import Page, parse


def test_scores_are_those_of_the_artifacts(page: Page, arguments: dict[str, Any]) -> None:
    header = next(row for row in page.rows if "CIDEr-D" in row)
    assert header == [
        "Captions",
        *(f"BLEU-{n}" for n in range(1, 5)),
        "ROUGE-L",
        "CIDEr-D",
        "Perplexity",
    ]
    for label, directory in arguments["scores"].items():
        scores = read_caption_scores(directory)
        row = dict(zip(header, page.row(label), strict=True))
        for name, value in scores.metrics.items():
            low, high = scores.intervals.get(name, (None, None))
            assert row[name] == (f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]")
        assert row["Perplexity"] == "12.346"
    assert "Images14" in page.text
    assert page.text.count(WARNING) == 1
    assert page.text.count(f"Left out, METEOR: {METEOR_REASON}") == 1


def test_a_metric_that_only_some_rows_have_is_marked_in_the_others(contents: ReportContents) -> None:
    first, *others = contents.rows
    scores = replace(first.scores, metrics={**first.scores.metrics, "METEOR": 0.25}, left_out={})
    page = parse(render_report(replace(contents, rows=(replace(first, scores=scores), *others))))
    header = next(row for row in page.rows if "CIDEr-D" in row)
    cells = [page.row(row.label)[header.index("METEOR")] for row in contents.rows]
    assert cells == ["0.250", *["left out [1]"] * len(others)]
    assert f"[1] Left out, METEOR: {METEOR_REASON}" in page.text


def test_headline_is_the_reranked_row(page: Page, contents: ReportContents) -> None:
    assert contents.main_label == "reranked"
    assert f"CIDEr-D{contents.main_row.scores.metrics['CIDEr-D']:.3f}" in page.text
    assert page.text.count("is the image-blind control") == 1
    assert "“blind” is the image-blind control" in page.text


def test_published_numbers_carry_their_marks(page: Page, contents: ReportContents) -> None:
    (published,) = published_captions("flickr8k")
    row = next(row for row in page.rows if row[0].strip().startswith(published.model))
    assert row[0].split() == ["m-RNN-AlexNet", "memory-mid", "Flickr8K"]
    assert row[1:5] == ["0.565", "0.386", "0.256", "0.170"]
    assert MARKS["memory-mid"] in page.text
    recalled = [row for row in page.rows if "14.5" in row]
    assert [row[0].split()[1] for row in recalled] == ["memory-high"]
    assert page.row("This run")[1:5] == ["10.0", "20.0", "30.0", "7.5"]
    unpublished = parse(render_report(replace(contents, published=(), published_retrieval=())))
    assert "There are no published m-RNN scores of captions for Flickr8k" in unpublished.text
    assert "memory-" not in unpublished.text


@pytest.mark.parametrize("dataset", ["iaprtc12", "flickr8k", "flickr30k", "coco2014"])
def test_published_numbers_are_marked(dataset: str) -> None:
    published = [*published_captions(dataset), *published_retrieval(dataset)]
    assert len(published) >= 2
    assert all(each.mark in MARKS for each in published)


def test_counts_add_up(page: Page, contents: ReportContents) -> None:
    header = next(row for row in page.rows if row[0] == "Split")
    assert dict(zip(header, page.row("test"), strict=True)) == {
        "Split": "test",
        "Images": "15",
        "With features": "14",
        "Rejected": "1",
        "Captioned": "14",
        "Reference captions": "30",
        "Words": f"{contents.splits[2].words}",
        "Outside the vocabulary": "0.0 %",
    }
    assert page.row("all")[1:4] == ["60", "59", "1"]
    assert "The counts add up" in page.text
    assert "And 5 more, in problems.txt" in page.text


def test_counts_that_do_not_add_up_are_said(contents: ReportContents) -> None:
    lost = replace(contents.splits[0], with_features=contents.splits[0].with_features - 2)
    text = parse(render_report(replace(contents, splits=(lost, *contents.splits[1:])))).text
    assert "The counts do not add up: train +2 images" in text
    captioned = replace(contents.splits[2], captioned=contents.splits[2].with_features - 1)
    text = parse(render_report(replace(contents, splits=(*contents.splits[:2], captioned)))).text
    assert "The counts do not add up: test +1 images have features and no caption" in text


def test_stages_include_what_is_upstream(page: Page, arguments: dict[str, Any], contents: ReportContents) -> None:
    stages = [entry.stage for entry in contents.stages]
    assert stages.count("EvaluateCaptions") == 3
    assert stages.index("PrepareAnnotations") < stages.index("TrainModel") < stages.index("RerankCaptions")
    row = page.row("TrainModel")
    assert row[1:6] == [arguments["model"].name, "complete", "2026-01-02T03:04:05+00:00", "1 min", "2.5 GB"]
    captions, features = arguments["captions"].name, arguments["features"].name
    assert row[7] == f"ExtractFeatures {features}, TokenizeCaptions {captions}"
    assert "Counts: parameters 1,234,567" in page.text
    assert "abc1234 with changes that were not committed" in page.text
    assert "ExtractFeatures 0; TrainModel 3" in page.text


def test_what_extraction_counted_is_said(page: Page) -> None:
    assert "1,200 images, 2.5 MB; 8 rejected" in page.text
    assert "12.3 s, summed over threads" in page.text
    assert "60.0 s, and 0.5 s of waiting for pixels" in page.text
    assert "40, 93% full" in page.text
    assert "beam.Runner --workers=2" in page.text


def test_deleted_upstream_is_said(arguments: dict[str, Any], contents: ReportContents) -> None:
    gone = replace(contents.stages[0], provenance=None)
    assert parse(render_report(replace(contents, stages=(gone,)))).row(gone.stage)[2] == "is no longer there"


def test_what_was_run_is_said_first(page: Page, arguments: dict[str, Any]) -> None:
    assert (
        "DataFlickr8k, 60 images Variantmrnn Backbonevgg16/fc2 Seed3 "
        f"Revisionabc1234 with changes that were not committed Model{arguments['model'].name} "
    ) in page.text


def test_report_without_curve_retrieval_and_note(contents: ReportContents) -> None:
    page = parse(render_report(replace(contents, curve=(), retrieval=None, note=None)))
    assert "There is no training curve" in page.text
    assert not any(svg["aria-labeledby"].startswith(("loss", "perplexity", "cider")) for svg in page.all("svg"))
    assert not any(link["href"] == "#retrieval" for link in page.all("a"))


def test_scores_of_other_captions_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="No score row is of the captions in"):
        collect_contents(
            **{**arguments, "scores": {"blind": arguments["scores"]["blind"]}, "hypotheses": arguments["model"]}
        )


def test_rejected_images_are_shown(page: Page, arguments: dict[str, Any], contents: ReportContents) -> None:
    (rejected,) = contents.rejected
    assert (rejected.picture.image_id, rejected.picture.data_uri, rejected.file) == ("image_11", None, "11.png")
    assert "And 4 more, in rejects.jsonl" in parse(render_report(replace(contents, rejects=5))).text
    write_rejects(arguments["features"], [Reject("elsewhere", "decode", "damaged")])
    try:
        with pytest.raises(ArtifactError, match="Image elsewhere was rejected but is not annotated"):
            collect_contents(**arguments)
    finally:
        write_rejects(arguments["features"], [Reject("image_11", "decode", HOSTILE)])
