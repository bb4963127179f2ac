"""The training loop: one `fit` for all objectives."""

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from itertools import islice
from pathlib import Path

import keras
import tensorflow as tf

from model.mrnn.layers import Dropout
from model.training.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    KeepBest,
    MovingAverage,
    Progress,
    StopOnDivergence,
    TensorBoard,
    TrainingRun,
)
from model.training.config import FitConfig, OptimizerConfig
from model.training.distribution import Replicas, multi_worker_errors
from model.training.history import EpochMetrics, EpochReport
from model.training.objective import Objective
from model.training.optimizers import LearningRate, make_optimizer
from model.training.validation import ValidationMetrics, Validator
from schemas.errors import ConfigurationError

TrainStep = Callable[..., tuple[tf.Tensor, tf.Tensor]]


def make_deterministic() -> None:
    """Make TensorFlow compute the same bits in every run on the same machine; to be called before anything else."""
    tf.config.experimental.enable_op_determinism()


def default_callbacks(
    config: FitConfig, state_path: Path, report_progress: Callable[[float, str], None]
) -> list[Callback]:
    """Create the callbacks of all stages that train, in their order.

    Args:
        config: Patience, and whether a moving average is kept.
        state_path: HDF5 file of the checkpoint; `tensorboard` beside it gets the curve.
        report_progress: Receives the fraction done and a message.
    """
    return [
        StopOnDivergence(),
        KeepBest(),
        *([MovingAverage()] if config.optimizer.ema_decay else []),
        TensorBoard(state_path.with_name("tensorboard")),
        Checkpoint(state_path),
        EarlyStopping(config.validation.patience),
        Progress(report_progress),
    ]


@multi_worker_errors()
def fit(
    objective: Objective, validator: Validator, config: FitConfig, callbacks: Sequence[Callback], xla: bool = False
) -> list[EpochReport]:
    """Train until the last epoch, or until a callback stops it.

    On several devices it is called in the scope of the strategy that the network was created in, see
    `model.training.distribution`; every worker validates with the chief's results. The loss of a network that computes
    in float16 is scaled.

    Args:
        objective: Loss to minimize, and its batches.
        validator: Validates the objective's network after each epoch.
        config: Epochs, optimizer, schedule and selection of the best epoch.
        callbacks: See `default_callbacks`.
        xla: Whether the step is compiled with XLA.

    Returns:
        The training curve.

    Raises:
        ConfigurationError: The objective cannot be trained on several devices.
        TrainingError: Training diverged, or another worker is gone; the last good checkpoint is kept.
    """
    replicas = Replicas()
    if replicas.count > 1 and not objective.can_shard:
        raise ConfigurationError("This stage trains on one device only; set strategy to one-device.")
    groups = objective.weight_groups
    scale_loss = objective.network.compute_dtype == "float16" and len(groups) == 1
    optimizers = [make_optimizer(config.optimizer, scale_loss) for _ in groups]
    for optimizer, weights in zip(optimizers, groups, strict=True):
        optimizer.build(weights)
    total_steps = objective.steps_per_epoch * config.training.epochs
    rates = [
        LearningRate(config.schedule, peak, total_steps)
        for peak in objective.peak_learning_rates(config.optimizer.learning_rate)
    ]
    train_step = make_train_step(objective, optimizers, replicas, config.optimizer, xla)
    run = TrainingRun(objective, optimizers, replicas, config.training.epochs)
    for callback in callbacks:
        callback.on_begin(run)
    replicas.decorrelate_rngs(objective.network.variables)
    while len(run.curve) < run.epochs and not run.stopped:
        _train_epoch(run, train_step, rates, callbacks)
        report = _validate(run, validator, config.validation.select_by, callbacks)
        run.curve.append(report)
        run.metrics = EpochMetrics()
        for callback in callbacks:
            callback.on_epoch(run)
    for callback in callbacks:
        callback.on_end(run)
    return run.curve


