"""Garbage consists of artifacts that are not needed, and of nothing else."""

import os

from pipelines.artifacts.collect_garbage import find_artifacts, find_garbage
from schemas.io.files import write_text
from tests.support.artifacts import make_artifact

OLD, NEW, NEWEST = "0000000001", "0000000002", "0000000003"


def make(data_dir, place, age=0, upstream=()):
    directory = make_artifact(data_dir, place, upstream)
    os.utime(directory / "provenance.json", (1e9 - age, 1e9 - age))
    return directory


def garbage(data_dir, reachable=(), keep=0):
    found = find_garbage(list(find_artifacts(data_dir)), set(reachable), keep)
    return ["/".join(each.directory.parts[-3:]) for each in found]


def test_reachable_artifacts_keep_their_ancestors(tmp_path):
    make(tmp_path, f"toys/Source/{OLD}")
    make(tmp_path, f"toys/Source/{NEW}")
    make(tmp_path, f"toys/Double/{OLD}", upstream=[f"toys/Source/{OLD}"])
    make(tmp_path, f"others/Source/{OLD}")
    assert garbage(tmp_path, [f"toys/Double/{OLD}"]) == [f"others/Source/{OLD}", f"toys/Source/{NEW}"]


def test_newest_artifacts_of_a_stage_keep_their_ancestors(tmp_path):
    make(tmp_path, f"toys/Source/{OLD}", age=30)
    make(tmp_path, f"toys/Source/{NEW}", age=20)
    make(tmp_path, f"toys/Source/{NEWEST}", age=10)
    make(tmp_path, f"toys/Double/{OLD}", age=9, upstream=[f"toys/Source/{OLD}"])
    make(tmp_path, f"toys/Double/{NEW}", age=8, upstream=[f"toys/Source/{OLD}"])
    assert garbage(tmp_path, keep=1) == [f"toys/Double/{OLD}", f"toys/Source/{NEW}"]
    assert garbage(tmp_path, keep=2) == []
    assert len(garbage(tmp_path)) == 5


def test_unrecognized_files_are_not_collected(tmp_path):
    real = make(tmp_path, f"toys/Source/{OLD}")
    write_text(real / "data" / "numbers.txt", "12345")
    make(tmp_path, "toys/Source/my-notes")  # no key
    make(tmp_path, f"toys/Copied/{OLD}").rename(
        tmp_path / "toys" / "Source" / NEW
    )  # with the provenance of another directory
    (tmp_path / "toys" / "Source" / NEWEST).symlink_to(real)
    (tmp_path / "linked").symlink_to(tmp_path / "toys")
    for name, text in (("0000000004", "{"), ("0000000005", "[]"), ("0000000006", '{"key": 1}')):
        write_text(tmp_path / "toys" / "Source" / name / "provenance.json", text)
    (tmp_path / "toys" / "Source" / "0000000007").mkdir()  # partial
    write_text(tmp_path / "toys" / "DownloadDataset" / "archives" / "images.zip", "PK")
    (found,) = find_artifacts(tmp_path)
    assert found.directory == real
    assert found.size == 5 + (real / "provenance.json").stat().st_size


def test_artifacts_that_were_made_from_what_is_gone_do_no_harm(tmp_path):
    make(tmp_path, f"toys/Double/{OLD}", upstream=[f"toys/Source/{OLD}"])
    assert garbage(tmp_path, [f"toys/Double/{OLD}"]) == []
    assert garbage(tmp_path) == [f"toys/Double/{OLD}"]
