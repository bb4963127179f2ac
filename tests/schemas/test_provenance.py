"""Keys, content digests and completion marks of artifacts."""

import hashlib
import json
from dataclasses import asdict

import pytest

from schemas.errors import ArtifactError
from schemas.io.files import digest_files
from schemas.provenance import (
    KEY_DIGITS,
    Provenance,
    Upstream,
    artifact_key,
    find_damage,
    is_complete,
    list_files,
    load_verified,
    read_provenance,
    write_provenance,
)

IDENTITY = {
    "stage": "TrainModel",
    "version": 1,
    "parameters": {"size": 128, "rate": 0.5, "names": ["a", "b"]},
    "upstream_keys": {"captions": "aaaaaaaaaa", "features": "bbbbbbbbbb"},
}
PROVENANCE = Provenance(
    key="0123456789",
    stage="TrainModel",
    version=1,
    dataset="shapes",
    parameters={"size": 128},
    upstream={"features": Upstream("ExtractFeatures", "abcdef0123", "00ff")},
    digest="ff00",
    files={},
    software={"python": "3.11"},
    git=None,
    host={"cores": 2},
    started="2024-01-01T00:00:00+00:00",
    seconds=1.5,
    peak_memory_bytes=1 << 40,
    counts={"images": 3},
    operational={},
)


def test_key_is_ten_hex_digits_of_canonical_json():
    text = '{"parameters":{"b":[1],"k":2},"stage":"S","upstream":{"u":"x"},"version":3}'
    expected = hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
    assert artifact_key("S", 3, {"k": 2, "b": [1]}, {"u": "x"}) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "RefineFeatures"},
        {"version": 2},
        {"parameters": {**IDENTITY["parameters"], "size": 129}},
        {"parameters": {**IDENTITY["parameters"], "names": ["b", "a"]}},
        {"parameters": {**IDENTITY["parameters"], "more": None}},
        {"upstream_keys": {**IDENTITY["upstream_keys"], "captions": "aaaaaaaaab"}},
        {"upstream_keys": {"captions": "bbbbbbbbbb", "features": "aaaaaaaaaa"}},
    ],
    ids=str,
)
def test_key_depends_on_each_ingredient(change):
    assert artifact_key(**{**IDENTITY, **change}) != artifact_key(**IDENTITY)


def test_key_is_independent_of_dictionary_order():
    backwards = {
        name: dict(reversed(value.items())) if isinstance(value, dict) else value for name, value in IDENTITY.items()
    }
    assert artifact_key(**backwards) == artifact_key(**IDENTITY)


def test_file_listing_omits_marker_and_hidden_files(tmp_path):
    for name in ("b.txt", "a.txt", "c.bin", ".hidden.txt", "provenance.json", "sub/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    files = list_files(tmp_path, ("*.txt", "*.json", "sub/*", "sub"))
    assert list(files) == ["a.txt", "b.txt", "sub/d.txt"]
    assert files["a.txt"] == {"sha256": hashlib.sha256(b"a.txt").hexdigest(), "size": 5}


def test_files_digest_depends_on_names_and_content():
    one, two = {"sha256": "1", "size": 1}, {"sha256": "2", "size": 1}
    assert digest_files({"a": one, "b": two}) == digest_files({"b": two, "a": one})
    assert len({digest_files(files) for files in ({"a": one, "b": two}, {"a": two, "b": one}, {"a": one}, {})}) == 4


def test_provenance_comes_back_as_written_and_marks_completeness(tmp_path):
    assert not is_complete(tmp_path)
    write_provenance(tmp_path, PROVENANCE)
    assert is_complete(tmp_path)
    assert read_provenance(tmp_path) == PROVENANCE


def test_artifact_without_its_files_is_not_marked(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_provenance(tmp_path, Provenance(**{**asdict(PROVENANCE), "files": {"gone/a.txt": {}}}))
    assert not is_complete(tmp_path)


@pytest.mark.parametrize("content", [{}, [], {"upstream": 1}, {**asdict(PROVENANCE), "more": 1}], ids=str)
def test_other_json_is_refused(tmp_path, content):
    (tmp_path / "provenance.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"provenance\.json"):
        read_provenance(tmp_path)


def test_file_with_the_digest_of_its_writer_is_checked_by_size(tmp_path):
    (tmp_path / "a").write_text("abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    files = list_files(tmp_path, ("a",), {"a": digest})
    assert files == {"a": {"sha256": digest, "size": 3, "check": "size"}}
    write_provenance(tmp_path, Provenance(**{**asdict(PROVENANCE), "files": files}))
    made = load_verified(tmp_path)
    (tmp_path / "a").write_text("abd")
    assert load_verified(tmp_path) == made
    assert find_damage(tmp_path, made) == "a has 3 bytes as it should, but others than it was made with"
    (tmp_path / "a").write_text("abcd")
    with pytest.raises(ArtifactError, match="a has 4 bytes and was made with 3"):
        load_verified(tmp_path)
