"""Settings of all tests: TensorFlow, where it is used, logs little and runs on the CPU."""

import gc
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator
from unittest import mock

import hypothesis
import pytest

os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""})

# Collecting tests imports all libraries, which leaves no garbage and takes a fifth longer when it is looked for.
gc.disable()

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A shell's background job ignores Ctrl-C, and the programs that tests start and stop would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most slow tests come first: workers that take a file at a time end with short ones, at about once."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish() -> None:
    """From here on garbage is collected, but not looked for among the libraries."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def process_settings() -> Iterator[None]:
    """Restore what commands change that run in the process of the tests: the level of messages, and variables."""
    root = logging.getLogger()
    level = root.level
    with mock.patch.dict(os.environ):
        yield
    root.setLevel(level)


@pytest.fixture(scope="module")
def eagerly() -> Iterator[None]:
    """TensorFlow functions run as Python, which for a few calls of tiny networks is faster than compiling them."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def compiled() -> Iterator[None]:
    """TensorFlow functions are compiled, in a test of a module that runs the others `eagerly`."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)
