"""`mrnn demo` without its extra; with it, see `tests/browser/test_demo.py`."""

import sys

import pytest

from schemas.errors import ConfigurationError
from tasks.cli.demo import demo


def test_demo_without_gradio_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ConfigurationError, match=r"needs Gradio, .*; run `pip install 'm-rnn\[demo\]'`\.$"):
        demo()
