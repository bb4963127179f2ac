"""Data-parallel training: each batch is sharded across replicas, and every replica applies the summed gradients.

Every replica normalizes its loss by the token count of the global batch, so that sums over the replicas are the loss
and the gradient on one device, up to rounding.
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
    """One host of multi-worker training.

    Attributes:
        name: Unique name, such as `worker-1`.
        is_chief: Whether it validates and writes.
    """

    name: str
    is_chief: bool


def this_worker() -> Worker:
    """Identify this host by `TF_CONFIG`; worker 0 is the chief if none is named.

    Raises:
        ConfigurationError: `TF_CONFIG` is not set or not valid.
    """
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, job, index = config["cluster"], config["task"]["type"], config["task"]["index"]
        cluster[job][index]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigurationError(
            "The strategy multi-worker needs TF_CONFIG in the environment of each host, such as "
            '{"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}; set it.'
        ) from error
    return Worker(f"{job}-{index}", is_chief=index == 0 and job == ("chief" if "chief" in cluster else "worker"))


_STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one-device": tf.distribute.get_strategy,
    "mirrored": tf.distribute.MirroredStrategy,
    "multi-worker": tf.distribute.MultiWorkerMirroredStrategy,
}
_WORKER_LOST = "Collective ops is aborted"  # part of all messages of TensorFlow when another worker does not answer
_SEED_STRIDE = 1 << 32  # between the dropout generators of two replicas; their own seeds are far smaller


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Create the strategy in whose `scope` networks are created and trained.

    Args:
        name: `one-device`, `mirrored` for all GPUs of this host, or `multi-worker` for those of the hosts in
            `TF_CONFIG`. The latter waits for the other hosts, and must be created before TensorFlow computes anything.

    Raises:
        ConfigurationError: There is no such strategy, or `TF_CONFIG` is not valid.
    """
    if name not in _STRATEGIES:
        raise ConfigurationError(f"strategy cannot be {name!r}; choose one of {', '.join(_STRATEGIES)}.")
    if name == "multi-worker":
        this_worker()
    return _STRATEGIES[name]()


@contextmanager
def multi_worker_errors() -> Iterator[None]:
    """Convert the errors of computations that need all workers.

    Raises:
        TrainingError: A worker is gone, whichever operation noticed it.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if _WORKER_LOST not in error.message:
            raise
        raise TrainingError(
            "Another worker is gone; see its log, then restart all workers: finished epochs are kept."
        ) from error


class Replicas:
    """Replicas of the strategy in whose scope the object is created.

    Attributes:
        strategy: The strategy.
        count: Number of replicas on all hosts.
        on_several_hosts: Whether training runs on several hosts.
        is_chief: Whether this host validates and writes.
    """

    def __init__(self) -> None:
        """Read the strategy in whose scope the object is created."""
        self.strategy = tf.distribute.get_strategy()
        self.count = self.strategy.num_replicas_in_sync
        self.on_several_hosts = isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.is_chief = not self.on_several_hosts or this_worker().is_chief

    def distribute(self, make: Callable[[int, int], Any]) -> Any:
        """Return the values of `make(replica, count)` for each replica of this host, as arguments of `run`."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: make(context.replica_id_in_sync_group, self.count)
        )

    def run(self, step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Run the step on each replica and return the result of the first one of this host."""
        results = self.strategy.run(step, arguments)
        return tf.nest.map_structure(lambda each: self.strategy.experimental_local_results(each)[0], results)

    @staticmethod
    def sum(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Sum tensors over all replicas; to be called within `run`."""
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))

    def decorrelate_rngs(self, variables: Sequence[Any]) -> None:
        """Give each replica its own dropout masks; the states of the generators are saved from replica 0."""
        for variable in variables:
            if variable.path.endswith("seed_generator_state"):
                state = variable.numpy()
                numbers = self.strategy.experimental_local_results(self.distribute(lambda replica, _: replica))
                copies = self.strategy.experimental_local_results(variable.value)
                for replica, copy in zip(numbers, copies, strict=True):
                    copy.assign(state + np.array([replica * _SEED_STRIDE, 0]))

    def broadcast_from_chief(self, measure: Callable[[], Sequence[float]], count: int) -> list[float]:
        """Broadcast measurements of the chief, so that all workers take the same decisions.

        Args:
            measure: Returns `count` numbers; called on the chief only.
            count: Number of values.

        Returns:
            The values, on every worker.
        """
        if not self.on_several_hosts:
            return list(measure())
        given = self.distribute(lambda replica, _: tf.constant([0.0] * count if replica else measure(), tf.float64))
        # A sum needs tensors with a device; those that are computed within the step have one.
        (everywhere,) = self.run(tf.function(lambda numbers: self.sum([tf.identity(numbers)])), (given,))
        return [float(number) for number in everywhere]
