"""The figures: right on any page, and their alternative texts say what they show."""

import re
from dataclasses import replace

from pipelines.report.data import Epoch, ReportContents, StageEntry
from pipelines.report.plots import cider_plot, frequency_plot, interval_plot, lengths_plot, loss_plot
from pipelines.report.stage_graph import stage_graph
from schemas.provenance import Upstream


def test_plot_follows_the_page(contents: ReportContents) -> None:
    svg = cider_plot(
        (Epoch(1, 5.0, 10.0, 11.0, 0.1, 0.1), Epoch(2, 5.0, 8.0, 9.0, 0.4, 0.4), Epoch(3, 5.0, 7.0, 9.5, 0.3, 0.3))
    )
    assert "Epoch 2 was kept, with 0.400." in svg
    assert "currentColor" in svg
    assert "style=" not in svg
    assert "http" not in svg


def test_the_kept_epoch_is_that_of_the_best_score() -> None:
    """As where epochs are selected by perplexity."""
    svg = cider_plot((Epoch(1, 5.0, 10.0, 9.0, 0.4, -9.0), Epoch(2, 5.0, 8.0, 8.0, 0.3, -8.0)))
    assert "Epoch 2 was kept, with 0.300." in svg


def description(svg: str) -> str:
    (text,) = re.findall("<desc[^>]*>(.*?)</desc>", svg)
    return text


def test_validation_loss_is_in_bits_a_word() -> None:
    svg = loss_plot((Epoch(1, 5.0, 10.0, 16.0, 0.1, 0.1), Epoch(2, 4.5, 8.0, 8.0, 0.4, 0.4)))
    assert description(svg) == (
        "Training loss: from 5.000 in the first epoch to 4.500 in the last. "
        "Validation loss: from 4.000 in the first epoch to 3.000 in the last."
    )


def test_intervals_are_drawn_for_rows_that_have_them(contents: ReportContents) -> None:
    row = contents.rows[0]
    bare = replace(row, label="no interval", scores=replace(row.scores, intervals={}))
    svg = interval_plot((row, bare), "BLEU-4")
    assert f"{row.label} {row.scores.metrics['BLEU-4']:.3f}. " in description(svg)
    assert "no interval" not in svg


def test_word_plots_say_their_numbers(contents: ReportContents) -> None:
    assert re.fullmatch(
        r"Generated captions have 7\.0 words on average, references \d+\.\d\.",
        description(lengths_plot(contents.words)),
    )
    first = contents.words.frequent[0]
    assert f"{first.word} {first.generated:.0f} and {first.references:.0f}" in description(
        frequency_plot(contents.words)
    )


def boxes(svg: str) -> dict[str, float]:
    """Label of a stage -> how far down its box is."""
    found = re.findall(r'<text [^>]*? y="(\S+)"[^>]*>([A-Z]\w+)( × \d+)?</text>', svg)
    return {stage + number: float(y) for y, stage, number in found}


def test_graph_goes_downwards(contents: ReportContents) -> None:
    svg = stage_graph(contents.stages)
    assert "TrainModel from ExtractFeatures, TokenizeCaptions;" in description(svg)
    assert "EvaluateCaptions from RerankCaptions;" in description(svg)  # GenerateCaptions is behind RerankCaptions
    down = boxes(svg)
    assert down["PrepareAnnotations"] < down["TrainModel"] < down["RerankCaptions"] < down["EvaluateCaptions × 3"]


def test_graph_bears_stages_that_go_round(contents: ReportContents) -> None:
    """A stage may be made from another artifact of a stage below it."""
    made = {entry.stage: entry for entry in contents.stages}
    annotations, features, captions, model = (
        made[stage] for stage in ("PrepareAnnotations", "ExtractFeatures", "TokenizeCaptions", "TrainModel")
    )
    assert features.provenance is not None
    above = {"model": Upstream(model.stage, model.key, "0" * 64)}
    tuned = StageEntry("ExtractFeatures", "again", replace(features.provenance, upstream=above))
    down = boxes(stage_graph((annotations, features, captions, model, tuned)))
    assert down.keys() == {"PrepareAnnotations", "TokenizeCaptions", "TrainModel", "ExtractFeatures × 2"}
    assert len(set(down.values())) == 4


def test_what_is_gone_is_told_in_the_graph(contents: ReportContents) -> None:
    gone = replace(contents.stages[0], provenance=None)
    assert "1 gone" in stage_graph((gone, *contents.stages[1:]))
