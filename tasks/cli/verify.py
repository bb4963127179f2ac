"""`mrnn verify`: integrity of the artifacts of a data directory, or of a release."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.text import quantity
from tasks.cli.options import ConfigOption, DataDir, Json


def verify(
    release: Annotated[
        Path | None, typer.Argument(help="Directory of a release; default: all artifacts of the data directory.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDir = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove damaged artifacts, so that the next run computes them again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify the integrity of all artifacts, or of a release.

    Verifies every checksum, and shapes, ids and counts of a release; exits with 1 on damage.
    """
    if release is not None:
        _verify_release(release.expanduser(), as_json)
    else:
        _verify_artifacts(config, data_dir, remove, as_json)


def _verify_release(release: Path, as_json: bool) -> None:
    from pipelines.release.verify import verify_release
    from schemas.errors import ArtifactError

    problems = verify_release(release)
    _print_problems(problems, as_json)
    if problems:
        raise ArtifactError(f"{release} has {quantity(len(problems), 'problem')}, listed above.")
    if not as_json:
        print(f"{release} is complete and intact.")


def _verify_artifacts(config: str | None, data_dir: Path | None, remove: bool, as_json: bool) -> None:
    from pipelines.artifacts.verify_artifacts import verify_artifacts
    from schemas.errors import ArtifactError
    from tasks.cli.graph import remove_artifacts
    from tasks.cli.pipeline import data_directory

    root = data_directory(data_dir, config)
    found = dict(verify_artifacts(root))
    damaged = {directory: problem for directory, problem in found.items() if problem}
    _print_problems(list(damaged.values()), as_json)
    if damaged and not remove:
        raise ArtifactError(
            f"{len(damaged)} of {len(found)} artifacts in {root} are damaged; remove them with --remove, "
            "and the next run computes them again."
        )
    if remove:
        remove_artifacts(list(damaged))
        typer.echo(
            f"{len(damaged)} of {len(found)} artifacts were removed; run the pipeline to restore them.", err=as_json
        )
    elif not as_json:
        print(f"All {len(found)} artifacts in {root} are intact.")


def _print_problems(problems: list[str], as_json: bool) -> None:
    from tasks.cli.console import print_json

    if as_json:
        print_json(problems)
    else:
        for problem in problems:
            print(problem)
