"""Runs side by side, by the command that users give."""

import pytest

import tasks
from tests.pipelines.artifacts.test_compare_runs import make_run


def test_runs_are_printed_and_written(data_dir, run, capsys):
    make_run(data_dir, 1, 0.4, dropout=0.3)
    make_run(data_dir, 2, 0.6, dropout=0.5)
    make_run(data_dir, 3, 0.6, sheet={"metrics": {}})
    assert run(tasks.CompareRuns(data_dir=str(data_dir)))
    said = capsys.readouterr().out
    assert "0000000002  dropout 0.5" in said
    assert "Warning: " in said and "0000000003" in said
    assert (data_dir / "comparison" / "runs.csv").read_text().count("\n") == 3
    assert "0000000003" in (data_dir / "comparison" / "runs.html").read_text()


@pytest.mark.parametrize("there_is_one", [False, True])
def test_nothing_to_compare_is_a_failure(data_dir, run, there_is_one, capsys):
    if there_is_one:
        make_run(data_dir, 1, 0.4, sheet={"metrics": {}})
    assert not run(tasks.CompareRuns(data_dir=str(data_dir)))
