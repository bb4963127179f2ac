"""Runs that are killed at random moments of every stage and resumed end with the same result."""

import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from schemas.provenance import read_provenance
from tasks.runtime.locks import is_locked
from tests.support.faults.runs import Observed, Run, configured, digests, seconds_of_stages, started, wait_until

LEAN = ("tests.support.faults.lean", "LeanPipeline")
TRAINED = ("tasks", "TrainModel")  # with all that it needs: the stages that continue where they stopped
SECONDS_TO_END = 5.0
LATEST_KILL = 0.75  # of the time that the stage took undisturbed: once it has ended before its kill it is hit no more


def undisturbed(module: str, task: str, directory: Path) -> Path:
    configuration, data_dir = configured(directory)
    run = Run(module, task, configuration)
    assert "ERROR" not in run.finish() and run.process.returncode == 0, "".join(run.output)
    return data_dir


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return undisturbed(*TRAINED, tmp_path_factory.mktemp("undisturbed") / "trained")


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Path:
    return undisturbed(*LEAN, tmp_path_factory.mktemp("undisturbed") / "everything")


def kill_everywhere(module: str, task: str, reference: Path, directory: Path, kills_a_stage: int, seed: int) -> Counter:
    """Kills at random moments of each stage; returns how often each was hit, after all checks."""
    configuration, data_dir = configured(directory)
    choose, took = random.Random(seed), seconds_of_stages(reference)
    left = dict.fromkeys(took, kills_a_stage)
    killed, observed = Counter(), Observed(data_dir)
    while True:
        run = Run(module, task, configuration, "--workers", str(choose.choice((1, 2))))
        for line in run.lines():
            stage = started(line)
            if stage and left[stage]:
                time.sleep(choose.uniform(0.0, LATEST_KILL * took[stage]))
                run.kill(all_at_once=choose.random() < 0.5)
                left[stage] -= 1
                killed[stage] += 1
                break
        else:
            break  # it ran to its end
        observed.look()
    run.process.wait()
    assert run.process.returncode == 0, "".join(run.output)
    observed.look()
    assert of_content(digests(data_dir)) == of_content(digests(reference))
    for name, digest in summaries(reference).items():
        assert summaries(data_dir)[name] == digest
    assert not list(data_dir.rglob("scratch")) and not list(data_dir.rglob("*.tmp*"))
    return killed


def of_content(found: dict[str, str]) -> dict[str, str]:
    """Return the digests without that of the report, which contains times."""
    return {name: digest for name, digest in found.items() if "Report" not in name}


def summaries(data_dir: Path) -> dict[str, str]:
    """Return the report without times."""
    return {
        path.parent.name: read_provenance(path.parent).files["summary.json"]["sha256"]
        for path in data_dir.glob("*/*Report/*/summary.json")
    }


@pytest.mark.faults
def test_killed_in_each_stage_up_to_training(trained, tmp_path):
    killed = kill_everywhere(*TRAINED, trained, tmp_path / "run", kills_a_stage=1, seed=0)
    assert killed["ExtractFeatures"] and killed["TrainModel"]


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_killed_five_times_in_each_stage_up_to_training(trained, tmp_path, seed):
    killed = kill_everywhere(*TRAINED, trained, tmp_path / "run", kills_a_stage=5, seed=seed)
    print(f"seed {seed}: {killed.total()} kills, {dict(killed)}")
    assert killed.total() >= 20


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_killed_twice_in_every_stage(everything, tmp_path, seed):
    killed = kill_everywhere(*LEAN, everything, tmp_path / "run", kills_a_stage=2, seed=seed)
    print(f"seed {seed}: {killed.total()} kills, {dict(killed)}")
    assert killed.total() >= 20


@pytest.mark.slow("starts and ends runs")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_told_to_end_it_leaves_no_process_and_no_lock(tmp_path, how, workers):
    configuration, data_dir = configured(tmp_path / "run")
    run = Run("tests.support.faults.slow", "Slow", configuration, "--workers", workers, "--dataset", "toys")
    assert any(started(line) for line in run.lines())
    wait_until(lambda: list(data_dir.glob("toys/Slow/*/half.txt")), 60)
    children = run.descendants()
    assert children
    run.process.send_signal(signal.Signals[how])
    output = run.finish()
    ended = time.monotonic()
    _, alive = psutil.wait_procs(children, timeout=SECONDS_TO_END)
    assert alive == [], output
    assert time.monotonic() - ended < SECONDS_TO_END
    (directory,) = data_dir.glob("toys/Slow/*/")
    assert not is_locked(directory)
    assert not (directory / "provenance.json").exists()
    assert run.process.returncode != 0


def test_lock_is_held_until_the_stage_process_ends(tmp_path):
    configuration, data_dir = configured(tmp_path / "run")
    run = Run("tests.support.faults.slow", "Slow", configuration, "--workers", "1", "--dataset", "toys")
    assert any(started(line) for line in run.lines())
    wait_until(lambda: list(data_dir.glob("toys/Slow/*/half.txt")), 60)
    server, stage = run.descendants()
    server.suspend()  # it cannot kill the stage's process for now
    run.kill(all_at_once=False)
    (directory,) = data_dir.glob("toys/Slow/*/")
    assert is_locked(directory)
    assert stage.is_running()
    server.resume()
    wait_until(lambda: not is_locked(directory), SECONDS_TO_END)
    assert not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE
