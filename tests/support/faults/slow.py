"""A stage that writes half of its artifact and then takes an hour, and one that waits for it."""

import time

from schemas.io.files import write_text
from tasks.base.stage import Stage
from tasks.runtime.workspace import Workspace


class Slow(Stage):
    """Is there to be ended."""

    def work(self, workspace: Workspace) -> None:
        write_text(workspace.directory / "half.txt", "half")
        time.sleep(3600)


class AfterSlow(Stage):
    """Has a worker of a central scheduler stay while another worker runs `Slow`."""

    def requires(self) -> dict[str, Stage]:
        """The slow one."""
        return {"slow": self.upstream(Slow)}
