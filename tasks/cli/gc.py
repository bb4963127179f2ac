"""`mrnn gc`: remove artifacts that no configuration reaches."""

import time
from datetime import timedelta
from typing import Annotated

import typer

from tasks.cli.options import DataDir, _complete_configuration


def gc(
    configs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIGS]...",
            help="Configurations whose artifacts are kept; default: LUIGI_CONFIG_PATH, or the packaged defaults.",
            autocompletion=_complete_configuration,
        ),
    ] = None,
    keep: Annotated[int, typer.Option(min=0, help="Number of newest artifacts of each stage to keep.")] = 1,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the artifacts instead of printing them.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List or delete artifacts that no configuration needs.

    The newest of each stage are kept, and everything that kept artifacts were made from. Partial artifacts, releases
    elsewhere, downloaded archives and foreign files are not touched.
    """
    from pipelines.artifacts.collect_garbage import find_artifacts, find_garbage
    from tasks.cli.graph import check_idle, remove_artifacts
    from tasks.cli.pipeline import data_directory
    from tasks.cli.reachable import reachable

    root = data_directory(data_dir, configs[0] if configs else None)
    if delete:
        check_idle(root)
    garbage = find_garbage(list(find_artifacts(root)), reachable(configs or []), keep)
    for each in garbage:
        age = timedelta(seconds=round(time.time() - each.made))
        print(f"{'removing' if delete else 'would remove'} {each.directory}  {each.size / 1e6:.1f} MB, {age} old")
    if delete:
        remove_artifacts([each.directory for each in garbage])
    total = sum(each.size for each in garbage)
    print(f"{len(garbage)} artifacts, {total / 1e6:.1f} MB {'removed' if delete else 'to remove with --delete'}")
