"""Callbacks of training: divergence, best weights, EMA, TensorBoard, checkpoint, early stopping, progress."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model.training.checkpoint import load_state, save_state
from model.training.distribution import Replicas
from model.training.history import EpochMetrics, EpochReport, out_of_patience
from model.training.objective import Objective
from model.training.tensorboard import write_events
from schemas.errors import TrainingError

SECONDS_BETWEEN_SAVES = 600.0  # within an epoch; the end of an epoch is always saved
DIVERGED = 2.0  # times the loss of the first epoch


@dataclass
class TrainingRun:
    """State of a training run, which callbacks read and change.

    Attributes:
        objective: Loss that is minimized, and its batches.
        optimizers: One for each of the objective's weight groups.
        replicas: Devices of the run.
        epochs: Maximum number of epochs.
        curve: Finished epochs.
        metrics: Sums over the steps of the current epoch.
        best: Values of the objective's variables in the best epoch so far.
        stopped: Whether no further epoch is to begin.
    """

    objective: Objective
    optimizers: list[keras.optimizers.Optimizer]
    replicas: Replicas
    epochs: int
    curve: list[EpochReport] = field(default_factory=list)
    metrics: EpochMetrics = field(default_factory=EpochMetrics)
    best: list[NDArray[Any]] = field(default_factory=list)
    stopped: bool = False

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables that the next step depends on."""
        return [*self.objective.variables, *(each for optimizer in self.optimizers for each in optimizer.variables)]

    def values(self) -> list[NDArray[Any]]:
        """Return the current values of the objective's variables."""
        return [variable.numpy() for variable in self.objective.variables]

    def diverged(self, what: str) -> TrainingError:
        """Return the error for losses, metrics and weights that are not finite, and for losses that doubled."""
        epoch, step = len(self.curve) + 1, self.metrics.steps
        return TrainingError(f"Training diverged in epoch {epoch}, step {step}: {what}; {self.objective.remedy}.")


class Callback:
    """Hooks of `model.training.trainer.fit`; those of several callbacks are called in the order of the callbacks."""

    def on_begin(self, run: TrainingRun) -> None:
        """Run before the first epoch of this process."""

    def on_step(self, run: TrainingRun) -> None:
        """Run after a step, whose metrics are counted."""

    def before_validation(self, run: TrainingRun) -> None:
        """Run after the last step of an epoch."""

    def after_validation(self, run: TrainingRun, report: EpochReport) -> None:
        """Run before the report is appended to the curve."""

    def on_epoch(self, run: TrainingRun) -> None:
        """Run after the report was appended to the curve and the metrics were reset."""

    def on_end(self, run: TrainingRun) -> None:
        """Run after the last epoch."""


class StopOnDivergence(Callback):
    """Ends training with a `TrainingError` as soon as a loss or weight is not finite, or the loss has doubled."""

    def on_step(self, run: TrainingRun) -> None:
        """Check the loss."""
        if not run.metrics.is_finite:
            raise run.diverged("the loss is not finite")

    def before_validation(self, run: TrainingRun) -> None:
        """Check weights, perplexity and the growth of the loss."""
        check_weights(run)
        loss = run.metrics.mean_loss
        if not np.isfinite(run.metrics.perplexity):
            raise run.diverged("the training perplexity is not finite")
        if run.curve and loss - run.curve[0].loss > (DIVERGED - 1.0) * abs(run.curve[0].loss):
            raise run.diverged(f"its loss is {loss:.1f}, that of epoch 1 was {run.curve[0].loss:.1f}")

    def after_validation(self, run: TrainingRun, report: EpochReport) -> None:
        """Check the validation perplexity."""
        if not np.isfinite(report.val_perplexity):
            raise run.diverged("the validation perplexity is not finite")


class KeepBest(Callback):
    """Keeps the values of the best epoch, and restores them at the end."""

    def on_begin(self, run: TrainingRun) -> None:
        """Start with the initial values."""
        run.best = run.values()

    def after_validation(self, run: TrainingRun, report: EpochReport) -> None:
        """Keep the values, of the moving average if there is one, if no epoch before was as good."""
        if all(report.score > past.score for past in run.curve):
            run.best = run.values()

    def on_end(self, run: TrainingRun) -> None:
        """Restore the best values."""
        for variable, value in zip(run.objective.variables, run.best, strict=True):
            variable.assign(value)


