"""The training curve for TensorBoard; `tensorboard --logdir` on a directory of artifacts shows each as a run."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from schemas.io.files import atomic_path

_SHOWN = {
    "loss": "training/loss",
    "train_perplexity": "training/perplexity",
    "learning_rate": "training/learning rate",
    "tokens_per_second": "training/tokens per second",
    "val_perplexity": "validation/perplexity",
    "val_cider": "validation/CIDEr",
}


def write_events(directory: Path, report: dict[str, Any]) -> None:
    """Write or replace the event file of an epoch; the step of its points is the epoch.

    Each epoch has a file of its own: a killed run leaves it complete or absent, TensorBoard follows the run, and a
    resumed run duplicates no point.

    Args:
        directory: Directory of the event files.
        report: Fields of an `EpochReport`.
    """
    with tempfile.TemporaryDirectory() as folder:
        with tf.summary.create_file_writer(folder).as_default(step=report["epoch"]) as writer:
            for name, tag in _SHOWN.items():
                tf.summary.scalar(tag, np.float64(report[name]))  # a perplexity may be beyond float32
            writer.close()
        (written,) = Path(folder).iterdir()
        with atomic_path(directory / f"events.out.tfevents.{report['epoch']:010d}") as temporary:
            shutil.copyfile(written, temporary)
