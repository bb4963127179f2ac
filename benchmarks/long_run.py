"""Does a long run stay as it began? Memory, files and pace of extraction, tokenization and one training epoch.

Seconds are those of the processor, so that what else the machine does does not bend the line.

`python -m benchmarks.long_run --images 200000 --captions 1000000`; it is not among those that run by default.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.training import synthetic_captions, trained_words_a_second
from model.backbones.spec import BackboneSpec
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from pipelines.data.tokenize_captions import tokenize
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Sharding
from pipelines.engines.shards import ImageSource
from pipelines.features.extract_features import ExtractionOptions, extract_features
from schemas.annotations import AnnotatedImage

SECONDS_BETWEEN_LOOKS = 0.25
DISTINCT = 100  # images; the others are links to them
PARTS = 4  # of a run, that are compared
SHARDS = 32
WORDS = [f"word{number}" for number in range(5000)]


class Course:
    """Progress, CPU time and memory of a run over time."""

    def __init__(self) -> None:
        """Start without records."""
        self.fraction, self.looks = 0.0, []

    def progress(self, fraction: float, _: str) -> None:
        """To be called by what runs."""
        self.fraction = fraction

    def follow(self, call: Callable[[], object]) -> None:
        """Calls and looks."""
        done, process, started = threading.Event(), psutil.Process(), time.process_time()

        def look() -> None:
            while not done.wait(SECONDS_BETWEEN_LOOKS):
                self.looks.append((self.fraction, time.process_time() - started, process.memory_info().rss))

        thread = threading.Thread(target=look)
        thread.start()
        call()
        done.set()
        thread.join()

    def describe(self) -> str:
        """Seconds and memory at each part of the way."""
        fractions, seconds, memory = np.array(self.looks).T
        at = [int(np.argmax(fractions >= part / PARTS * fractions.max())) for part in range(1, PARTS + 1)]
        memories = ", ".join(f"{memory[index] / 2**20:.0f}" for index in at)
        times = ", ".join(f"{seconds[index]:.0f}" for index in at)
        going = fractions > 0
        fit = np.corrcoef(fractions[going], seconds[going])[0, 1] ** 2
        return f"at each quarter {times} s and {memories} MiB; r2 of time against work {fit:.4f}"


def extraction(images: int, directory: Path) -> None:
    """Features of tiny images by a tiny network."""
    random = np.random.default_rng(0)
    sources = []
    for number in range(images):
        path = directory / f"{number:07d}.png"
        if number < DISTINCT:
            Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
        else:
            os.link(sources[number % DISTINCT].path, path)
        sources.append(ImageSource(path.stem, str(path)))
    options = ExtractionOptions(BackboneSpec("keras:MobileNet", "random:0", 32), "squash", "float16", "long", 64, 2)
    engine = BeamEngine()
    out, course = directory / "out", Course()
    out.mkdir()
    course.follow(
        lambda: extract_features(
            sources, out, options, Sharding(engine, SHARDS, str(out / "shards"), progress=course.progress), 0.0
        )
    )
    files = [path for path in out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(
        f"extraction of {images:,} images: {course.describe()}; {len(files)} files, {size / 2**20:.1f} MiB", flush=True
    )


def tokenization(captions: int, directory: Path) -> None:
    """In three sizes, since all captions are held at once."""
    random = np.random.default_rng(0)
    for count in (captions // 4, captions // 2, captions):
        text = (" ".join(WORDS[word] for word in random.integers(len(WORDS), size=11)) for _ in range(count))
        images = [
            AnnotatedImage(str(number), f"{number}.png", "train", 32, 32, tuple(next(text) for _ in range(5)))
            for number in range(count // 5)
        ]
        before, started = psutil.Process().memory_info().rss, time.process_time()
        course = Course()
        course.follow(lambda images=images: tokenize(images, "treebank", 3, directory))  # type: ignore[misc]
        seconds = time.process_time() - started
        most = max(memory for *_, memory in course.looks)
        print(
            f"tokenization of {count:,} captions: {seconds:.1f} s, {1e6 * seconds / count:.0f} us and "
            f"{(most - before) / count:.0f} bytes of memory a caption",
            flush=True,
        )


def training(captions: int, _: Path) -> None:
    """One epoch of a small network."""
    random = np.random.default_rng(0)
    train, val = synthetic_captions(random, captions), synthetic_captions(random, 10)
    network = MRNN(2550, 1280, ModelConfig("mrnn", 32, 32, 32))
    course = Course()
    course.follow(lambda: trained_words_a_second(network, train, val, epochs=1, progress=course.progress))
    print(f"training on {captions:,} captions: {course.describe()}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--captions", type=int, default=200_000)
    sizes = parser.parse_args()
    for measure, size in ((tokenization, sizes.captions), (extraction, sizes.images), (training, sizes.captions)):
        with tempfile.TemporaryDirectory() as name:
            measure(size, Path(name))
