"""The pipeline as it stands, for people and for programs."""

import json

import pytest

import tasks
from tasks.runtime.locks import artifact_lock
from tests.support.artifacts import make_artifact


@pytest.fixture
def pipeline(data_dir, monkeypatch):
    """A pipeline of which one stage is complete, one running and one begun."""
    whole = tasks.FullPipeline(data_dir=str(data_dir))
    monkeypatch.setattr("tasks.cli.show.FullPipeline", lambda: whole)
    download, annotations, captions = (
        stage(data_dir=str(data_dir))
        for stage in (tasks.DownloadDataset, tasks.PrepareAnnotations, tasks.TokenizeCaptions)
    )
    make_artifact(data_dir, f"{download.dataset}/{download.stage}/{download.key}", seconds=2.5)
    annotations.directory.mkdir(parents=True)
    captions.directory.mkdir(parents=True)
    with artifact_lock(captions.directory):
        yield {"complete": download, "begun": annotations, "running": captions}


def test_the_tree_says_state_size_age_time_and_who_needs_it(pipeline, run, capsys):
    assert run(tasks.ShowPipeline())
    lines = capsys.readouterr().out.splitlines()
    (complete,) = (line for line in lines if str(pipeline["complete"]) in line and "see above" not in line)
    assert "complete, 0.0 MB, made 0:00:0" in complete and "in 2.5 s" in complete
    assert "for BuildReport, PrepareAnnotations, ExtractFeatures" in complete
    for state in ("begun", "running"):
        (line,) = (line for line in lines if str(pipeline[state]) in line and "see above" not in line)
        assert f"  {state}, for " in line
    assert "  missing" in next(line for line in lines if line.startswith("BuildReport"))


def test_programs_get_json(pipeline, run, capsys):
    assert run(tasks.ShowPipeline(json=True))
    records = json.loads(capsys.readouterr().out)
    keys = [(record["stage"], record["key"]) for record in records]
    assert len(keys) == len(set(keys))
    by_name = {f"{record['stage']} {record['key']}": record for record in records}
    for state, stage in pipeline.items():
        assert by_name[str(stage)]["state"] == state
    complete = by_name[str(pipeline["complete"])]
    assert complete["seconds"] == 2.5 and complete["size"] > 0 and complete["age"] < 3600
    assert str(pipeline["begun"]) in complete["needed_by"]
    for record in records:
        assert set(record["requires"].values()) <= set(by_name)
