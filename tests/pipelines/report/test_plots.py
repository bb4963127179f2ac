"""Figures of the report: their alternative texts contain the numbers that are plotted."""

import re
from dataclasses import replace

from pipelines.report.data import Epoch, ReportContents
from pipelines.report.plots import cider_plot, frequency_plot, interval_plot, lengths_plot, loss_plot


def test_cider_plot_marks_the_selected_epoch() -> None:
    figure = cider_plot(
        (Epoch(1, 5.0, 10.0, 11.0, 0.1, 0.1), Epoch(2, 5.0, 8.0, 9.0, 0.4, 0.4), Epoch(3, 5.0, 7.0, 9.5, 0.3, 0.3))
    )
    assert "Epoch 2 was selected (0.400)." in figure.alt


def test_cider_plot_marks_the_epoch_with_the_best_score_when_perplexity_selects() -> None:
    figure = cider_plot((Epoch(1, 5.0, 10.0, 9.0, 0.4, -9.0), Epoch(2, 5.0, 8.0, 8.0, 0.3, -8.0)))
    assert "Epoch 2 was selected (0.300)." in figure.alt


def test_loss_plot_shows_validation_loss_in_bits_per_token() -> None:
    figure = loss_plot((Epoch(1, 5.0, 10.0, 16.0, 0.1, 0.1), Epoch(2, 4.5, 8.0, 8.0, 0.4, 0.4)))
    assert figure.alt == (
        "Loss by epoch. Training: from 5.000 in the first epoch to 4.500 in the last. "
        "Validation: from 4.000 in the first epoch to 3.000 in the last."
    )


def test_interval_plot_leaves_out_rows_without_interval(contents: ReportContents) -> None:
    row = contents.rows[0]
    bare = replace(row, label="no interval", scores=replace(row.scores, intervals={}))
    figure = interval_plot((row, bare), "BLEU-4")
    assert f"{row.label} {row.scores.metrics['BLEU-4']:.3f}. " in figure.alt
    assert "no interval" not in figure.alt


def test_word_plots_describe_their_numbers(contents: ReportContents) -> None:
    assert re.search(
        r"Generated captions have 7\.0 words on average, references \d+\.\d\.$", lengths_plot(contents.words).alt
    )
    first = contents.words.frequent[0]
    assert f"{first.word} {first.generated:.0f} and {first.references:.0f}" in frequency_plot(contents.words).alt
