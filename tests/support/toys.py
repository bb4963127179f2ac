"""Small stages for tests of the machinery; imported by the stage's process too."""

import logging
import os
import sys
import time
from pathlib import Path

import luigi

from schemas.errors import InputError
from schemas.io.files import write_json, write_text
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
        logging.getLogger("library").info("logged by a library")
        write_text(workspace.directory / "text.txt", self.text)


class Surroundings(Stage):
    """Writes what its process inherited, and the text that the command line gives `Source`."""

    def work(self, workspace: Workspace) -> None:
        found = {
            "process": os.getpid(),
            "server": os.getppid(),
            "directory": str(Path.cwd()),
            "variable": os.environ.get("TOY_VARIABLE"),
            "modules": [name for name in ("wave", "numpy") if name in sys.modules],
            "random": sys.modules["numpy"].random.random() if "numpy" in sys.modules else None,
            "text": self.upstream(Source).text,
        }
        write_json(workspace.directory / "found.json", found)


class Preloaded(Surroundings):
    """The same with modules that its process has imported before; one of them does not exist."""

    preload = ("wave", "numpy", "no_such_module")


class Waiting(Preloaded):
    """Waits to be killed after it has written where it runs."""

    def work(self, workspace: Workspace) -> None:
        super().work(workspace)
        time.sleep(600)
