"""Full, read-only, forbidden and limited disks: one sentence, and no artifact is lost."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pipelines.artifacts.verify_artifacts import verify_artifacts
from schemas.provenance import FILE_NAME
from tasks.runtime.executor import StageFailed
from tests.support.faults.greedy import Greedy
from tests.support.faults.runs import ROOT
from tests.support.toys import Source

MEBIBYTE = 1 << 20


def of(stage, data_dir, **parameters):
    return stage(dataset="toys", data_dir=str(data_dir), **parameters)


@contextmanager
def mounted(directory: Path, *options: str):
    """A small file system in memory at `directory`; skips the test where mounting is not allowed."""
    directory.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)]
    if not shutil.which("mount") or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@pytest.mark.parametrize("form", ["text", "hdf5"])
def test_full_disk_is_named_and_the_run_resumes(tmp_path, form):
    with mounted(tmp_path / "disk"):
        source, greedy = of(Source, tmp_path / "disk"), of(Greedy, tmp_path / "disk", form=form)
        source.run()
        with pytest.raises(StageFailed, match=r"^Greedy \w{10}: No space left on device.*; free space on that disk"):
            greedy.run()
        assert not greedy.complete()
        assert not list(greedy.directory.rglob("*big*")), "what was half written takes up the room"
        assert [problem for _, problem in verify_artifacts(tmp_path / "disk")] == [None]
        smaller = of(Greedy, tmp_path / "disk", form=form, size=MEBIBYTE)
        smaller.run()
        assert smaller.key == greedy.key and greedy.complete()


def test_full_disk_at_the_completion_marker_is_named(tmp_path):
    with mounted(tmp_path / "disk"):
        source = of(Source, tmp_path / "disk", text="a")
        filler = tmp_path / "disk" / "filler"
        source.directory.mkdir(parents=True)
        with pytest.raises(OSError, match="No space"), open(filler, "wb", buffering=0) as stream:
            while True:
                stream.write(b"0" * 4096)
        with pytest.raises(StageFailed, match=r"^Source \w{10}: .*No space left on device"):
            source.run()
        assert not source.complete()
        filler.unlink()
        source.run()


def test_read_only_disk_is_named(tmp_path):
    with mounted(tmp_path / "disk"):
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        with pytest.raises(StageFailed, match=r"^Source \w{10}: .*Read-only file system .*; make it writable or set"):
            of(Source, tmp_path / "disk").run()


def test_forbidden_directory_is_named(tmp_path):
    forbidden = tmp_path / "forbidden"
    forbidden.mkdir(mode=0o555)
    output = execute_elsewhere("Source", forbidden, *without_root_s_rights())
    assert "Source" in output and f"Permission denied ({forbidden}/toys); grant this user access" in output


def test_file_size_limit_is_named(tmp_path):
    limit = ["prlimit", f"--fsize={MEBIBYTE}"]
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit here")
    output = execute_elsewhere("Greedy", tmp_path, *limit, form="text")
    assert "File too large; raise the limit on the size of files" in output


@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_damage_at_a_hundred_random_places_is_named_before_use(tmp_path, damage):
    source = of(Source, tmp_path, text="some words " * 1000)
    others = [of(Source, tmp_path, text=text) for text in "bc"]
    for stage in (source, *others):
        stage.run()
    random = np.random.default_rng(0)
    for _ in range(100):
        path = source.directory / random.choice(["text.txt", FILE_NAME])
        intact = path.read_bytes()
        place = int(random.integers(len(intact)))
        broken = bytearray(intact[:place]) if damage == "truncate" else bytearray(intact)
        if damage == "flip":
            broken[place] ^= 1 << int(random.integers(8))
        path.write_bytes(broken)
        problems = dict(verify_artifacts(tmp_path))
        assert problems.pop(source.directory).startswith(str(source.directory))
        assert list(problems.values()) == [None, None]
        path.write_bytes(intact)


def execute_elsewhere(stage: str, data_dir: Path, *prefix: str, **parameters: str) -> str:
    """Return the error of a stage in a process of its own, which is started by `prefix`."""
    module = {"Source": "tests.support.toys", "Greedy": "tests.support.faults.greedy"}[stage]
    script = f"""
from {module} import {stage}
from tasks.runtime.executor import StageFailed
try:
    {stage}(dataset="toys", data_dir={str(data_dir)!r}, **{parameters!r}).run()
except StageFailed as error:
    print(error)
"""
    command = [*prefix, sys.executable, "-c", script]
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert not run.returncode, run.stderr
    return run.stdout


def without_root_s_rights() -> list[str]:
    """Return the prefix of a command that drops root's write permissions."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv here")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
