"""Toy artifacts, from which tests make releases."""

from pathlib import Path

import pytest

from tests.support.toy_release import Toy, make_toy


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """The artifacts of a small run."""
    return make_toy(tmp_path)
