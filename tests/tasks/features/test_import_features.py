"""The key of imported features depends on the file's content."""

import numpy as np
import pytest

from tasks import ImportFeatures


def key(path, **parameters):
    # A task of the same parameters is the same object within a process; another run of the program is played here.
    ImportFeatures.clear_instance_cache()
    return ImportFeatures(dataset="shapes", data_dir="var", path=str(path), **parameters).key


@pytest.fixture
def features(tmp_path):
    def write(name, rows):
        np.savez(tmp_path / name, ids=np.array(["a", "b"]), F=np.array(rows, np.float32))
        return tmp_path / name

    return write


def test_key_depends_on_content_and_not_on_path(features):
    first = features("first.npz", [[1], [2]])
    named = key(first)
    assert key(features("second.npz", [[1], [2]])) == named
    assert key(first, strip_suffix=".jpg") != named
    features("first.npz", [[1], [3]])
    assert key(first) != named


def test_provenance_contains_content_and_path(features):
    path = features("first.npz", [[1], [2]])
    task = ImportFeatures(dataset="shapes", data_dir="var", path=str(path))
    assert len(task.parameters(significant=True)["content"]) == 64
    assert "path" not in task.parameters(significant=True)
    assert task.parameters(significant=False)["path"] == str(path)


def test_key_exists_without_a_file(tmp_path):
    assert key(tmp_path / "nowhere.npz") == key("")
