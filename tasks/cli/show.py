"""`mrnn show`: the stages of the pipeline with the state of each."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasks.cli.options import ConfigArgument, Json, Settings

if TYPE_CHECKING:
    from tasks.base.stage import Stage


def show(
    config: ConfigArgument = None,
    settings: Settings = None,
    times: Annotated[bool, typer.Option("--time", help="Show where the time went, slowest first.")] = False,
    as_json: Json = False,
) -> None:
    """Show all stages with state, size, age and duration.

    Stages are in the order of computation. Where a stage occurs several times, the parameters that differ follow.
    States: complete, running, partial, missing.
    """
    from tasks.cli.console import print_json, print_table
    from tasks.cli.pipeline import open_configuration, parsed

    stages = open_configuration(config)
    with parsed(settings):
        records = describe_stages(stages["FullPipeline"]())
    if as_json:
        print_json(records)
    elif times:
        print_table(*_time_table(records), right=("time", "share", "memory"))
    else:
        print_table(*_state_table(records), right=("size", "age", "time"))


def describe_stages(root: "Stage") -> list[dict[str, Any]]:
    """Return one record per required artifact of `root`, inputs before the stages that read them.

    Sizes are in bytes, ages and durations in seconds.
    """
    from tasks.cli.graph import inputs_first

    *stages, _ = inputs_first(root)
    needed_by: dict[str, list[str]] = {}
    for stage in stages:
        for required in stage.requires().values():
            needed_by.setdefault(required.task_id, []).append(str(stage))
    return [{**_describe(stage, stages), "needed_by": needed_by.get(stage.task_id, [])} for stage in stages]


def _describe(stage: "Stage", stages: Sequence["Stage"]) -> dict[str, Any]:
    from schemas.provenance import FILE_NAME, read_provenance
    from tasks.runtime.locks import is_locked

    record: dict[str, Any] = {
        "stage": stage.stage,
        "key": stage.key,
        "directory": str(stage.directory),
        "differs": _differing(stage, [each for each in stages if each.stage == stage.stage]),
        "requires": {name: str(required) for name, required in stage.requires().items()},
    }
    if not stage.complete():
        partial = "partial" if stage.directory.exists() else "missing"
        return {**record, "state": "running" if is_locked(stage.directory) else partial}
    provenance = read_provenance(stage.directory)
    return {
        **record,
        "state": "complete",
        "size": sum(path.stat().st_size for path in stage.directory.rglob("*") if path.is_file()),
        "age": round(time.time() - (stage.directory / FILE_NAME).stat().st_mtime),
        "seconds": provenance.seconds,
        "peak_memory_bytes": provenance.peak_memory_bytes,
    }


def _differing(stage: "Stage", same: Sequence["Stage"]) -> dict[str, Any]:
    """Return this stage's values of the parameters in which stages of the same name differ."""
    mine = stage.parameters(significant=True)
    return {
        name: value
        for name, value in mine.items()
        if any(other.parameters(significant=True).get(name) != value for other in same)
    }


def _state_table(records: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for record in records:
        measured = ["", "", ""]
        if record["state"] == "complete":
            measured = [f"{record['size'] / 1e6:.1f} MB", _duration(record["age"]), _duration(record["seconds"])]
        rows.append([record["stage"], record["key"], record["state"], *measured, _settings(record)])
    return ["stage", "key", "state", "size", "age", "time", "parameters"], rows


def _time_table(records: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    complete = sorted((each for each in records if "seconds" in each), key=lambda each: -each["seconds"])
    total = sum(record["seconds"] for record in complete)
    rows = [
        [
            record["stage"],
            record["key"],
            _duration(record["seconds"]),
            f"{record['seconds'] / total:.0%}" if total else "",
            f"{record['peak_memory_bytes'] / 1e9:.2f} GB",
            _settings(record),
        ]
        for record in complete
    ]
    return ["stage", "key", "time", "share", "memory", "parameters"], [
        *rows,
        ["total", "", _duration(total), "", "", ""],
    ]


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _settings(record: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in record["differs"].items())
