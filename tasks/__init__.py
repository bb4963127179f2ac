"""Luigi stages: dependencies, parameters, artifact locations and completeness. No algorithms.

`luigi --module tasks STAGE` (or `mrnn run`) runs any of them. Stages are imported when they are needed, so that
`mrnn --help` loads neither Luigi nor a stage. TensorFlow and Beam are imported only inside `work`, in a process of its
own.
"""

import sys
from typing import Any

from tasks.stages import STAGES, load_stages

__all__ = list(STAGES)


def __getattr__(name: str) -> Any:
    if name in STAGES:
        return load_stages()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if "luigi" in sys.modules:  # `luigi --module tasks STAGE` expects that this import registers the stages
    from tasks.luigi_command import prepare

    prepare()
