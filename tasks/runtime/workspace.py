"""Workspace of a running stage."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRATCH = "scratch"
# Hidden file in the scratch directory: {"upstream": keys} of the artifacts that the stage reads.
NOTE = ".begun.json"


@dataclass
class Workspace:
    """Directories, progress and counts of a running stage.

    Attributes:
        directory: Directory of the artifact; the files of an interrupted run are still there.
        inputs: Directories of the required artifacts, by the names of `requires`.
        progress: Reports the fraction done and a message.
        counts: Filled by the stage with numbers for the provenance.
        digests: Filled by the stage with the SHA-256 of files that their writers have computed, by relative name; these
            files are checked by their sizes when the artifact is used, and read by `mrnn verify` only.
    """

    directory: Path
    inputs: dict[str, Path]
    progress: Callable[[float, str], None]
    counts: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """Directory for files that only a resumed run needs; it is removed when the artifact is complete."""
        return self.directory / SCRATCH
