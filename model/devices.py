"""Devices of one process: a number of CPU threads, and one GPU where there are several."""

import getpass
import logging
import os
import tempfile
from functools import cache
from pathlib import Path

import tensorflow as tf
from filelock import FileLock, Timeout

_log = logging.getLogger(__name__)


@cache
def prepare_process(threads: int) -> None:
    """Set the number of TensorFlow's threads (0: its default), and reserve a GPU for this process.

    It should be called before TensorFlow computes anything. A worker of Dask serves several stages, which may set other
    numbers of threads: it keeps the first, with a warning, because TensorFlow cannot change it.
    """
    if threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            _log.warning(
                "This process computes with %d threads (0 = all cores), not with %d: an earlier stage has set them.",
                tf.config.threading.get_intra_op_parallelism_threads(),
                threads,
            )
    reserve_gpu()


@cache
def reserve_gpu() -> None:
    """Let this process use one GPU, if there are several, and allocate memory of GPUs on demand.

    Raises:
        RuntimeError: TensorFlow has computed something already.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        gpus = [gpus[claim_place(len(gpus), Path(tempfile.gettempdir()) / f"m-rnn-gpus-{getpass.getuser()}")]]
        tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)


def claim_place(places: int, directory: Path) -> int:
    """Reserve one of several places for this process; places are shared when all are taken.

    The reservation is a lock on a file, which the operating system releases when the process ends.

    Args:
        places: Number of places.
        directory: Directory of the lock files.

    Returns:
        Index of the place, from 0.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for place in range(places):
        lock = FileLock(directory / f"{place}.lock", mode=0o666, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _claims.append(lock)
        return place
    return os.getpid() % places


_claims: list[FileLock] = []  # a lock is released when its object is garbage-collected
