"""What of the machine one process computes on: its share of the cores, and one GPU where there are several."""

import getpass
import os
import tempfile
from functools import cache
from pathlib import Path

import tensorflow as tf
from filelock import FileLock, Timeout


@cache
def prepare_process(threads: int) -> None:
    """Sets the number of TensorFlow's threads (0: its own choice), and uses a GPU of this process's own.

    To be called before TensorFlow computes anything. GPUs take memory as they need it, not all of it at once.

    Raises:
        RuntimeError: TensorFlow has computed something already.
    """
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        gpus = [gpus[claim_place(len(gpus), Path(tempfile.gettempdir()) / f"m-rnn-gpus-{getpass.getuser()}")]]
        tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)


def claim_place(places: int, directory: Path) -> int:
    """One of `places` numbers, another in each process that asks, until it ends; shared when all are taken.

    The claim is a lock on a file, which ends with the process, however that ends.
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


_claims: list[FileLock] = []  # a lock object that is forgotten is let go
