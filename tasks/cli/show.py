"""ShowPipeline: the tree of stages with the state of each."""

import json
import time
from datetime import timedelta
from typing import Any

import luigi

from schemas.provenance import FILE_NAME, read_provenance
from tasks.base.stage import Stage
from tasks.cli.command import Command
from tasks.cli.graph import walk
from tasks.full_pipeline import FullPipeline
from tasks.runtime.locks import is_locked


class ShowPipeline(Command):
    """Prints FullPipeline's stages: key, state, size, age, how long each took, and which stages need it."""

    json = luigi.BoolParameter(description="for programs: a JSON list with a record a stage")

    def act(self) -> None:
        """Prints the tree; what several stages need is shown in full once."""
        tree = [(depth, stage, first) for depth, stage, first in walk(FullPipeline()) if depth > 0]
        needed_by: dict[str, list[str]] = {}
        for _, stage, first in tree:
            for required in stage.requires().values() if first else ():
                needed_by.setdefault(required.task_id, []).append(str(stage))
        records = {
            stage.task_id: {**_look(stage), "needed_by": needed_by.get(stage.task_id, [])}
            for _, stage, first in tree
            if first
        }
        if self.json:
            print(json.dumps(list(records.values()), indent=2))
            return
        for depth, stage, first in tree:
            words = _in_words(records[stage.task_id]) if first else "(see above)"
            print(f"{'  ' * (depth - 1)}{stage}  {words}")


def _look(stage: Stage) -> dict[str, Any]:
    """What is known of the artifact; sizes are bytes, times seconds."""
    record: dict[str, Any] = {
        "stage": stage.stage,
        "key": stage.key,
        "directory": str(stage.directory),
        "requires": {name: str(required) for name, required in stage.requires().items()},
    }
    if not stage.complete():
        begun = "begun" if stage.directory.exists() else "missing"
        return {**record, "state": "running" if is_locked(stage.directory) else begun}
    provenance = read_provenance(stage.directory)
    return {
        **record,
        "state": "complete",
        "size": sum(path.stat().st_size for path in stage.directory.rglob("*") if path.is_file()),
        "age": round(time.time() - (stage.directory / FILE_NAME).stat().st_mtime),
        "seconds": provenance.seconds,
    }


def _in_words(record: dict[str, Any]) -> str:
    words = str(record["state"])
    if words == "complete":
        age = timedelta(seconds=record["age"])
        words += f", {record['size'] / 1e6:.1f} MB, made {age} ago in {record['seconds']:.1f} s"
    needed_by = list(dict.fromkeys(name.partition(" ")[0] for name in record["needed_by"]))
    return f"{words}, for {', '.join(needed_by)}" if needed_by else words
