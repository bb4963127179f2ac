"""Stages that need more resources than the machine has."""

import os
import signal

import luigi

from schemas.io.files import write_text
from schemas.io.hdf5 import create_hdf5
from tasks.base.stage import Stage
from tasks.runtime.workspace import Workspace


class Greedy(Stage):
    """Writes `size` bytes, or takes as many of memory."""

    form = luigi.ChoiceParameter(choices=["text", "hdf5", "memory", "killed"])
    size = luigi.IntParameter(default=1 << 23, significant=False)
    batch_size = luigi.IntParameter(default=64, significant=False)

    def work(self, workspace: Workspace) -> None:
        import numpy as np

        if self.form == "text":
            write_text(workspace.directory / "big.txt", "a" * self.size)
        elif self.form == "hdf5":
            with create_hdf5(workspace.directory / "big.h5") as file:
                file.create_dataset("big", data=np.ones(self.size, np.uint8), chunks=(1 << 16,), fletcher32=True)
        elif self.form == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            write_text(workspace.directory / "sum.txt", str(np.ones(self.size, np.uint8).sum()))
