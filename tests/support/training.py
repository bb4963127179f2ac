"""Training runs on toys: configuration by field name, interruption, and the files of a stage that trains."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from model.mrnn.network import MRNN
from model.training.callbacks import Callback, TrainingRun
from model.training.config import FitConfig
from model.training.history import EpochReport, TrainingData
from model.training.objective import Objective
from model.training.trainer import default_callbacks, fit
from model.training.validation import ValidationMetrics

C = TypeVar("C")
ANY_TIME = {"tokens_per_second": 0.0, "seconds": 0.0}  # fields of the training curve that differ from run to run


class Interrupted(Exception):
    """Ends a training run as a kill would."""


def silent(done: float, message: str) -> None:
    """A progress function that reports nothing."""


def configure(config: C, **changes: Any) -> C:
    """The configuration with fields of it and of its nested configurations replaced by name.

    Raises:
        TypeError: There is no field of a name.
    """
    unknown = changes.keys() - _options(config)
    if unknown:
        raise TypeError(f"{', '.join(unknown)}: no such field in {type(config).__name__}.")
    values = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if is_dataclass(value):
            values[each.name] = configure(value, **{name: changes[name] for name in _options(value) & changes.keys()})
        elif each.name in changes:
            values[each.name] = changes[each.name]
    return replace(config, **values)


def _options(config: Any) -> set[str]:
    """Names of all fields that are no configurations."""
    values = {each.name: getattr(config, each.name) for each in fields(config)}
    nested = [value for value in values.values() if is_dataclass(value)]
    return {name for name, value in values.items() if not is_dataclass(value)}.union(*map(_options, nested))


class InterruptAtStep(Callback):
    """Interrupts after a step, counted over all epochs from 1, before any later callback sees it."""

    def __init__(self, step: int):
        """The number of the step."""
        self.step = step

    def on_step(self, run: TrainingRun) -> None:
        """Count the steps of the finished epochs and of this one."""
        if len(run.curve) * run.objective.steps_per_epoch + run.metrics.steps == self.step:
            raise Interrupted


class KeepState(Callback):
    """Copies the checkpoint after a step and before it is saved, as a kill would leave it.

    Where compiling takes longest, this spares the run that `InterruptAtStep` ends.
    """

    def __init__(self, step: int, state: Path, kept: Path):
        """The number of the step, counted over all epochs from 1, the checkpoint, and its copy in a new directory."""
        self.step, self.state, self.kept = step, state, kept

    def on_step(self, run: TrainingRun) -> None:
        """Count the steps of the finished epochs and of this one."""
        if len(run.curve) * run.objective.steps_per_epoch + run.metrics.steps == self.step and run.replicas.is_chief:
            self.kept.parent.mkdir()
            shutil.copyfile(self.state, self.kept)


class RecordSteps(Callback):
    """Remembers each step of a process: its number within the epoch, and the weights after it."""

    def __init__(self) -> None:
        """No step yet."""
        self.steps: list[int] = []
        self.weights: list[list[np.ndarray]] = []

    def on_step(self, run: TrainingRun) -> None:
        """Appends the step."""
        self.steps.append(run.metrics.steps)
        self.weights.append([weight.numpy() for group in run.objective.weight_groups for weight in group])


class WeightsValidator:
    """A validator whose metrics are simple functions of the weights: changed weights give changed metrics."""

    def __init__(self, network: MRNN, data: TrainingData):
        """The network, and the data that `fit` takes features from."""
        self.network, self.data = network, data

    def __call__(self, features: Any) -> ValidationMetrics:
        """A perplexity above 1, and a CIDEr-D of at most 1."""
        size = float(np.mean([np.abs(weight.numpy()).mean() for weight in self.network.trainable_variables]))
        return ValidationMetrics(1.0 + size, 1.0 - size, 1)


class ScriptedValidator:
    """A validator whose CIDEr-D values are given; its perplexities are 100 less these."""

    def __init__(self, data: TrainingData, cider: list[float]):
        """The data that `fit` takes features from, and one value for each epoch."""
        self.data, self._cider = data, iter(cider)

    def __call__(self, features: Any) -> ValidationMetrics:
        """The next metrics."""
        cider = next(self._cider)
        return ValidationMetrics(100.0 - cider, cider, 1)


@dataclass
class Training:
    """One training run.

    Attributes:
        objective: What is minimized.
        validator: Function of features, with the attribute `data`.
        config: Options.
        xla: See `fit`.
    """

    objective: Objective
    validator: Any
    config: FitConfig
    xla: bool = False

    def run(
        self,
        state: Path,
        progress: Callable[[float, str], None] = silent,
        before: Sequence[Callback] = (),
        after: Sequence[Callback] = (),
    ) -> list[EpochReport]:
        """`fit` with the callbacks of all stages, and others before and after them."""
        callbacks = [*before, *default_callbacks(self.config, state, progress), *after]
        return fit(self.objective, self.validator, self.config, callbacks, self.xla)

    def weights(self) -> list[np.ndarray]:
        """All that the best epoch is kept of."""
        return [variable.numpy() for variable in self.objective.variables]


def assert_same_end(one: Training, other: Training) -> None:
    """Both runs have left the same bytes."""
    for left, right in zip(one.weights(), other.weights(), strict=True):
        np.testing.assert_array_equal(left, right)
