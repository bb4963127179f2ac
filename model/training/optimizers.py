"""Optimizers and the learning rate of every step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from model.training.config import OptimizerConfig, ScheduleConfig

COSINE_END = 0.1  # of the peak


class _Summed:
    """Optimizer of gradients that are summed over the replicas already; Keras would sum them once more."""

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars


class _OnePass(_Summed):
    """Updates a variable in one pass of TensorFlow's kernel; Keras's operations make about ten."""

    def update_step(
        self: keras.optimizers.Adam, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update a variable and its two moments."""
        index = self._get_variable_index(variable)
        steps = tf.cast(self.iterations, variable.dtype) + 1.0
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, variable.dtype), steps),
            beta2_power=tf.pow(tf.constant(self.beta_2, variable.dtype), steps),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )


class Adam(_OnePass, keras.optimizers.Adam):
    """Keras's Adam, in one pass."""


class AdamW(_OnePass, keras.optimizers.AdamW):
    """Keras's AdamW, in one pass after the decay."""


class SGD(_Summed, keras.optimizers.SGD):
    """Keras's stochastic gradient descent."""


class RMSprop(_Summed, keras.optimizers.RMSprop):
    """Keras's RMSprop."""


_CLASSES = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
}


@dataclass(frozen=True)
class LearningRate:
    """Learning rate over the steps, after a linear warm-up to `peak`.

    Schedules are

    * `constant`,
    * `cosine`: half a cosine from the peak to a tenth of it over `total_steps`,
    * `step`: multiplied by `decay_factor` after each `decay_every` steps beyond the first `decay_keep` (TF-mRNN: 0.85,
      10,000, 300,000),
    * `plateau`: multiplied by `decay_factor` whenever `decay_every` epochs in a row do not improve the score.

    Attributes:
        config: Schedule and its options.
        peak: Learning rate at its peak.
        total_steps: Steps of all epochs.
    """

    config: ScheduleConfig
    peak: float
    total_steps: int

    def at(self, step: int, scores: Sequence[float]) -> float:
        """Return the learning rate of a step.

        Args:
            step: Number of the step, from 0.
            scores: Scores of the finished epochs; higher is better.
        """
        config, rate = self.config, self.peak
        if config.warmup_steps:
            rate *= min(1.0, (step + 1) / config.warmup_steps)
        if config.schedule == "cosine":
            fall = (1.0 + math.cos(math.pi * min(1.0, step / self.total_steps))) / 2.0
            return rate * (COSINE_END + (1.0 - COSINE_END) * fall)
        if config.schedule == "step":
            return rate * config.decay_factor ** (max(0, step - config.decay_keep) // config.decay_every)
        if config.schedule == "plateau":
            return rate * config.decay_factor ** self._plateaus(scores)
        return rate

    def _plateaus(self, scores: Sequence[float]) -> int:
        best, waited, plateaus = -math.inf, 0, 0
        for score in scores:
            waited = 0 if score > best else waited + 1
            best = max(best, score)
            if waited == self.config.decay_every:
                plateaus, waited = plateaus + 1, 0
        return plateaus


def make_optimizer(config: OptimizerConfig, scale_loss: bool = False) -> keras.optimizers.Optimizer:
    """Create an optimizer whose `learning_rate` is to be assigned before each step.

    Args:
        config: Its name and options; `weight_decay` is used by AdamW only.
        scale_loss: Whether gradients are those of `optimizer.scale_loss(loss)`, so that float16 can represent small
            ones; a step whose gradient is not finite is skipped and the scale halved.
    """
    decay = {"weight_decay": config.weight_decay} if config.optimizer == "adamw" else {}
    averaging = {"use_ema": True, "ema_momentum": config.ema_decay} if config.ema_decay else {}
    optimizer = _CLASSES[config.optimizer](
        learning_rate=1.0, global_clipnorm=config.clip_norm or None, **decay, **averaging
    )
    return keras.optimizers.LossScaleOptimizer(optimizer) if scale_loss else optimizer
