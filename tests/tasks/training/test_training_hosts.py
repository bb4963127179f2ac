"""TrainModel on two workers: the chief writes the artifact."""

import pytest

from schemas.provenance import read_provenance
from tests.support.hosts import PARAMETERS, make_task, make_upstream, start_hosts

pytestmark = pytest.mark.slow("trains in two TensorFlow processes")


def test_one_host_leads_and_the_other_assists(data_dir):
    parameters = {**PARAMETERS, "data_dir": str(data_dir)}
    task = make_task(parameters)
    make_upstream(task.requires())
    processes = start_hosts(parameters)
    assert [process.wait() for process in processes] == [0, 0]

    made = read_provenance(task.directory)
    assert list(made.files) == ["config.json", "model.keras", "vocabulary.txt"]
    assert made.counts["epochs"] == 2
    assert made.operational["strategy"] == "multi-worker"
    assert len(list((task.directory / "training" / "tensorboard").iterdir())) == 2
    assert [path.name for path in task.directory.parent.glob("*.worker-1.log")] == [f"{task.key}.worker-1.log"]
