"""`mrnn run`: a configuration, parameters, and the exit codes of Luigi."""

import json

import pytest

from schemas.provenance import read_provenance
from tasks.cli.run import run


def test_run_makes_one_stage_with_the_given_parameters(mrnn, tmp_path):
    settings = ("--set", "DownloadDataset.images=24", "--set", f"pipeline.data_dir={tmp_path / 'var'}")
    run = mrnn("run", "PrepareAnnotations", *settings)
    assert run.returncode == 0, run.stderr
    (download,) = (tmp_path / "var").glob("shapes/DownloadDataset/*/provenance.json")
    assert read_provenance(download.parent).parameters["images"] == 24
    assert len([*(tmp_path / "var").glob("shapes/PrepareAnnotations/*/provenance.json")]) == 1
    records = json.loads(mrnn("show", "--json", *settings).stdout)
    complete = {record["stage"]: record["seconds"] for record in records if record["state"] == "complete"}
    assert {*complete} == {"DownloadDataset", "PrepareAnnotations"}
    heading, *rows, total = mrnn("show", "--time", *settings).stdout.splitlines()
    assert heading.split()[:3] == ["stage", "key", "time"] and total.startswith("total ")
    assert [row.split()[0] for row in rows] == sorted(complete, key=lambda stage: -complete[stage])


def test_failed_stage_has_the_packaged_exit_code_in_any_directory(mrnn):
    run = mrnn("run", "custom", "DownloadDataset", "--set", "DownloadDataset.source=nowhere")
    assert run.returncode == 30
    assert "There is no directory" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(("workers", "expected"), [(None, []), (3, ["--workers=3"])])
def test_number_of_workers_is_that_of_the_configuration_unless_given(monkeypatch, workers, expected):
    given = []
    monkeypatch.setattr("tasks.cli.pipeline.open_configuration", lambda config: None)
    monkeypatch.setattr("tasks.cli.run._run_until_complete", lambda arguments, stage: given.extend(arguments))
    with pytest.raises(SystemExit):
        run(stage="DownloadDataset", workers=workers, verbose=False)
    assert [argument for argument in given if "workers" in argument] == expected
