"""Runs of the `luigi` command that are killed, and results that must be kept."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipelines.artifacts.verify_artifacts import verify_artifacts
from schemas.checkpoint import read_curve
from schemas.io.files import digest_file
from schemas.io.hdf5 import open_hdf5, read_strings
from schemas.provenance import FILE_NAME, read_provenance

ROOT = Path(__file__).parents[3]

CONFIGURATION = """
[pipeline]
data_dir = {data_dir}
compare_blind = false

[DownloadDataset]
images = 48

[ExtractFeatures]
backbone = keras:MobileNet
input_size = 32
pool = average
weights = random:0
shards = 4

[TrainModel]
epochs = 3
embedding_size = 8
recurrent_size = 8
multimodal_size = 8
beam_width = 1

[GenerateCaptions]
n_best = 2
max_length = 8

[RerankCaptions]
k = 5
m_cider = 20
m_bleu = 20

[EvaluateRetrieval]
normalization_images = 4

[core]
local_scheduler = false

[scheduler]
worker_disconnect_delay = 3
retry_delay = 3
prune_on_get_work = true
"""


def configured(directory: Path) -> tuple[Path, Path]:
    """A configuration file, and the data directory that it names."""
    directory.mkdir(parents=True)
    (directory / "test.cfg").write_text(CONFIGURATION.format(data_dir=directory / "var"))
    return directory / "test.cfg", directory / "var"


class Run:
    """A `luigi` command in a process group of its own, whose output is read line by line."""

    def __init__(self, module: str, task: str, configuration: Path, *arguments: str):
        """Start it; the scheduler is local unless the arguments name one."""
        scheduler = [] if "--scheduler-port" in arguments else ["--local-scheduler"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "luigi", "--module", module, task, *scheduler, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": str(configuration)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []

    def lines(self) -> Iterator[str]:
        """Yield the lines of its output, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            yield line

    def finish(self) -> str:
        """Wait for the end; return its output."""
        for _ in self.lines():
            pass
        self.process.wait()
        return "".join(self.output)

    def descendants(self) -> list[psutil.Process]:
        """The stages' processes and theirs."""
        return descendants(self.process.pid)

    def kill(self, all_at_once: bool) -> None:
        """SIGKILL to the process group; `all_at_once` as when the power fails: to the groups of stages too."""
        kill_groups(self.process.pid, self.descendants() if all_at_once else [])
        self.finish()


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below one, none if it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_groups(leader: int, others: list[psutil.Process]) -> None:
    """SIGKILL to the process group of the leader and to those of the others."""
    for group in {leader, *(os.getpgid(each.pid) for each in others if each.is_running())}:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue


def started(line: str) -> str | None:
    """Return the stage whose start a line reports."""
    found = re.search(r"(\w+) \w{10}: started", line)
    return found and found[1]


@dataclass
class Observed:
    """Results that were complete at a kill and must be kept: artifacts, shards, finished epochs."""

    data_dir: Path
    marks: dict[Path, bytes] = field(default_factory=dict)
    shards: dict[Path, tuple[int, int]] = field(default_factory=dict)  # inode and time of change
    curves: dict[Path, list] = field(default_factory=dict)

    def look(self) -> None:
        """Compare with the results seen before, and record the current ones."""
        assert [problem for _, problem in verify_artifacts(self.data_dir) if problem] == []
        marks = {path: path.read_bytes() for path in self.data_dir.glob(f"*/*/*/{FILE_NAME}")}
        assert self.marks.items() <= marks.items(), "an artifact was made twice"
        shards = {}
        for receipt in self.data_dir.glob("*/ExtractFeatures/*/scratch/*.receipt.json"):
            shard = Path(str(receipt).removesuffix(".receipt.json"))
            if json.loads(receipt.read_text())["sha256"] == digest_file(shard):
                shards[shard] = (shard.stat().st_ino, shard.stat().st_mtime_ns)
        for shard, before in self.shards.items():
            assert not shard.exists() or shards.get(shard) == before, f"{shard} was made twice"
        curves = {}
        for state in self.data_dir.glob("*/TrainModel/*/training/state.h5"):
            directory = state.parents[1]
            curves[state] = read_curve(directory) if (directory / FILE_NAME).exists() else _epochs(state)
        for state, before in self.curves.items():
            assert curves[state][: len(before)] == before, f"an epoch of {state} was trained twice"
        self.marks, self.shards, self.curves = marks, {**self.shards, **shards}, curves


def _epochs(state: Path) -> list:
    with open_hdf5(state, ("record",)) as file:
        curve: list = json.loads(read_strings(file["record"])[0])["curve"]
    return curve


def digests(data_dir: Path) -> dict[str, str]:
    """Content digest of every artifact, by stage and key."""
    marks = sorted(data_dir.glob(f"*/*/*/{FILE_NAME}"))
    return {f"{mark.parent.parent.name}/{mark.parent.name}": read_provenance(mark.parent).digest for mark in marks}


def seconds_of_stages(data_dir: Path) -> dict[str, float]:
    """Return the duration of each stage, in the order of their start."""
    made = [read_provenance(mark.parent) for mark in data_dir.glob(f"*/*/*/{FILE_NAME}")]
    return {each.stage: each.seconds for each in sorted(made, key=lambda each: each.started)}


def wait_until(condition: Callable[[], Any], seconds: float) -> None:
    """Looks again and again."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
