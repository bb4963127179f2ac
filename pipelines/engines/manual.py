"""No engine: processes that others start compute the shards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.engines.engine import available_cores
from pipelines.engines.shards import Receipt
from schemas.errors import RunnerError


@dataclass(frozen=True)
class ManualEngine:
    """Leaves the manifests to `mrnn extract-shard`, which the scheduler of a cluster starts."""

    name: str = "No engine"

    def map(self, function: Callable[[str], Receipt | None], manifests: Sequence[str]) -> None:
        """Report what is left to do.

        Raises:
            RunnerError: Always.
        """
        raise RunnerError(
            f"{len(manifests)} shards remain; run `mrnn extract-shard --manifest` on each manifest in "
            f"{manifests[0].rpartition('/')[0]}, then this command again."
        )

    def cores_per_process(self) -> int:
        """Return the number of this machine's cores."""
        return available_cores()
