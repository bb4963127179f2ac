"""ShowPipeline: the tree of stages with the state of each."""

import time
from datetime import timedelta

from schemas.provenance import FILE_NAME, read_provenance
from tasks.command import Command
from tasks.full_pipeline import FullPipeline
from tasks.graph import walk
from tasks.stage import Stage


class ShowPipeline(Command):
    """Prints FullPipeline's stages: key, state, size, age, and how long each took."""

    def act(self) -> None:
        """Prints the tree; what several stages need is shown in full once."""
        for depth, stage, first in walk(FullPipeline()):
            if depth > 0:  # FullPipeline itself has no artifact
                print(f"{'  ' * (depth - 1)}{stage.stage} {stage.key}  {_state(stage) if first else '(see above)'}")


def _state(stage: Stage) -> str:
    if not stage.complete():
        return "begun" if stage.directory.exists() else "missing"
    provenance = read_provenance(stage.directory)
    size = sum(path.stat().st_size for path in stage.directory.rglob("*") if path.is_file())
    age = timedelta(seconds=round(time.time() - (stage.directory / FILE_NAME).stat().st_mtime))
    return f"complete, {size / 1e6:.1f} MB, made {age} ago in {provenance.seconds:.1f} s"
