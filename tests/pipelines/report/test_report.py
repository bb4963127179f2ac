"""The report of imitated artifacts, which the real writers wrote: it shows their numbers."""

import re
from dataclasses import replace

import pytest

from model.metrics.captions import score_captions
from pipelines.report.collect import collect_contents
from pipelines.report.data import ReportContents, ReportInputs
from pipelines.report.published_results import MARKS, published_captions, published_retrieval
from pipelines.report.render import render_report
from schemas.annotations import read_annotations
from schemas.errors import ArtifactError
from schemas.features import Reject, write_rejects
from schemas.results import read_results
from schemas.scores import read_caption_scores
from tests.support.imitation import HOSTILE, METEOR_REASON, WARNING
from tests.support.report_page import Page, parse


def test_score_table_shows_the_scores_of_the_artifacts(page: Page, inputs: ReportInputs) -> None:
    header = next(row for row in page.rows if "CIDEr-D" in row)
    assert header == [
        "Captions",
        *(f"BLEU-{n}" for n in range(1, 5)),
        "ROUGE-L",
        "CIDEr-D",
        "Perplexity",
    ]
    for label, directory in inputs.scores.items():
        scores = read_caption_scores(directory)
        row = dict(zip(header, page.row(label), strict=True))
        for name, value in scores.metrics.items():
            low, high = scores.intervals.get(name, (None, None))
            assert row[name] == (f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]")
        assert row["Perplexity"] == "12.346"
    assert "Images14" in page.text
    assert page.text.count(WARNING) == 1
    assert page.text.count(f"Not scored: METEOR: {METEOR_REASON}") == 1


def test_score_table_marks_missing_metrics(contents: ReportContents) -> None:
    first, *others = contents.rows
    scores = replace(first.scores, metrics={**first.scores.metrics, "METEOR": 0.25}, left_out={})
    page = parse(render_report(replace(contents, rows=(replace(first, scores=scores), *others))))
    header = next(row for row in page.rows if "CIDEr-D" in row)
    cells = [page.row(row.label)[header.index("METEOR")] for row in contents.rows]
    assert cells == ["0.250", *["not scored [1]"] * len(others)]
    assert f"[1] Not scored: METEOR: {METEOR_REASON}" in page.text


def test_headline_shows_the_reranked_row(page: Page, contents: ReportContents) -> None:
    assert contents.main_label == "reranked"
    assert f"CIDEr-D{contents.main_row.scores.metrics['CIDEr-D']:.3f}" in page.text
    assert page.text.count("is the image-blind control") == 1
    assert "“blind” is the image-blind control" in page.text


def test_report_shows_the_gain_by_reranking(inputs: ReportInputs, page: Page) -> None:
    claimed = replace(inputs, claim=("reranked", "beam"))
    shown = parse(render_report(collect_contents(claimed)))
    texts = {label: read_results(inputs.scores[label] / "results.json") for label in claimed.claim}
    references = {
        image.image_id: image.captions
        for image in read_annotations(inputs.annotations)
        if image.image_id in texts["beam"]
    }
    ours, theirs = (score_captions(texts[label], references).corpus for label in claimed.claim)
    row = next(row for row in shown.rows if row[0].endswith("(the first of the same hypotheses)"))
    for cell, metric in zip(row[1:], ("BLEU-4", "CIDEr-D"), strict=True):
        value, low, high = map(float, re.findall(r"[+-][\d.]+", cell))
        assert value == pytest.approx(ours[metric] - theirs[metric], abs=6e-4)
        assert low <= value <= high
    assert any("minus m-RNN-shared memory-high" in " ".join(row[0].split()) for row in shown.rows)
    assert "the first of the same hypotheses" not in page.text


def test_report_shows_published_results_with_their_marks(page: Page, contents: ReportContents) -> None:
    (published,) = published_captions("flickr8k")
    row = next(row for row in page.rows if row[0].strip().startswith(published.model))
    assert row[0].split() == ["m-RNN-AlexNet", "memory-mid", "Flickr8K"]
    assert row[1:5] == ["0.565", "0.386", "0.256", "0.170"]
    assert MARKS["memory-mid"] in page.text
    recalled = [row for row in page.rows if "14.5" in row]
    assert [row[0].split()[1] for row in recalled] == ["memory-high"]
    assert page.row("This run")[1:5] == ["10.0", "20.0", "30.0", "7.5"]
    unpublished = parse(render_report(replace(contents, published=(), published_retrieval=())))
    assert "No m-RNN caption scores have been published for Flickr8k" in unpublished.text
    assert "memory-" not in unpublished.text


