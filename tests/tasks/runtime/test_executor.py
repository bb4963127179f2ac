"""Stages run in processes of their own, under a lock, and are complete or absent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.provenance import read_provenance
from tasks.cli.graph import downstream
from tasks.runtime.console import INTERRUPTED
from tasks.runtime.executor import StageFailed, assist
from tests.support.toys import Double, Faulty, Source, Talkative


def toy(stage, data_dir, **parameters):
    return stage(dataset="toys", data_dir=str(data_dir), **parameters)


def runs(data_dir):
    return (data_dir / "toys" / "Source" / "runs.txt").read_text().split()


def test_worker_makes_missing_artifacts_once(data_dir, run):
    double = toy(Double, data_dir)
    assert run(double)
    assert (double.directory / "text.txt").read_text() == "aa"
    assert run(toy(Double, data_dir))
    assert runs(data_dir) == ["a"]


def test_two_worker_processes_do_not_hang(data_dir, run):
    assert run(toy(Double, data_dir), workers=2)


def test_provenance_reports_what_made_the_artifact(data_dir, run):
    double = toy(Double, data_dir)
    run(double)
    source = double.requires()["source"]
    of_double, of_source = read_provenance(double.directory), read_provenance(source.directory)
    assert of_double.key == double.key
    assert of_double.parameters == {"dataset": "toys", "batch_size": 7}
    assert of_double.upstream["source"].digest == of_source.digest
    assert of_source.counts == {"letters": 1}
    assert of_source.operational["pace"] == 0.0
    assert list(of_source.files) == ["text.txt"]
    assert of_source.seconds > 0
    assert of_source.peak_memory_bytes > 1_000_000
    assert "luigi" in of_source.software


def test_scratch_is_gone_when_the_artifact_is_complete(data_dir):
    source = toy(Source, data_dir)
    source.directory.mkdir(parents=True)
    (source.directory / ".text.txt.1.tmp").touch()  # what a killed run may leave
    source.run()
    assert sorted(path.name for path in source.directory.iterdir()) == ["provenance.json", "text.txt"]


def test_bad_input_is_one_sentence_and_leaves_no_complete_artifact(data_dir):
    faulty = toy(Faulty, data_dir, way="input")
    with pytest.raises(StageFailed, match=r"^Faulty \w{10}: records.txt, line 3: no caption; add one\.$"):
        faulty.run()
    assert not faulty.complete()


@pytest.mark.parametrize("way", ["bug", "exit"])
def test_killed_process_is_reported_with_its_log(data_dir, way):
    faulty = toy(Faulty, data_dir, way=way)
    with pytest.raises(StageFailed, match=r"see .*\.log"):
        faulty.run()
    assert not faulty.complete()


def test_failure_makes_the_worker_fail(data_dir, run):
    assert not run(toy(Faulty, data_dir, way="bug"))


def test_two_at_once_make_the_artifact_once(data_dir):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: _execute_elsewhere(data_dir), range(2)))
    assert runs(data_dir) == ["a"]
    assert toy(Source, data_dir).complete()


def test_killed_luigi_ends_the_stage_and_frees_the_lock(data_dir):
    process = _start_elsewhere(data_dir, pace=60.0)
    _wait_until(lambda: (data_dir / "toys" / "Source" / "process.txt").exists())
    process_id = int((data_dir / "toys" / "Source" / "process.txt").read_text())
    assert _is_alive(process_id)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_until(lambda: not _is_alive(process_id))
    source = toy(Source, data_dir)
    assert not source.complete()
    source.run()
    assert source.complete()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_terminated_luigi_ends_the_stage(data_dir, workers):
    options = ["--dataset", "toys", "--data-dir", str(data_dir), "--pace", "60", "--local-scheduler"]
    luigi = [sys.executable, "-m", "luigi", "--module", "tests.support.toys", "Source", *options, "--workers", workers]
    process = subprocess.Popen(luigi, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    note = data_dir / "toys" / "Source" / "process.txt"
    _wait_until(note.exists)
    process_id = int(note.read_text())
    process.terminate()
    process.wait(timeout=10)
    _wait_until(lambda: not _is_alive(process_id), seconds=5)


def _start_elsewhere(data_dir, pace=0.5):
    script = (
        f"from tests.support.toys import Source; Source(dataset='toys', data_dir={str(data_dir)!r}, pace={pace}).run()"
    )
    return subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(Path.cwd())})


def _execute_elsewhere(data_dir):
    assert _start_elsewhere(data_dir).wait(timeout=60) == 0


def _is_alive(process_id):
    try:
        return bool(Path(f"/proc/{process_id}/cmdline").read_bytes())  # empty: dead, but not yet buried
    except FileNotFoundError:
        return False


def _wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_progress_reaches_luigi_s_page(data_dir, monkeypatch):
    told = []
    source = toy(Source, data_dir, pace=0.3)
    monkeypatch.setattr("tasks.runtime.progress.SECONDS_BETWEEN_STATUS", 0.0)
    source.set_progress_percentage, source.set_status_message = told.append, told.append
    source.run()
    assert told == [50, "half way", 100, f"in {source.directory}"]


def test_luigi_page_links_to_browsable_files(data_dir, monkeypatch):
    links = []
    source = toy(Source, data_dir)
    monkeypatch.setattr(Source, "page", "text.txt")
    source.set_tracking_url = links.append
    source.run()
    assert links == [(source.directory / "text.txt").as_uri()]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_is_one_sentence_and_ends_the_stage(data_dir, workers):
    options = ["--dataset", "toys", "--data-dir", str(data_dir), "--pace", "60", "--local-scheduler"]
    luigi = [sys.executable, "-m", "luigi", "--module", "tests.support.toys", "Source", *options, "--workers", workers]
    process = subprocess.Popen(
        luigi,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal of its own, as it were
    )
    note = data_dir / "toys" / "Source" / "process.txt"
    _wait_until(note.exists)
    process_id = int(note.read_text())
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=20)[1].splitlines()
    assert process.returncode != 0
    _wait_until(lambda: not _is_alive(process_id), seconds=5)
    assert [line for line in output if "started" not in line] == [INTERRUPTED]


def test_verbose_stage_logs_more(data_dir):
    def run_luigi(*options):
        command = [sys.executable, "-m", "luigi", "--module", "tests.support.toys", "Talkative", "--local-scheduler"]
        command += ["--dataset", "toys", "--data-dir", str(data_dir), *options]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        return subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=True).stderr

    quiet = run_luigi("--text", "a")
    assert [line.split(maxsplit=1)[1] for line in quiet.splitlines() if "done in" not in line] == [
        f"Talkative {toy(Talkative, data_dir, text='a').key}: started"
    ]
    talkative = toy(Talkative, data_dir, text="b")
    verbose = run_luigi("--text", "b", "--verbose")
    assert "logged by a library" in verbose
    assert "luigi" in verbose.lower() and "Worker" in verbose
    assert "logged by a library" in talkative.log_path.read_text()


def test_assisting_worker_waits_for_the_artifact(data_dir):
    source = toy(Source, data_dir, pace=2.0)
    with ThreadPoolExecutor() as threads:
        leading = threads.submit(source.run)
        while not (data_dir / "toys" / "Source" / "runs.txt").exists():
            time.sleep(0.05)
        assist(toy(Source, data_dir).job(), "worker-1")
        assert source.complete()
        leading.result()
    assert runs(data_dir) == ["a", "a"]
    assert source.directory.with_name(f"{source.key}.worker-1.log").exists()


def test_worker_without_a_chief_reports_so(data_dir):
    source = toy(Source, data_dir)
    with pytest.raises(StageFailed, match="the chief worker failed"):
        assist(source.job(), "worker-1")
    assert not source.complete()


def test_partial_artifact_of_another_configuration_is_found_downstream(data_dir, run):
    source = toy(Source, data_dir)
    source.run()
    failed = toy(Faulty, data_dir, way="bug", source=True)
    with pytest.raises(StageFailed):
        failed.run()
    assert downstream({source.key}, data_dir / "toys") == [failed.directory, source.directory]
    assert downstream({"0123456789"}, data_dir / "toys") == []


def test_stale_scratch_files_of_a_killed_run_are_removed(data_dir, run):
    source = toy(Source, data_dir)
    source.run()
    (source.directory / "scratch").mkdir()
    assert run(toy(Double, data_dir))
    assert not (source.directory / "scratch").exists()
