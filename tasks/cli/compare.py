"""`mrnn compare`: all runs of a data directory, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from tasks.cli.options import ConfigOption, DataDir, Json


def compare(
    config: ConfigOption = None,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for runs.csv and runs.html; default: `comparison` in the data directory."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare all scored runs, and write CSV and an HTML page.

    Shows scores, time, and the parameters that differ.
    """
    from pipelines.artifacts.compare_runs.runs import find_runs
    from pipelines.artifacts.compare_runs.tables import format_runs, runs_as_records, write_runs_csv, write_runs_page
    from schemas.errors import InputError
    from tasks.cli.console import print_json
    from tasks.cli.pipeline import data_directory

    root = data_directory(data_dir, config)
    runs, problems = find_runs(root)
    for problem in problems:
        typer.echo(f"Warning: {problem}", err=True)
    if not runs:
        raise InputError(f"{root} has no scores to compare; run the pipeline first (`mrnn run`), or set --data-dir.")
    folder = out.expanduser() if out else root / "comparison"
    write_runs_csv(folder / "runs.csv", runs)
    write_runs_page(folder / "runs.html", runs, problems)
    if as_json:
        print_json(runs_as_records(runs))
    else:
        print(format_runs(runs))
        print(f"{len(runs)} runs: {folder / 'runs.csv'}, {folder / 'runs.html'}")
