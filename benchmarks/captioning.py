"""Captions of ten photographs by the pretrained model: where the seconds go, from the start of the process."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.photographs import make_photographs

PHOTOGRAPHS = 10
RUNS = 3


def run() -> None:
    """Time the command and then its phases, each in processes of their own."""
    with tempfile.TemporaryDirectory() as name:
        make_photographs(Path(name), PHOTOGRAPHS)
        for _ in range(RUNS):
            before, started = _processor_seconds(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([sys.executable, "-m", "tasks.cli", "caption", name], check=True, stdout=subprocess.DEVNULL)
            _report("mrnn caption", started, before, resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "benchmarks.captioning", name], check=True)


def _processor_seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _report(what: str, started: float, before: float, who: int) -> None:
    wall, processor = time.perf_counter() - started, _processor_seconds(who) - before
    print(f"{PHOTOGRAPHS} photographs, {what}: {wall:.2f} s, of the processor {processor:.2f} s", flush=True)


@contextmanager
def _phase(what: str) -> Iterator[None]:
    before, started = _processor_seconds(resource.RUSAGE_SELF), time.perf_counter()
    yield
    _report(what, started, before, resource.RUSAGE_SELF)


def _time_phases(folder: str) -> None:
    with _phase("import TensorFlow and Keras"):
        import model.lean_keras  # noqa: F401
    with _phase("import the other packages"):
        from pipelines.caption_images.caption import DEFAULT_SEARCH, LoadedCaptioner, eager_execution
        from pipelines.caption_images.captioner import find_pretrained
        from pipelines.caption_images.inputs import find_images
    with _phase("load backbone and m-RNN"):
        captioner = LoadedCaptioner(find_pretrained())
    with eager_execution(True):
        with _phase("features"):
            image_ids, rows, _ = captioner.extract(find_images([folder]))
        with _phase("beam search"):
            captioner.decode(DEFAULT_SEARCH, image_ids, rows)


if __name__ == "__main__":
    _time_phases(sys.argv[1])