def make_train_step(
    objective: Objective,
    optimizers: Sequence[keras.optimizers.Optimizer],
    replicas: Replicas,
    config: OptimizerConfig,
    xla: bool,
) -> TrainStep:
    """Compile a training step.

    Args:
        objective: Loss to minimize.
        optimizers: One for each of the objective's weight groups.
        replicas: Devices of the run.
        config: Options of the optimizers.
        xla: Whether the step is compiled with XLA.

    Returns:
        Function from the tensors of `StepInputs` to the loss and the negative log-likelihood in nats.
    """
    groups = objective.weight_groups
    weights = [weight for group in groups for weight in group]
    l2 = 0.0 if config.optimizer == "adamw" else config.weight_decay
    for layer in objective.network.layers:
        if isinstance(layer, Dropout):
            layer.use_bytes = not xla

    @tf.function(autograph=False, reduce_retracing=True, jit_compile=xla or None)
    def gradients_of(*tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Compute a replica's part of the loss, the negative log-likelihood and the gradient."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weight.value for weight in weights])
            loss, nats = objective.loss(*tensors)
            if l2:
                squares = tf.add_n([tf.reduce_sum(tf.square(weight)) for weight in weights])
                loss = loss + l2 * squares / replicas.count
            scaled = optimizers[0].scale_loss(loss)
        return loss, nats, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(scaled, weights)]

    def replica_step(*tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, nats, gradients = gradients_of(*tensors)
        loss, nats, *gradients = replicas.sum([loss, nats, *gradients])
        for optimizer, group in zip(optimizers, groups, strict=True):
            optimizer.apply(gradients[: len(group)], group)
            gradients = gradients[len(group) :]
        return loss, nats

    def step(*tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, nats = replicas.run(replica_step, tensors)
        return loss, nats

    train_step: TrainStep = tf.function(step, autograph=False, reduce_retracing=True)
    return train_step


def _train_epoch(
    run: TrainingRun, train_step: TrainStep, rates: Sequence[LearningRate], callbacks: Sequence[Callback]
) -> None:
    """Run the steps of the epoch that the metrics do not count yet."""
    objective, metrics, epoch = run.objective, run.metrics, len(run.curve)
    scores = [report.score for report in run.curve]
    before, started = metrics.seconds, time.monotonic()
    for batch in islice(objective.batches(epoch), metrics.steps, None):
        for optimizer, rate in zip(run.optimizers, rates, strict=True):
            optimizer.learning_rate.assign(rate.at(epoch * objective.steps_per_epoch + metrics.steps, scores))
        try:
            inputs = objective.step_inputs(batch, run.replicas)
        except FloatingPointError as error:
            raise run.diverged(str(error)) from error
        loss, nats = train_step(*inputs.tensors)
        metrics.steps += 1
        metrics.loss += float(loss) if inputs.loss is None else inputs.loss
        metrics.nats += float(nats)
        metrics.tokens += inputs.tokens
        metrics.seconds = before + time.monotonic() - started
        for callback in callbacks:
            callback.on_step(run)


def _validate(run: TrainingRun, validator: Validator, select_by: str, callbacks: Sequence[Callback]) -> EpochReport:
    """Validate after the last step of an epoch, on the chief alone."""
    started = time.monotonic()
    for callback in callbacks:
        callback.before_validation(run)
    features = run.objective.image_features(validator.data.features)
    perplexity, cider, distinct = run.replicas.broadcast_from_chief(lambda: astuple(validator(features)), 3)
    found = ValidationMetrics(perplexity, cider, int(distinct))
    report = EpochReport(
        epoch=len(run.curve) + 1,
        loss=run.metrics.mean_loss,
        train_perplexity=run.metrics.perplexity,
        val_perplexity=found.perplexity,
        val_cider=found.cider,
        score=found.cider if select_by == "cider" else -found.perplexity,
        distinct_captions=found.distinct_captions,
        learning_rate=float(run.optimizers[0].learning_rate.numpy()),
        tokens_per_second=run.metrics.tokens / run.metrics.seconds,
        seconds=run.metrics.seconds + time.monotonic() - started,
    )
    for callback in callbacks:
        callback.after_validation(run, report)
    return report
