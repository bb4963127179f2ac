"""Comparison of runs: differing parameters and scores."""

import csv
import re
from dataclasses import asdict

import pytest

from pipelines.artifacts.compare_runs.runs import differences, find_runs
from pipelines.artifacts.compare_runs.tables import format_runs, write_runs_csv, write_runs_page
from schemas.io.files import write_json, write_text
from schemas.scores import CaptionScores
from tests.support.artifacts import make_artifact

SHEET = CaptionScores(
    n=100,
    tokenizer="ptb",
    document_frequencies="references",
    metrics={"BLEU-4": 0.2, "CIDEr-D": 0.5},
    intervals={"BLEU-4": [0.15, 0.25], "CIDEr-D": [0.4, 0.6]},
    left_out={},
    warnings=[],
    statistics={},
    split="test",
    captions="beam",
    beam_width=3,
    reranking=None,
    image_input="own",
    perplexity=12.5,
)


def make_run(data_dir, number, cider, dataset="toys", sheet=None, **training):
    model, scores = f"{dataset}/TrainModel/{number:010d}", f"{dataset}/EvaluateCaptions/{number:010d}"
    make_artifact(data_dir, f"{dataset}/TokenizeCaptions/0000000000", parameters={"min_count": 3}, seconds=5.0)
    make_artifact(data_dir, model, (f"{dataset}/TokenizeCaptions/0000000000",), parameters=training, seconds=3600.0)
    directory = make_artifact(
        data_dir, scores, (model, f"{dataset}/TokenizeCaptions/0000000000"), parameters={"captions": "beam", "seed": 0}
    )
    write_json(
        directory / "scores.json", {**asdict(SHEET), "metrics": {**SHEET.metrics, "CIDEr-D": cider}, **(sheet or {})}
    )
    return directory


def test_runs_come_best_first_with_their_differences_and_the_time_of_all_stages(tmp_path):
    make_run(tmp_path, 1, 0.4, dropout=0.3, epochs=12, seed=0)
    make_run(tmp_path, 2, 0.6, dropout=0.5, epochs=12, seed=0)
    runs, problems = find_runs(tmp_path)
    assert problems == []
    assert [run.key for run in runs] == ["0000000002", "0000000001"]
    assert differences(runs) == [{"dropout": "0.5"}, {"dropout": "0.3"}]
    assert [run.seconds for run in runs] == [3615.0, 3615.0]
    table = format_runs(runs)
    assert table.splitlines()[0] == "toys, test split"
    assert re.search(r"0\.200 +0\.600 +12\.500 +100 +1:00:15  0000000002  dropout 0\.5", table)


def test_parameters_of_one_name_are_distinguished_by_stage(tmp_path):
    make_run(tmp_path, 1, 0.4, seed=1)
    make_run(tmp_path, 2, 0.6, seed=0)
    assert differences(find_runs(tmp_path)[0]) == [{"TrainModel.seed": "0"}, {"TrainModel.seed": "1"}]


def test_run_without_its_model_is_listed(tmp_path):
    directory = make_run(tmp_path, 1, 0.4, dropout=0.3)
    (tmp_path / "toys" / "TrainModel" / directory.name / "provenance.json").unlink()
    (run,) = find_runs(tmp_path)[0]
    assert (run.lost, run.seconds) == (1, 15.0)
    assert "> 0:00:15" in format_runs([run])


@pytest.mark.parametrize(
    "damage",
    [
        {"metrics": []},
        {"metrics": {"CIDEr-D": "high"}},
        {"metrics": {}},
        {"intervals": {"CIDEr-D": [0.1]}},
        {"n": "many"},
    ],
)
def test_damaged_score_sheet_is_reported_as_a_problem(tmp_path, damage):
    make_run(tmp_path, 1, 0.4)
    damaged = make_run(tmp_path, 2, 0.6, sheet=damage)
    runs, problems = find_runs(tmp_path)
    assert [run.key for run in runs] == ["0000000001"]
    assert len(problems) == 1 and str(damaged) in problems[0]


def test_malformed_json_is_a_problem(tmp_path):
    write_text(make_run(tmp_path, 1, 0.4) / "scores.json", "{")
    write_text(make_artifact(tmp_path, "toys/EvaluateCaptions/0000000009") / "provenance.json", "[1]")
    runs, problems = find_runs(tmp_path)
    assert runs == [] and len(problems) == 2


def test_comparison_lists_all_runs_and_escapes_names(tmp_path):
    evil = "<script>alert(1)</script>$\\frac"
    make_run(tmp_path, 1, 0.4, variant="=cmd()")
    make_run(tmp_path, 2, 0.6, variant=evil)
    make_run(tmp_path, 3, 0.5, dataset="=<b>\x1b[31m", sheet={"captions": evil}, variant="x")
    runs, _ = find_runs(tmp_path)
    write_runs_csv(tmp_path / "runs.csv", runs)
    write_runs_page(tmp_path / "runs.html", runs, ["<i>problem"])
    with open(tmp_path / "runs.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert [row[header.index("CIDEr-D")] for row in rows] == ["0.5", "0.6", "0.4"]
    assert {row[header.index("variant")] for row in rows} >= {"'=cmd()", evil}
    assert not any(cell.startswith("=") for row in rows for cell in row)
    page = (tmp_path / "runs.html").read_text()
    assert "<script" not in page and "<b>" not in page and "<i>" not in page
    plots = re.findall(r'<img src="data:image/svg\+xml;base64,[^"]+" alt="([^"]+)">', page)
    assert len(plots) == 4  # two metrics of two datasets
    assert all("highest in run" in alt for alt in plots)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "\x1b" not in format_runs(runs)
