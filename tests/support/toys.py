"""Small stages for tests of the machinery; imported by the stage's process too."""

import logging
import os
import time

import luigi

from schemas.errors import InputError
from schemas.io.files import write_text
from tasks.base.stage import Stage
from tasks.runtime.workspace import Workspace


class Source(Stage):
    """Writes its text, and outside the artifact who wrote it (`process.txt`) and how often (`runs.txt`)."""

    text = luigi.Parameter(default="a")
    pace = luigi.FloatParameter(default=0.0, significant=False)
    batch_size = luigi.IntParameter(default=1)

    def work(self, workspace: Workspace) -> None:
        with open(workspace.directory.parent / "runs.txt", "a") as runs:
            runs.write(self.text + "\n")
        write_text(workspace.directory.parent / "process.txt", str(os.getpid()))
        workspace.progress(0.5, "half way")
        workspace.scratch.mkdir(exist_ok=True)
        (workspace.scratch / "leftover").touch()
        time.sleep(self.pace)
        write_text(workspace.directory / "text.txt", self.text)
        workspace.counts["letters"] = len(self.text)


class Double(Stage):
    """Writes the text of its source twice."""

    batch_size = luigi.IntParameter(default=7)

    def requires(self) -> dict[str, Stage]:
        return {"source": self.upstream(Source)}

    def work(self, workspace: Workspace) -> None:
        text = (workspace.inputs["source"] / "text.txt").read_text()
        write_text(workspace.directory / "text.txt", text * 2)


class Faulty(Stage):
    """Fails in the way it is told to, after it has written half of its artifact."""

    way = luigi.Parameter()
    source = luigi.BoolParameter()

    def requires(self) -> dict[str, Stage]:
        return {"source": self.upstream(Source)} if self.source else {}

    def work(self, workspace: Workspace) -> None:
        write_text(workspace.directory / "half.txt", "half")
        if self.way == "input":
            raise InputError("records.txt, line 3: no caption; add one.")
        if self.way == "bug":
            raise AssertionError("nobody foresaw this")
        if self.way == "exit":
            os._exit(9)


class Talkative(Stage):
    """Logs and prints, as libraries do."""

    text = luigi.Parameter()

    def work(self, workspace: Workspace) -> None:
        logging.getLogger("somebody").info("said by somebody")
        write_text(workspace.directory / "text.txt", self.text)
