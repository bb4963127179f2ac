"""Fuzzing of all formats: a corrupted file is read, or refused in one sentence, in bounded time and memory."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.faults.formats import FORMATS, samples
from tests.support.faults.guarded import check, limited_memory
from tests.support.faults.mutations import corrupted

SHORT = 100
LONG = int(os.environ.get("FUZZ_CASES", "10000"))  # a format


def fuzz(name: str, folder: Path, cases: int, *, repeatable: bool) -> Counter[str]:
    """Read `cases` corrupted files of a format; returns how many were read and how many refused."""
    form = FORMATS[name]
    path, data_directory = folder / "given" / form.file, folder / "var"
    valid = samples(form, path)
    outcomes: Counter[str] = Counter()

    def outcome(content: bytes) -> str:
        shutil.rmtree(data_directory, ignore_errors=True)
        data_directory.mkdir()
        path.write_bytes(content)
        return "refused" if check(form.read, path, data_directory) else "read"

    assert {outcome(each) for each in valid} == {"read"}

    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        derandomize=repeatable,
        suppress_health_check=list(HealthCheck),
    )
    @given(content=corrupted(valid, form.as_json))
    def read_spoilt(content: bytes) -> None:
        outcomes[outcome(content)] += 1

    with limited_memory():
        read_spoilt()
    return outcomes


@pytest.mark.slow("corrupts each format in many ways")
@pytest.mark.parametrize("name", FORMATS)
def test_corrupted_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    fuzz(name, tmp_path, SHORT, repeatable=True)


@pytest.mark.faults
@pytest.mark.parametrize("name", FORMATS)
def test_corrupted_files_by_the_thousand(name: str, tmp_path: Path) -> None:
    outcomes = fuzz(name, tmp_path, LONG, repeatable=False)
    print(f"\n{name}: {outcomes.total()} cases, {outcomes['read']} read, {outcomes['refused']} refused")
