"""Downloading, digest included, and unpacking, against curl and unzip (`apt-get install curl unzip`)."""

import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import describe_run
from benchmarks.timing import compare_rounds, print_head
from pipelines.data.dataset import Archive
from pipelines.data.download.fetch import fetch
from pipelines.data.download.unpack import unpack

SIZE = 1_000_000_000
PICTURES, COPIES = 120, 20


def run() -> None:
    """Compare megabytes a second: of 1 GB from Python's HTTP server on this machine, of deflated images."""
    missing = [tool for tool in ("curl", "unzip") if not shutil.which(tool)]
    if missing:
        sys.exit(f"The benchmark of downloads needs {' and '.join(missing)}; install what is missing with apt-get.")
    print(describe_run("python -m benchmarks download"))
    print_head("question", "this project", "comparison", "ratio")
    with tempfile.TemporaryDirectory() as name:
        root, target = Path(name), Path(name) / "target"
        (root / "noise.bin").write_bytes(np.random.default_rng(0).bytes(SIZE))
        packed = root / "images.zip"
        content_bytes = _make_archive(packed)

        def clear() -> None:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()

        command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            try:
                url = server.stdout.readline().partition("(")[2].partition("/)")[0] + "/noise.bin"
                archive = Archive("noise.bin", (url,))
                curl = ["curl", "--silent", "--noproxy", "*", "--output", target / "noise.bin", url]
                compare_rounds(
                    "download against curl, MB/s",
                    (lambda: fetch(archive, target, (), lambda fraction, message: None), SIZE / 1e6),
                    (lambda: subprocess.run(curl, check=True), SIZE / 1e6),
                    clear,
                )
            finally:
                server.terminate()

        unzip = ["unzip", "-q", packed, "-d", target]
        compare_rounds(
            "unpacking against unzip, MB/s",
            (lambda: unpack(packed, target, lambda fraction, message: None), content_bytes / 1e6),
            (lambda: subprocess.run(unzip, check=True), content_bytes / 1e6),
            clear,
        )


def _make_archive(path: Path) -> int:
    """Write a .zip of JPEG files like photographs; return the bytes of its content."""
    random, size = np.random.default_rng(0), 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(PICTURES):
            coarse = Image.fromarray(random.integers(0, 256, (47, 63, 3), dtype=np.uint8))
            noise = random.integers(-12, 13, (375, 500, 3))
            pixels = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC)) + noise
            stream = io.BytesIO()
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "jpeg", quality=90)
            for copy in range(COPIES):
                archive.writestr(f"images/{number:03}_{copy:02}.jpg", stream.getvalue())
                size += len(stream.getvalue())
    return size
