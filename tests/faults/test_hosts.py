"""Multi-worker training after one of two workers was killed: the other reports it in bounded time, and both resume."""

import subprocess

import pytest

from schemas.checkpoint import read_curve
from schemas.provenance import is_complete
from tests.support.faults.runs import descendants, kill_groups, wait_until
from tests.support.hosts import PARAMETERS, make_task, make_upstream, start_hosts

EPOCHS = 40
SECONDS_TO_NOTICE = 180


@pytest.mark.faults
@pytest.mark.parametrize("dying", [0, 1], ids=["chief", "worker"])
def test_killed_host_is_reported_and_training_resumes(tmp_path, dying):
    parameters = {**PARAMETERS, "data_dir": str(tmp_path / "var"), "epochs": EPOCHS, "patience": EPOCHS}
    task = make_task(parameters)
    make_upstream(task.requires())
    hosts = start_hosts(parameters, subprocess.PIPE)
    state = task.directory / "training" / "state.h5"
    wait_until(state.exists, 120)
    kill_groups(hosts[dying].pid, descendants(hosts[dying].pid))
    _, output = hosts[1 - dying].communicate(timeout=SECONDS_TO_NOTICE)
    hosts[dying].communicate()
    assert hosts[1 - dying].returncode != 0
    assert "Another worker is gone" in output.splitlines()[-1]
    assert not is_complete(task.directory)

    assert [host.wait() for host in start_hosts(parameters)] == [0, 0]
    assert len(read_curve(task.directory)) == EPOCHS
