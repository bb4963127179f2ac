"""An engine for tests of what stages compute in shards; `tests/pipelines/engines` tests the engines of users."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.engines.engine import available_cores
from pipelines.engines.shards import Receipt


@dataclass(frozen=True)
class SerialEngine:
    """Calls the function in this process, one shard after the other. It was pickled, as for the workers of others."""

    name: str = "serial engine"

    def map(self, function: Callable[[str], Receipt | None], manifests: Sequence[str]) -> None:
        """Call a copy of the function for each manifest."""
        copy = pickle.loads(pickle.dumps(function))
        for manifest in manifests:
            copy(manifest)

    def cores_per_process(self) -> int:
        """Return the number of cores of this process."""
        return available_cores()
