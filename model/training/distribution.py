"""Training on several devices: the captions of a batch are dealt out to replicas, and their gradients are summed.

Replica k of n computes on captions k, k + n, ... of a batch and divides by the words of the whole batch, so that sums
over the replicas are the cost of one device and its gradient, up to rounding. Every replica then makes the same step.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from schemas.errors import ConfigurationError, TrainingError


@dataclass(frozen=True)
class Worker:
    """name: `worker-1`, unlike that of any other host; leads: whether it is the one that validates and writes."""

    name: str
    leads: bool


def this_worker() -> Worker:
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
    return Worker(f"{job}-{index}", leads=index == 0 and job == ("chief" if "chief" in cluster else "worker"))


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one-device": tf.distribute.get_strategy,
    "mirrored": tf.distribute.MirroredStrategy,
    "multi-worker": tf.distribute.MultiWorkerMirroredStrategy,
}
_HOST_GONE = "Collective ops is aborted"  # of all that TensorFlow says when the others do not answer
_SEEDS_APART = 1 << 32  # between the dropout generators of two replicas; their own seeds are far smaller


def make_strategy(name: str) -> tf.distribute.Strategy:
    """`one-device`, `mirrored`: all GPUs of this host, `multi-worker`: those of the hosts in `TF_CONFIG`.

    Networks and trainers belong into its `scope`. `multi-worker` waits for the other hosts, and must be made before
    TensorFlow computes anything.

    Raises:
        ConfigurationError: there is no such strategy, or `TF_CONFIG` does not say which host this is.
    """
    if name not in STRATEGIES:
        raise ConfigurationError(f"There is no strategy {name!r}; choose one of {', '.join(STRATEGIES)}.")
    if name == "multi-worker":
        this_worker()
    return STRATEGIES[name]()


@contextmanager
def multi_worker_errors() -> Iterator[None]:
    """What computes together with other hosts.

    Raises:
        TrainingError: one of them is gone, whichever step of the computation noticed it.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if _HOST_GONE not in error.message:
            raise
        raise TrainingError(
            "Another host that trains along is gone; see its log and start all hosts again: finished epochs are kept."
        ) from error


class Replicas:
    """Those of the strategy in whose scope this is made."""

    def __init__(self) -> None:
        """Read the strategy in whose scope the object is created."""
        self.strategy = tf.distribute.get_strategy()
        self.count = self.strategy.num_replicas_in_sync
        self.on_several_hosts = isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.is_chief = not self.on_several_hosts or this_worker().leads

    def distribute(self, make: Callable[[int, int], Any]) -> Any:
        """What `make(replica, count)` returns for each replica of this host, as the argument of `run`."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: make(context.replica_id_in_sync_group, self.count)
        )

    def run(self, step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Runs the step on each replica; returns what the first one of this host returns."""
        results = self.strategy.run(step, arguments)
        return tf.nest.map_structure(lambda each: self.strategy.experimental_local_results(each)[0], results)

    @staticmethod
    def sum(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Within `run`: the sums of the tensors over all replicas."""
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))

    def decorrelate_rngs(self, variables: Sequence[Any]) -> None:
        """Has each replica draw dropout masks of its own; the states of the generators are those of replica 0."""
        for variable in variables:
            if variable.path.endswith("seed_generator_state"):
                state = variable.numpy()
                numbers = self.strategy.experimental_local_results(self.distribute(lambda replica, _: replica))
                copies = self.strategy.experimental_local_results(variable.value)
                for replica, copy in zip(numbers, copies, strict=True):
                    copy.assign(state + np.array([replica * _SEEDS_APART, 0]))

    def broadcast_from_chief(self, measure: Callable[[], Sequence[float]], count: int) -> list[float]:
        """`count` numbers that the host which leads measures, on every host: so all decide alike what they decide."""
        if not self.on_several_hosts:
            return list(measure())
        given = self.distribute(lambda replica, _: tf.constant([0.0] * count if replica else measure(), tf.float64))
        # A sum needs tensors that have a device, which those have that are computed within the step.
        (everywhere,) = self.run(tf.function(lambda numbers: self.sum([tf.identity(numbers)])), (given,))
        return [float(number) for number in everywhere]
