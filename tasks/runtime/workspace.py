"""What a stage has at hand while it works."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRATCH = "scratch"
# In scratch, hidden from what lists an artifact's files: {"upstream": keys}, from what it is being made.
NOTE = ".begun.json"


@dataclass
class Workspace:
    """What a stage has at hand while it works, in a process of its own.

    directory: where the artifact's files go (what an interrupted run left is still there); `scratch` in it is for what
    only a resumed run needs, and is removed when the artifact is complete; inputs: the artifacts it requires, by the
    names of `requires`; progress: call it with (fraction done, message); counts: fill it with numbers for the
    provenance.
    """

    directory: Path
    inputs: dict[str, Path]
    progress: Callable[[float, str], None]
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """See above."""
        return self.directory / SCRATCH
