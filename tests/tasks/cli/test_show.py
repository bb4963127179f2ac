"""The `mrnn show` command."""

import json

import pytest

import tasks
from tasks.cli.show import show
from tasks.runtime.locks import artifact_lock
from tests.support.artifacts import make_artifact


@pytest.fixture
def pipeline(data_dir, configuration):
    """A pipeline of which one stage is complete, one running and one partial; the rest is missing."""
    download, annotations, captions = (
        stage(data_dir=str(data_dir))
        for stage in (tasks.DownloadDataset, tasks.PrepareAnnotations, tasks.TokenizeCaptions)
    )
    make_artifact(data_dir, f"{download.dataset}/{download.stage}/{download.key}", seconds=2.5)
    annotations.directory.mkdir(parents=True)
    captions.directory.mkdir(parents=True)
    with artifact_lock(captions.directory):
        yield {"complete": download, "partial": annotations, "running": captions}


def test_show_prints_state_size_age_time_and_differing_parameters(pipeline, data_dir, capsys):
    show(settings=[f"pipeline.data_dir={data_dir}"])
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["stage", "key", "state", "size", "age", "time", "parameters"]
    for state, stage in pipeline.items():
        (line,) = (line for line in lines if stage.key in line)
        assert line.split()[:3] == [stage.stage, stage.key, state]
    assert lines[0].split()[3:] == ["0.0", "MB", "0.0", "s", "2.5", "s"] or "2.5 s" in lines[0]
    greedy = next(line for line in lines if line.startswith("GenerateCaptions") and "search greedy" in line)
    assert " missing " in greedy and "split test" in greedy
    order = [line.split()[0] for line in lines]
    assert order.index("TrainModel") < order.index("GenerateCaptions") < order.index("EvaluateCaptions")


def test_show_json_has_one_record_per_artifact(pipeline, data_dir, capsys):
    show(settings=[f"pipeline.data_dir={data_dir}"], as_json=True)
    records = json.loads(capsys.readouterr().out)
    keys = [(record["stage"], record["key"]) for record in records]
    assert len(keys) == len(set(keys))
    by_name = {f"{record['stage']} {record['key']}": record for record in records}
    for state, stage in pipeline.items():
        assert by_name[str(stage)]["state"] == state
    complete = by_name[str(pipeline["complete"])]
    assert complete["seconds"] == 2.5 and complete["size"] > 0 and complete["age"] < 3600
    assert str(pipeline["partial"]) in complete["needed_by"]
    for record in records:
        assert set(record["requires"].values()) <= set(by_name)


def test_show_takes_a_configuration(configuration, capsys):
    show(config="flickr8k-self-critical", as_json=True)
    stages = {record["stage"] for record in json.loads(capsys.readouterr().out)}
    assert "TrainSelfCritical" in stages