class MovingAverage(Callback):
    """Validates the exponential moving average of the weights, which the optimizers keep, in place of the weights."""

    def __init__(self) -> None:
        """Start without replaced weights."""
        self._weights: list[list[NDArray[Any]]] = []

    def before_validation(self, run: TrainingRun) -> None:
        """Replace the weights by their average."""
        groups = run.objective.weight_groups
        self._weights = [[weight.numpy() for weight in group] for group in groups]
        for optimizer, group in zip(run.optimizers, groups, strict=True):
            optimizer.finalize_variable_values(group)

    def after_validation(self, run: TrainingRun, report: EpochReport) -> None:
        """Restore the weights."""
        for group, values in zip(run.objective.weight_groups, self._weights, strict=True):
            for weight, value in zip(group, values, strict=True):
                weight.assign(value)


class TensorBoard(Callback):
    """Writes each epoch's report as an event file of its own."""

    def __init__(self, directory: Path):
        """Set the directory of the event files."""
        self.directory = directory

    def on_epoch(self, run: TrainingRun) -> None:
        """Write the last report."""
        if run.replicas.is_chief:
            write_events(self.directory, asdict(run.curve[-1]))


class Checkpoint(Callback):
    """Saves and restores everything that the next step depends on: a killed run resumes and ends with the same bytes.

    It saves after each epoch, and within an epoch after `SECONDS_BETWEEN_SAVES`.
    """

    def __init__(self, path: Path):
        """Set the HDF5 file of the checkpoint."""
        self.path = path
        self._saved_at = 0.0

    def on_begin(self, run: TrainingRun) -> None:
        """Restore the checkpoint, if there is one.

        Raises:
            ArtifactError: The file is damaged or belongs to another network.
        """
        self._saved_at = time.monotonic()
        if self.path.exists():
            record, run.best = load_state(self.path, run.variables)
            run.curve = [EpochReport(**epoch) for epoch in record["curve"]]
            run.metrics = EpochMetrics(**record["metrics"])

    def on_step(self, run: TrainingRun) -> None:
        """Save, if the last save was more than `SECONDS_BETWEEN_SAVES` ago."""
        is_last = run.metrics.steps == run.objective.steps_per_epoch
        if not is_last and time.monotonic() - self._saved_at > SECONDS_BETWEEN_SAVES:
            self._save(run)

    def on_epoch(self, run: TrainingRun) -> None:
        """Save."""
        self._save(run)

    def _save(self, run: TrainingRun) -> None:
        check_weights(run)
        if run.replicas.is_chief:
            record = {"curve": [asdict(report) for report in run.curve], "metrics": asdict(run.metrics)}
            save_state(self.path, run.variables, run.best, record)
        self._saved_at = time.monotonic()


class EarlyStopping(Callback):
    """Ends training when `patience` epochs in a row did not improve the score."""

    def __init__(self, patience: int):
        """Set the patience in epochs."""
        self.patience = patience

    def on_begin(self, run: TrainingRun) -> None:
        """Stop a resumed run that is at its end."""
        self.on_epoch(run)

    def on_epoch(self, run: TrainingRun) -> None:
        """Count the epochs since the best one."""
        run.stopped = out_of_patience(run.curve, self.patience)


class Progress(Callback):
    """Reports the fraction of training that is done and a message, after each step and each epoch."""

    def __init__(self, report: Callable[[float, str], None]):
        """Set the function that receives the fraction and a message."""
        self.report = report

    def on_step(self, run: TrainingRun) -> None:
        """Report loss, perplexity and speed of the epoch so far."""
        epoch, metrics = len(run.curve), run.metrics
        self.report(
            (epoch + metrics.steps / run.objective.steps_per_epoch) / run.epochs,
            f"epoch {epoch + 1}: loss {metrics.mean_loss:.3f}, perplexity {metrics.perplexity:.2f}, "
            f"{metrics.tokens / metrics.seconds:.0f} tokens/s",
        )

    def on_epoch(self, run: TrainingRun) -> None:
        """Report validation metrics."""
        last = run.curve[-1]
        self.report(
            len(run.curve) / run.epochs,
            f"epoch {last.epoch}: validation perplexity {last.val_perplexity:.2f}, CIDEr {last.val_cider:.3f}",
        )


def check_weights(run: TrainingRun) -> None:
    """Check that weights are finite, which they may not be after a step with a finite loss.

    Raises:
        TrainingError: A value is infinite or not a number.
    """
    for variable in run.objective.variables:
        if not np.isfinite(variable.numpy()).all():
            raise run.diverged(f"the weights {variable.path} are not finite")
