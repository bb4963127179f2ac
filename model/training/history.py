"""What training is given, and what it says of each epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.captions import Captions
from schemas.features import FeatureRows


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    optimizer, learning_rate (the peak), schedule, warmup_steps, decay_factor, decay_keep, decay_every: see
    `model/training/optimizers.py`. weight_decay: lambda of the paper's cost, or AdamW's; clip_norm: largest global
    norm of the gradient (0: no clipping); label_smoothing: share of the target that is spread evenly over the
    vocabulary; average:
    see `make_optimizer`, with it the averaged weights are validated and kept; select_by: what makes an epoch the best,
    `cider` or `perplexity` of validation; patience: epochs without a better one before the end; max_length: words a
    caption, longer ones are cut; beam_width: of the search for validation captions; xla: compile a step with XLA;
    scheduled_sampling: share of the words before that are the network's own in the last epoch, see
    `model/training/scheduled_sampling.py`. What has a default does nothing by it.
    """

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    schedule: str
    clip_norm: float
    select_by: str
    patience: int
    max_length: int
    beam_width: int
    seed: int
    warmup_steps: int = 0
    decay_factor: float = 1.0
    decay_keep: int = 0
    decay_every: int = 1
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    xla: bool = False
    scheduled_sampling: float = 0.0


@dataclass(frozen=True)
class TrainingData:
    """Captions of a split and the features (images, D) in the order of `captions.image_ids`."""

    captions: Captions
    features: np.ndarray | FeatureRows


@dataclass(frozen=True)
class EpochReport:
    """One line of the training curve.

    cost: bits per token plus weight decay; perplexities: 2 ** (bits per token); score: selection criterion, higher is
    better.
    """

    epoch: int
    cost: float
    train_perplexity: float
    val_perplexity: float
    val_cider: float
    score: float
    distinct_captions: int
    learning_rate: float
    words_per_second: float
    seconds: float


def out_of_patience(curve: Sequence[EpochReport], patience: int) -> bool:
    """Whether the last `patience` epochs brought no better one."""
    scores = [report.score for report in curve]
    return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= patience