@pytest.mark.parametrize("dataset", ["iaprtc12", "flickr8k", "flickr30k", "coco2014"])
def test_published_results_have_known_marks(dataset: str) -> None:
    published = [*published_captions(dataset), *published_retrieval(dataset)]
    assert len(published) >= 2
    assert all(each.mark in MARKS for each in published)


def test_report_confirms_consistent_counts(page: Page, contents: ReportContents) -> None:
    header = next(row for row in page.rows if row[0] == "Split")
    assert dict(zip(header, page.row("test"), strict=True)) == {
        "Split": "test",
        "Images": "15",
        "With features": "14",
        "Rejected": "1",
        "Captioned": "14",
        "Reference captions": "30",
        "Tokens": f"{contents.splits[2].tokens}",
        "Out of vocabulary": "0.0%",
    }
    assert page.row("Total")[1:4] == ["60", "59", "1"]
    assert "The counts add up" in page.text
    assert "5 more in problems.txt" in page.text


def test_report_flags_inconsistent_counts(contents: ReportContents) -> None:
    lost = replace(contents.splits[0], with_features=contents.splits[0].with_features - 2)
    text = parse(render_report(replace(contents, splits=(lost, *contents.splits[1:])))).text
    assert "The counts do not add up: split train: +2 (images minus" in text
    captioned = replace(contents.splits[2], captioned=contents.splits[2].with_features - 1)
    text = parse(render_report(replace(contents, splits=(*contents.splits[:2], captioned)))).text
    assert "The counts do not add up: split test: +1 (images with features minus captioned" in text


def test_stage_table_includes_upstream_artifacts(page: Page, inputs: ReportInputs, contents: ReportContents) -> None:
    stages = [entry.stage for entry in contents.stages]
    assert stages.count("EvaluateCaptions") == 3
    assert stages.index("PrepareAnnotations") < stages.index("TrainModel") < stages.index("RerankCaptions")
    row = page.row("TrainModel")
    assert row[1:6] == [inputs.model.name, "complete", "2026-01-02T03:04:05+00:00", "1 min", "2.5 GB"]
    captions, features = inputs.captions.name, inputs.features.name
    assert row[7] == f"ExtractFeatures {features}, TokenizeCaptions {captions}"
    assert "Counts: parameters 1,234,567" in page.text
    assert "abc1234 with uncommitted changes" in page.text
    assert "ExtractFeatures 0; TrainModel 3" in page.text


def test_report_shows_extraction_totals(page: Page) -> None:
    assert "1,200 images, 2.5 MB; 8 rejected" in page.text
    assert "12.3 s, total over all threads" in page.text
    assert "60.0 s, and 0.5 s waiting for images" in page.text
    assert "40, 93% full" in page.text
    assert "beam.Runner --workers=2" in page.text


def test_stage_table_marks_deleted_artifacts(inputs: ReportInputs, contents: ReportContents) -> None:
    gone = replace(contents.stages[0], provenance=None)
    assert parse(render_report(replace(contents, stages=(gone,)))).row(gone.stage)[2] == "deleted"


def test_headline_summarizes_the_run(page: Page, inputs: ReportInputs) -> None:
    assert (
        "DatasetFlickr8k, 60 images Variantmrnn Backbonevgg16/fc2 Seed3 "
        f"Revisionabc1234 with uncommitted changes Model{inputs.model.name} "
    ) in page.text


def test_report_renders_without_curve_retrieval_and_note(contents: ReportContents) -> None:
    page = parse(render_report(replace(contents, curve=(), retrieval=None, note=None)))
    assert "No training curve was recorded" in page.text
    assert not any("by epoch" in image["alt"] for image in page.all("img"))
    assert not any(link["href"] == "#retrieval" for link in page.all("a"))


def test_collect_contents_refuses_scores_of_other_captions(inputs: ReportInputs) -> None:
    with pytest.raises(ArtifactError, match="No score row belongs to the captions in"):
        collect_contents(replace(inputs, scores={"blind": inputs.scores["blind"]}, hypotheses=inputs.model))


def test_report_shows_rejected_images(page: Page, inputs: ReportInputs, contents: ReportContents) -> None:
    (rejected,) = contents.rejected
    assert (rejected.thumbnail.image_id, rejected.thumbnail.data_uri, rejected.file) == ("image_11", None, "11.png")
    assert "4 more in rejects.jsonl" in parse(render_report(replace(contents, rejects=5))).text
    write_rejects(inputs.features, [Reject("elsewhere", "decode", "damaged")])
    try:
        with pytest.raises(ArtifactError, match="Image elsewhere was rejected but is not annotated"):
            collect_contents(inputs)
    finally:
        write_rejects(inputs.features, [Reject("image_11", "decode", HOSTILE)])
