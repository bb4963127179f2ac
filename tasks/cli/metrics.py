"""`mrnn metrics`: optional metrics."""

from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(help="Install optional metrics.", no_args_is_help=True)


class Installable(StrEnum):
    """Metrics that need files of others."""

    SPICE = "spice"


@app.callback()
def metrics() -> None:
    """Install optional metrics."""


@app.command()
def install(
    metric: Annotated[Installable, typer.Argument(help="Metric to install.")],
    mirror: Annotated[
        list[str] | None, typer.Option(help="Directory or URL that has the files; may be given several times.")
    ] = None,
) -> None:
    """Fetch the files that a metric needs (SPICE: 388 MB from Maven Central) and verify their checksums."""
    from pipelines.evaluation.install_spice import install_spice
    from tasks.cli.console import progress_bar

    with progress_bar() as progress:
        directory = install_spice(mirror or [], progress)
    print(f"{metric.name} is installed in {directory}")
