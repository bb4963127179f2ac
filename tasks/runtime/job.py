"""The description of a stage that the runtime executes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """A stage to execute, as plain values that can be sent to another process.

    Attributes:
        name: Name of the stage.
        key: Key of the artifact.
        version: Version of the stage.
        dataset: Name of the dataset.
        directory: Directory of the artifact.
        log_path: File that the output of the stage's process is appended to.
        module: Module that defines the stage.
        family: Luigi's name for the stage.
        arguments: All parameters of the stage in Luigi's text form.
        command_line: Luigi's command line, which also sets parameters of other stages; None if there is none.
        configuration: Sections of Luigi's configuration, which likewise sets parameters of other stages.
        inputs: Directories of the required artifacts, by the names of `requires`.
        parameters: Significant parameters as JSON values.
        operational: Non-significant parameters as JSON values.
        keyed_by_content: Names of `inputs` whose keys `key` does not depend on.
        content: Glob patterns of the files that the content digest covers.
        volatile_files: Glob patterns of files that are recorded, but differ between runs because they contain times.
        page: File of the artifact that Luigi's status page links to; empty if there is none.
        preload: Modules that take long to import and that the stage needs.
        verbose: Whether the output of the stage's process is also shown on the terminal.
    """

    name: str
    key: str
    version: int
    dataset: str
    directory: Path
    log_path: Path
    module: str
    family: str
    arguments: dict[str, str]
    command_line: tuple[str, ...] | None
    configuration: dict[str, dict[str, str]]
    inputs: dict[str, Path]
    parameters: dict[str, Any]
    operational: dict[str, Any]
    keyed_by_content: tuple[str, ...] = ()
    content: tuple[str, ...] = ("*",)
    volatile_files: tuple[str, ...] = ()
    page: str = ""
    preload: tuple[str, ...] = ()
    verbose: bool = False

    @property
    def batch_size(self) -> int | None:
        """The stage's `batch_size` parameter; None if it has none."""
        size: int | None = {**self.parameters, **self.operational}.get("batch_size")
        return size

    def __str__(self) -> str:
        return f"{self.name} {self.key}"


class StatusPage(Protocol):
    """The entry of a stage on a status page, such as that of Luigi's scheduler."""

    def show(self, percentage: int, message: str) -> None:
        """Show the progress of the stage."""

    def link(self, path: Path) -> None:
        """Link to a file of the artifact."""
