"""Atomic writes, and JSON that depends on the value alone."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ArtifactError
from schemas.io.files import (
    atomic_path,
    canonical_json,
    digest_file,
    digest_stream,
    read_json,
    read_json_lines,
    write_json,
    write_json_lines,
    write_text,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("a\n\u2028é😀"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=2), inner, max_size=3),
    max_leaves=10,
)


def test_failed_write_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_until_the_end_of_a_write_readers_see_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_missing_directories_are_created(tmp_path):
    write_text(tmp_path / "a" / "b" / "file.txt", "text")
    assert (tmp_path / "a" / "b" / "file.txt").read_text() == "text"


def test_line_ends_are_written_as_given(tmp_path):
    write_text(tmp_path / "file.txt", "a\r\nb\n")
    assert (tmp_path / "file.txt").read_bytes() == b"a\r\nb\n"


def test_failing_generator_leaves_no_json_lines(tmp_path):
    def lines():
        yield 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_json_lines(tmp_path / "lines.jsonl", lines())
    assert list(tmp_path.iterdir()) == []


@given(JSON)
def test_json_comes_back_as_written(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("json")
    write_json(folder / "value.json", value)
    assert read_json(folder / "value.json") == value
    assert write_json_lines(folder / "lines.jsonl", [value, value]) == 2
    assert list(read_json_lines(folder / "lines.jsonl")) == [value, value]


def test_canonical_json_ignores_the_order_of_keys_but_not_of_lists():
    assert canonical_json({"b": 1, "a": [2, {"d": 3, "c": 4}]}) == '{"a":[2,{"c":4,"d":3}],"b":1}'
    assert canonical_json([1, 2]) != canonical_json([2, 1])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_malformed_numbers_are_refused(tmp_path, number):
    with pytest.raises(ValueError):
        write_json(tmp_path / "value.json", {"x": number})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"cut": ', b"\xff\xfe"])
def test_malformed_json_is_named(tmp_path, content):
    path = tmp_path / "value.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"value\.json"):
        read_json(path)


@pytest.mark.parametrize("second", [b"{", b"", b'"\xff"'])
def test_corrupted_line_is_named_by_number(tmp_path, second):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"1\n" + second + b"\n3\n")
    with pytest.raises(ArtifactError, match=r"lines\.jsonl, line 2,"):
        list(read_json_lines(path))


@pytest.mark.parametrize("read", [read_json, lambda path: list(read_json_lines(path))])
def test_missing_file_is_an_artifact_error(tmp_path, read):
    with pytest.raises(ArtifactError, match="absent"):
        read(Path(tmp_path / "absent"))


def test_digests_are_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    expected = hashlib.sha256(b"abc").hexdigest()
    assert digest_file(tmp_path / "file") == digest_stream(io.BytesIO(b"abc")) == expected
