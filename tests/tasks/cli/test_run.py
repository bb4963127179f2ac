"""`mrnn run`: a configuration, parameters, and the exit codes of Luigi."""

import json

from schemas.provenance import read_provenance


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
