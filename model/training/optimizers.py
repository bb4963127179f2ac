"""Optimizers and the learning rate of every step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from schemas.errors import ConfigurationError

OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}
SCHEDULES = ("constant", "cosine", "step", "plateau")
COSINE_END = 0.1  # of the peak


@dataclass(frozen=True)
class LearningRate:
    """How the learning rate goes over the steps, after a warm-up in which it rises evenly to `peak`.

    schedule: `constant`; `cosine`: along half a cosine to a tenth of the peak over `total_steps`; `step`: times
    `factor` after each `every` steps beyond the first `keep` (TF-mRNN: 0.85, 10,000, 300,000); `plateau`: times
    `factor` whenever `every` epochs in a row bring no better score.
    """

    schedule: str
    peak: float
    total_steps: int
    warmup_steps: int
    factor: float
    keep: int
    every: int

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ConfigurationError(f"There is no schedule {self.schedule!r}; choose one of {', '.join(SCHEDULES)}.")

    def at(self, step: int, scores: Sequence[float]) -> float:
        """The learning rate of a step, counted from 0; scores: those of the epochs before it, the higher the better."""
        rate = self.peak * min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else self.peak
        if self.schedule == "cosine":
            fall = (1.0 + math.cos(math.pi * min(1.0, step / self.total_steps))) / 2.0
            return rate * (COSINE_END + (1.0 - COSINE_END) * fall)
        if self.schedule == "step":
            return rate * self.factor ** (max(0, step - self.keep) // self.every)
        if self.schedule == "plateau":
            return rate * self.factor ** self._plateaus(scores)
        return rate

    def _plateaus(self, scores: Sequence[float]) -> int:
        best, waited, plateaus = -math.inf, 0, 0
        for score in scores:
            waited = 0 if score > best else waited + 1
            best = max(best, score)
            if waited == self.every:
                plateaus, waited = plateaus + 1, 0
        return plateaus


def make_optimizer(
    name: str, clip_norm: float, weight_decay: float, ema_decay: float, scale_loss: bool = False
) -> keras.optimizers.Optimizer:
    """An optimizer whose `learning_rate` is to be assigned before each step.

    clip_norm: largest global norm of the gradient, 0: none. weight_decay: that of AdamW, apart from the gradient; the
    others have none of their own. average: how much of an exponential moving average of the weights stays at each step,
    0: no average is kept. scale_loss: gradients are those of `optimizer.scale_loss(cost)`, so that float16 holds small
    ones; a step whose gradient is not finite is left out and the scale halved.
    """
    if name not in OPTIMIZERS:
        raise ConfigurationError(f"There is no optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}.")
    decay = {"weight_decay": weight_decay} if name == "adamw" else {}
    averaging = {"use_ema": True, "ema_momentum": ema_decay} if ema_decay else {}
    optimizer = OPTIMIZERS[name](learning_rate=1.0, global_clipnorm=clip_norm or None, **decay, **averaging)
    return keras.optimizers.LossScaleOptimizer(optimizer) if scale_loss else optimizer
