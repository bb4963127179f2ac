"""Damaged artifacts are detected before use, named, and regenerated without losing others."""

import json
import re
import shutil

import numpy as np
import pytest

from schemas.errors import ArtifactError
from schemas.io.files import read_json, write_json
from schemas.provenance import read_provenance
from tasks.cli.verify import verify as verify_command
from tasks.runtime.executor import StageFailed
from tests.support.toy_release import make_toy
from tests.support.toys import Double


def of(stage, data_dir, **parameters):
    return stage(dataset="toys", data_dir=str(data_dir), **parameters)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A data directory with the artifacts of Double and its source."""
    directory = tmp_path_factory.mktemp("original") / "var"
    double = of(Double, directory)
    for stage in (double.requires()["source"], double):
        stage.run()
    return directory


@pytest.fixture
def made(original, data_dir):
    """Double and its source, complete."""
    shutil.copytree(original, data_dir)
    double = of(Double, data_dir)
    return double, double.requires()["source"]


def verify(data_dir, remove=False):
    verify_command(data_dir=data_dir, remove=remove)


def test_verify_accepts_intact_artifacts(made, data_dir, capsys):
    verify(data_dir)
    assert f"All 2 artifacts in {data_dir} are intact." in capsys.readouterr().out


def test_verify_names_damaged_artifacts(made, data_dir, capsys):
    _, source = made
    (source.directory / "text.txt").write_text("b")
    with pytest.raises(ArtifactError, match=r"1 of 2 artifacts in .* are damaged"):
        verify(data_dir)
    assert f"{source.directory} is not as it was made: text.txt has 1 bytes as it should" in capsys.readouterr().out
    other = of(Double, data_dir, batch_size=8)
    with pytest.raises(StageFailed, match=rf"^Double \w+: {source.directory} is damaged: text.txt .*; remove it"):
        other.run()
    assert not other.directory.exists()


def test_verify_removes_and_regenerates_damaged_artifacts_only(made, data_dir, run):
    double, source = made
    digest = read_provenance(source.directory).digest
    (source.directory / "text.txt").unlink()
    verify(data_dir, remove=True)
    assert double.complete()
    assert not source.complete()
    assert run(of(Double, data_dir, batch_size=8))
    assert read_provenance(source.directory).digest == digest
    verify(data_dir)


def test_verify_reports_changed_and_ignores_missing_inputs(made, data_dir, capsys):
    double, source = made
    (source.directory / "provenance.json").unlink()
    verify(data_dir)
    (source.directory / "more.txt").touch()  # as if another machine had computed something else
    source.run()
    with pytest.raises(ArtifactError, match="1 of 2"):
        verify(data_dir)
    assert f"{double.directory} is not as it was made: it was made from other source than" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"key": "0123456789"}, {"seconds": 0.0}, {"upstream": {}}, {"parameters": {}}])
def test_verify_detects_a_changed_provenance(made, data_dir, change):
    double, _ = made
    path = double.directory / "provenance.json"
    write_json(path, {**read_json(path), **change})
    with pytest.raises(ArtifactError, match="1 of 2"):
        verify(data_dir)


def test_verify_accepts_an_earlier_provenance_without_checksum(made, data_dir):
    double, _ = made
    path = double.directory / "provenance.json"
    record = read_json(path)
    del record["seal"], record["beside"]
    write_json(path, record)
    verify(data_dir)


def test_verify_detects_any_flipped_bit(made, data_dir, capsys):
    double, source = made
    files = [
        directory / name
        for directory in (double.directory, source.directory)
        for name in ("text.txt", "provenance.json")
    ]
    random = np.random.default_rng(0)
    for _ in range(100):
        path = files[random.integers(len(files))]
        intact = path.read_bytes()
        broken = bytearray(intact)
        broken[random.integers(len(intact))] ^= 1 << random.integers(8)
        path.write_bytes(broken)
        with pytest.raises(ArtifactError, match=r"[12] of 2"):
            verify(data_dir)
        assert re.search(rf"^{path.parent}", capsys.readouterr().out, re.MULTILINE)
        path.write_bytes(intact)
    verify(data_dir)


def test_verify_names_every_problem_of_a_release(tmp_path, capsys):
    release = make_toy(tmp_path).release()
    verify_command(release)
    assert f"{release} is complete and intact." in capsys.readouterr().out
    (release / "images.jsonl").unlink()
    (release / "splits" / "val.txt").unlink()
    with pytest.raises(ArtifactError, match="2 problems"):
        verify_command(release)
    assert capsys.readouterr().out.count("is missing") == 2


def test_verify_json_lists_the_problems(made, data_dir, capsys):
    _, source = made
    (source.directory / "text.txt").write_text("b")
    with pytest.raises(ArtifactError):
        verify_command(data_dir=data_dir, as_json=True)
    (problem,) = json.loads(capsys.readouterr().out)
    assert str(source.directory) in problem
