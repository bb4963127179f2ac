"""The `mrnn compare` command."""

import json

import pytest

from schemas.errors import InputError
from tasks.cli.compare import compare
from tests.pipelines.artifacts.test_compare_runs import make_run


def test_compare_prints_and_writes_all_runs(data_dir, capsys):
    make_run(data_dir, 1, 0.4, dropout=0.3)
    make_run(data_dir, 2, 0.6, dropout=0.5)
    make_run(data_dir, 3, 0.6, sheet={"metrics": {}})
    compare(data_dir=data_dir)
    printed = capsys.readouterr()
    assert "0000000002  dropout 0.5" in printed.out
    assert "Warning: " in printed.err and "0000000003" in printed.err
    assert (data_dir / "comparison" / "runs.csv").read_text().count("\n") == 3
    assert "0000000003" in (data_dir / "comparison" / "runs.html").read_text()


def test_compare_json_has_scores_and_differing_parameters(data_dir, tmp_path, capsys):
    make_run(data_dir, 1, 0.4, dropout=0.3)
    make_run(data_dir, 2, 0.6, dropout=0.5)
    compare(data_dir=data_dir, out=tmp_path / "out", as_json=True)
    best, other = json.loads(capsys.readouterr().out)
    assert (best["key"], best["metrics"]["CIDEr-D"], best["parameters"]["dropout"]) == ("0000000002", 0.6, "0.5")
    assert other["parameters"]["dropout"] == "0.3"
    assert (tmp_path / "out" / "runs.html").exists() and not (data_dir / "comparison").exists()


@pytest.mark.parametrize("there_is_one", [False, True])
def test_compare_fails_where_nothing_was_scored(data_dir, there_is_one):
    if there_is_one:
        make_run(data_dir, 1, 0.4, sheet={"metrics": {}})
    with pytest.raises(InputError, match="no scores to compare"):
        compare(data_dir=data_dir)
