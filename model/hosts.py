"""The hosts that train one network together, as each reads of them in its `TF_CONFIG`. Loads no TensorFlow."""

import json
import os
from dataclasses import dataclass

from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class Host:
    """name: `worker-1`, unlike that of any other host; leads: whether it is the one that validates and writes."""

    name: str
    leads: bool


def this_host() -> Host:
    """Which of the hosts this one is; the chief leads, or worker 0 where no chief is named.

    Raises:
        ConfigurationError: `TF_CONFIG` is not set, or does not say it.
    """
    try:
        said = json.loads(os.environ["TF_CONFIG"])
        cluster, job, index = said["cluster"], said["task"]["type"], said["task"]["index"]
        cluster[job][index]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigurationError(
            "The strategy multi-worker needs TF_CONFIG in the environment of each host, such as "
            '{"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}; set it.'
        ) from error
    return Host(f"{job}-{index}", leads=index == 0 and job == ("chief" if "chief" in cluster else "worker"))
