"""Corruption of valid files: of any bytes, and of JSON that stays JSON."""

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

_PLACES = st.integers(0, (1 << 16) - 1)  # relative position in 65536ths, which stays valid as a file shrinks
_LENGTHS = st.integers(0, 40)
_DEPTH = 100_000  # beyond any parser's recursion
_NESTED = {"deep": "\0"}  # placeholder of nesting that is too deep to be dumped
_VALUES = st.one_of(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=5),
    st.sampled_from(
        [
            [],
            {},
            [[]],
            [None],
            "../../../etc/passwd",
            "/etc/passwd",
            "a\\b",
            "a\0b",
            "\ud800",  # half a character: JSON can spell it, UTF-8 cannot
            "\x1b[31m",
            "a\nb",
            10**400,
            -(10**30),
            1e308,
            _NESTED,
        ]
    ),
)


def corrupted(samples: list[bytes], as_json: bool) -> st.SearchStrategy[bytes]:
    """Return a strategy of corrupted `samples`; JSON and JSON lines are also corrupted by their structure."""
    files = st.sampled_from(samples)
    of_bytes = st.builds(_spoil_bytes, files, files, st.lists(_EDITS, min_size=1, max_size=6))
    if not as_json:
        return of_bytes
    edits = st.lists(st.tuples(st.sampled_from(_JSON_EDITS), st.lists(_PLACES, max_size=6), _VALUES), min_size=1)
    return of_bytes | st.builds(_spoil_json, files, _PLACES, edits)


def _flip(data: bytearray, other: bytes, place: int, length: int, byte: int) -> None:
    if data:
        data[min(place, len(data) - 1)] ^= byte or 0xFF


def _overwrite(data: bytearray, other: bytes, place: int, length: int, byte: int) -> None:
    data[place : place + length] = bytes([byte]) * length


def _cut(data: bytearray, other: bytes, place: int, length: int, byte: int) -> None:
    del data[place:]


def _remove(data: bytearray, other: bytes, place: int, length: int, byte: int) -> None:
    del data[place : place + length]


def _duplicate(data: bytearray, other: bytes, place: int, length: int, byte: int) -> None:
    data[place:place] = data[place : place + length]


def _splice(data: bytearray, other: bytes, place: int, length: int, byte: int) -> None:
    data[place:] = other[place + length - 20 if place + length > 20 else 0 :]


def _insert(data: bytearray, other: bytes, place: int, length: int, byte: int) -> None:
    data[place:place] = bytes([byte]) * length


Edit = Callable[[bytearray, bytes, int, int, int], None]
_EDITS = st.tuples(
    st.sampled_from([_flip, _flip, _overwrite, _cut, _remove, _duplicate, _splice, _insert]),
    _PLACES,
    _LENGTHS,
    st.integers(0, 255),
)


def _spoil_bytes(sample: bytes, other: bytes, edits: list[tuple[Edit, int, int, int]]) -> bytes:
    data = bytearray(sample)
    for edit, place, length, byte in edits:
        edit(data, other, place * (len(data) + 1) >> 16, length, byte)
    return bytes(data)


_JSON_EDITS = ["replace", "remove", "duplicate", "rename"]


def _spoil_json(sample: bytes, line: int, edits: list[tuple[str, list[int], Any]]) -> bytes:
    """Changes values deep inside one value of the file, which is its only one or that of a line."""
    try:
        lines = [json.loads(sample)]
    except ValueError:
        lines = [json.loads(each) for each in sample.splitlines()]
    index = line * len(lines) >> 16
    for name, path, value in edits:
        lines[index] = _edited(lines[index], name, path, copy.deepcopy(value))
    texts = [json.dumps(each).replace(json.dumps(_NESTED), "[" * _DEPTH + "]" * _DEPTH) for each in lines]
    return "\n".join(texts).encode()


def _edited(value: Any, edit: str, path: list[int], new: Any) -> Any:
    """`value` with the part that `path` leads to replaced, removed, twice there or under another name."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or not path:
        return new
    key = keys[path[0] * len(keys) >> 16]
    if len(path) > 1:
        value[key] = _edited(value[key], edit, path[1:], new)
    elif edit == "replace":
        value[key] = new
    elif edit == "remove":
        del value[key]
    elif isinstance(value, list):
        value.insert(key, value[key])
    else:
        value[str(new)] = value[key] if edit == "duplicate" else value.pop(key)
    return value
