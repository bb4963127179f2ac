"""Too little memory: the message names the stage and the parameter to lower."""

import re
import resource
import shutil
import signal

import pytest

from tasks.runtime import forkserver
from tasks.runtime.errors import describe_exit
from tasks.runtime.executor import StageFailed
from tests.support.faults.greedy import Greedy
from tests.support.faults.runs import Run, configured

GIBIBYTE = 1 << 30


@pytest.fixture
def limited(monkeypatch):
    """Limit the address space of started processes to 4 GiB."""
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit here")
    popen = forkserver.subprocess.Popen

    def start(command, **options):
        return popen(["prlimit", f"--as={4 * GIBIBYTE}", *command], **options)

    forkserver.stop_servers()
    monkeypatch.setattr(forkserver.subprocess, "Popen", start)
    yield
    forkserver.stop_servers()


def test_memory_limit_names_the_stage_and_the_remedy(tmp_path, limited):
    greedy = Greedy(form="memory", size=8 * GIBIBYTE, dataset="toys", data_dir=str(tmp_path))
    message = r"^Greedy \w{10}: memory ran out; lower --Greedy-batch-size, which is 64, or give it more memory\.$"
    with pytest.raises(StageFailed, match=message):
        greedy.run()
    Greedy(form="memory", size=1000, dataset="toys", data_dir=str(tmp_path)).run()
    assert greedy.complete()


def test_stage_killed_by_the_kernel_is_attributed_to_memory(tmp_path):
    greedy = Greedy(form="killed", dataset="toys", data_dir=str(tmp_path))
    with pytest.raises(
        StageFailed, match=r"was ended by SIGKILL, as it is when memory runs out; .*batch-size.*; see .*log"
    ):
        greedy.run()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("task", "arguments", "sentence"),
    [
        (
            "ExtractFeatures",
            ["--input-size", "2048"],
            r"ExtractFeatures \w{10}: Memory ran out for \d+ images in 2 parts; lower batch_size\.$",
        ),
        (
            "TrainModel",
            ["--embedding-size", "100000", "--recurrent-size", "2000"],
            r"TrainModel \w{10}: memory ran out; lower --TrainModel-batch-size, which is 128, or give it more memory\.",
        ),
    ],
)
def test_tensorflow_out_of_memory_is_one_sentence(tmp_path, task, arguments, sentence):
    configuration, data_dir = configured(tmp_path / "run")
    run = Run("tasks", task, configuration, *arguments)
    resource.prlimit(run.process.pid, resource.RLIMIT_AS, (4 * GIBIBYTE, 4 * GIBIBYTE))
    output = run.finish()
    assert re.search(sentence, output, re.MULTILINE), output
    assert "Traceback" not in output and run.process.returncode == 30
    assert not list(data_dir.glob(f"*/{task}/*/provenance.json"))


def test_other_exits_are_not_attributed_to_memory(tmp_path):
    greedy = Greedy(form="memory", dataset="toys", data_dir=str(tmp_path))
    assert describe_exit(3, greedy.job()) == "its process ended with exit status 3"
    assert describe_exit(-signal.SIGTERM, greedy.job()) == "its process was ended by SIGTERM"
