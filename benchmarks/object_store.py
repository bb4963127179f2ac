"""Processor time per image that reading from S3 costs, on a moto server in a process of its own."""

import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor

from pipelines import storage
from tests.support.stores import s3_server

IMAGES, BYTES, IN_FLIGHT = 1_000, 100_000, 8


def run() -> None:
    """Read objects of the size of photographs with eight requests in flight."""
    with s3_server() as store:
        os.environ.update({"NO_PROXY": "127.0.0.1", **store.variables})
        bucket = store.new_bucket()
        paths = [f"{bucket}/{number}.jpg" for number in range(IMAGES)]
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            list(pool.map(lambda path: storage.write(path, bytes(BYTES)), paths))
            before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
            sizes = list(pool.map(lambda path: len(storage.read(path)), paths))
            after, took = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - started
    assert sizes == [BYTES] * IMAGES
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"object_store: {1e3 * processor / IMAGES:.1f} ms of processor time per image, {IMAGES / took:.0f} images/s, "
        f"{IN_FLIGHT} in flight",
        flush=True,
    )
