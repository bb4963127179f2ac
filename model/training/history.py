"""Training inputs, running metrics of an epoch, and the training curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.mrnn.likelihood import of_nats
from schemas.captions import Captions
from schemas.features import FeatureRows


@dataclass(frozen=True)
class TrainingData:
    """Captions of a split and the features of its images.

    Attributes:
        captions: Tokenized captions.
        features: (images, D), in the order of `captions.image_ids`; for fine-tuning, activations at the split point.
    """

    captions: Captions
    features: NDArray[np.floating] | FeatureRows


@dataclass
class EpochMetrics:
    """Sums over the steps of an epoch so far.

    Attributes:
        steps: Steps done.
        loss: Sum of the losses of the steps.
        nats: Sum of the negative log-likelihoods of the tokens.
        tokens: Number of these tokens.
        seconds: Time of the steps, also of interrupted runs.
    """

    steps: int = 0
    loss: float = 0.0
    nats: float = 0.0
    tokens: int = 0
    seconds: float = 0.0

    @property
    def mean_loss(self) -> float:
        """Mean loss of a step."""
        return self.loss / self.steps

    @property
    def perplexity(self) -> float:
        """Perplexity of the training tokens."""
        return of_nats(self.nats / self.tokens)

    @property
    def is_finite(self) -> bool:
        """Whether neither sum has become infinite or not a number."""
        return math.isfinite(self.loss + self.nats)


@dataclass(frozen=True)
class EpochReport:
    """One line of the training curve.

    Attributes:
        epoch: Number, from 1.
        loss: Mean loss: bits per token plus weight decay, or minus the mean reward in self-critical training.
        train_perplexity: 2 ** (bits per token) of the training captions, or of the samples.
        val_perplexity: 2 ** (bits per token) of the validation captions.
        val_cider: CIDEr-D of the generated validation captions.
        score: Value that selects the best epoch; higher is better.
        distinct_captions: Number of different captions among those generated.
        learning_rate: Learning rate of the last step.
        tokens_per_second: Training speed.
        seconds: Duration of the epoch with its validation.
    """

    epoch: int
    loss: float
    train_perplexity: float
    val_perplexity: float
    val_cider: float
    score: float
    distinct_captions: int
    learning_rate: float
    tokens_per_second: float
    seconds: float


def out_of_patience(curve: Sequence[EpochReport], patience: int) -> bool:
    """Return whether the last `patience` epochs did not improve the score."""
    scores = [report.score for report in curve]
    return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= patience
