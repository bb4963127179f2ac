"""The `mrnn gc` command removes garbage on request, and no artifact that is needed or being computed."""

import pytest

import tasks
from schemas.errors import ConfigurationError
from tasks.cli.gc import gc
from tasks.runtime.locks import artifact_lock
from tests.support.artifacts import make_artifact

LOST = "toys/Source/0123456789"


def place(stage) -> str:
    return f"{stage.dataset}/{stage.stage}/{stage.key}"


@pytest.fixture
def directories(data_dir, configuration):
    """An artifact of the configuration, one of another configuration, and two of none."""
    found = {
        "reached": place(tasks.TokenizeCaptions()),
        "tuning": place(tasks.TuneReranking()),
        "elsewhere": place(tasks.TokenizeCaptions(min_count=2)),
        "lost": LOST,
        "newer": "toys/Source/1123456789",
    }
    return {name: make_artifact(data_dir, each) for name, each in found.items()}


def left(directories):
    return {name for name, directory in directories.items() if directory.exists()}


def test_gc_removes_nothing_by_default(data_dir, directories, capsys):
    gc(data_dir=data_dir, keep=0)
    assert left(directories) == set(directories)
    output = capsys.readouterr().out
    assert f"would remove {directories['lost']}  " in output
    assert str(directories["reached"]) not in output and str(directories["tuning"]) not in output
    assert "3 artifacts" in output


def test_gc_removes_unreachable_artifacts(data_dir, directories):
    gc(data_dir=data_dir, keep=0, delete=True)
    assert left(directories) == {"reached", "tuning"}


def test_gc_keeps_the_newest(data_dir, directories):
    gc(data_dir=data_dir, keep=1, delete=True)
    assert left(directories) == {"reached", "tuning", "elsewhere", "newer"}


def test_configurations_can_be_named(data_dir, directories, tmp_path):
    (tmp_path / "other.cfg").write_text("[TokenizeCaptions]\nmin_count = 2\n")
    configs = [str(tmp_path / "other.cfg"), "default"]
    gc(configs, data_dir=data_dir, keep=0, delete=True)
    assert left(directories) == {"reached", "tuning", "elsewhere"}


@pytest.mark.parametrize("text", [None, "[TokenizeCaptions]\nmin_count = many\n"])
def test_gc_with_an_unreadable_configuration_removes_nothing(data_dir, directories, tmp_path, text):
    if text:
        (tmp_path / "bad.cfg").write_text(text)
    configs = [str(tmp_path / "bad.cfg")]
    with pytest.raises((ConfigurationError, ValueError)):
        gc(configs, data_dir=data_dir, keep=0, delete=True)
    assert left(directories) == set(directories)


def test_gc_removes_nothing_while_a_stage_runs(data_dir, directories):
    running = data_dir / "toys" / "Double" / "2123456789"
    running.mkdir(parents=True)
    with artifact_lock(running):
        with pytest.raises(ConfigurationError, match="is being computed by another process"):
            gc(data_dir=data_dir, keep=0, delete=True)
        assert left(directories) == set(directories)
    gc(data_dir=data_dir, keep=0, delete=True)
    assert running.exists(), "a partial artifact can be resumed"
