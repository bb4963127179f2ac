"""Configuration of training. Each field is a Luigi parameter of the stages that train."""

from dataclasses import dataclass, field

from model.mrnn.config import ModelConfig
from model.precision import PRECISIONS
from schemas.errors import ConfigurationError
from schemas.options import check_choices, option

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULES = ("constant", "cosine", "step", "plateau")
SELECTION_METRICS = ("cider", "perplexity")
BASELINES = ("greedy", "samples")
STRATEGIES = ("one-device", "mirrored", "multi-worker")


@dataclass(frozen=True)
class TrainingConfig:
    """Epochs and batches.

    Attributes:
        epochs: Maximum number of epochs.
        batch_size: Captions in a batch of `CrossEntropy`, images in a batch of the other objectives.
        max_length: Maximum length of a caption in tokens, without the end token.
        seed: Seed of the order of batches and of sampled captions.
    """

    epochs: int = option(20, "Maximum number of training epochs.")
    batch_size: int = option(
        64, "Batch size: captions in TrainModel, images in FineTuneBackbone and TrainSelfCritical."
    )
    max_length: int = option(29, "Maximum caption length in tokens; longer captions are truncated.")
    seed: int = option(0, "Random seed of initial weights, batch order and dropout.")


@dataclass(frozen=True)
class OptimizerConfig:
    """Optimizer of the weights; networks that are trained jointly have one such optimizer each.

    Attributes:
        optimizer: One of `OPTIMIZERS`; `sgd` is without momentum.
        learning_rate: Peak learning rate.
        clip_norm: Maximum global norm of the gradient; 0 disables clipping.
        weight_decay: Decoupled weight decay of AdamW; with the other optimizers lambda of the L2 term of the loss.
        ema_decay: Decay of the exponential moving average of the weights; 0 disables it.
    """

    optimizer: str = option("adam", "Optimizer; sgd is without momentum, as in TF-mRNN.", choices=OPTIMIZERS)
    learning_rate: float = option(1e-3, "Peak learning rate of the m-RNN.")
    clip_norm: float = option(5.0, "Maximum global norm of the gradient (0 disables clipping).")
    weight_decay: float = option(
        0.0, "Weight decay: lambda of the paper's L2 term; with adamw its decoupled weight decay (0 disables it)."
    )
    ema_decay: float = option(
        0.0,
        "Decay of the exponential moving average of the weights, which is validated and kept (0 disables it).",
    )

    def __post_init__(self) -> None:
        """Check the name of the optimizer."""
        check_choices(self)


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over the steps, relative to its peak; see `model.training.optimizers.LearningRate`.

    Attributes:
        schedule: One of `SCHEDULES`.
        warmup_steps: Steps of the linear warm-up.
        decay_factor: Factor of each decay of `step` and `plateau`.
        decay_keep: Steps before the first decay of `step`.
        decay_every: Steps between decays of `step`; epochs without a better score before a decay of `plateau`.
    """

    schedule: str = option("cosine", "Learning-rate schedule, see model/training/optimizers.py.", choices=SCHEDULES)
    warmup_steps: int = option(0, "Linear warm-up steps of the learning rate.")
    decay_factor: float = option(0.85, "Learning-rate decay factor (step, plateau).")
    decay_keep: int = option(0, "Steps before the first learning-rate decay (step).")
    decay_every: int = option(
        1, "Steps between learning-rate decays (step); epochs without improvement before a decay (plateau)."
    )

    def __post_init__(self) -> None:
        """Check the name of the schedule."""
        check_choices(self)


@dataclass(frozen=True)
class ValidationConfig:
    """Validation after each epoch.

    Attributes:
        select_by: Validation metric that selects the best epoch, one of `SELECTION_METRICS`.
        patience: Early-stopping patience in epochs.
        beam_width: Beam width of the captions generated for validation.
    """

    select_by: str = option("cider", "Validation metric that selects the best epoch.", choices=SELECTION_METRICS)
    patience: int = option(4, "Early-stopping patience in epochs.")
    beam_width: int = option(3, "Beam width of the captions generated for validation (1 is greedy search).")

    def __post_init__(self) -> None:
        """Check the name of the metric."""
        check_choices(self)


@dataclass(frozen=True)
class FitConfig:
    """Options of `model.training.trainer.fit`.

    Attributes:
        training: Epochs and batches.
        optimizer: Optimizer.
        schedule: Learning-rate schedule.
        validation: Validation and selection of the best epoch.
    """

    training: TrainingConfig = field(default_factory=TrainingConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)


@dataclass(frozen=True)
class CrossEntropyConfig:
    """Options of the cross-entropy loss.

    Attributes:
        label_smoothing: Fraction of the target probability that is spread evenly over the vocabulary.
    """

    label_smoothing: float = option(
        0.0, "Fraction of the target probability that is spread over the vocabulary (0 disables it)."
    )


@dataclass(frozen=True)
class ExecutionConfig:
    """Numerics and devices of TrainModel.

    Attributes:
        precision: One of `PRECISIONS`; weights stay float32.
        xla: Whether the training step is compiled with XLA.
        strategy: One of `STRATEGIES`.
    """

    precision: str = option(
        "float32",
        "Precision of computation; weights stay float32, and float16 has its loss scaled.",
        choices=PRECISIONS,
    )
    xla: bool = option(False, "Compile the training step with XLA.", significant=False)
    strategy: str = option(
        "one-device",
        "Devices: one, all GPUs of this host (mirrored), or those of the hosts in TF_CONFIG (multi-worker).",
        choices=STRATEGIES,
        significant=False,
    )

    def __post_init__(self) -> None:
        """Check the names."""
        check_choices(self)


@dataclass(frozen=True)
class BackboneConfig:
    """Fine-tuning of the backbone.

    Attributes:
        blocks: Number of last blocks that are trained, of each network of `concat:A+B`.
        backbone_learning_rate: Peak learning rate of the backbone; its schedule is that of the m-RNN.
        augmented_views: Views of each training image, see `model.backbones.augmentation.augment`.
        decode_threads: Threads that read and decode images ahead.
    """

    blocks: int = option(1, "Number of last blocks of the backbone that are trained, of each of its networks.")
    backbone_learning_rate: float = option(1e-5, "Peak learning rate of the backbone; same schedule as the m-RNN.")
    augmented_views: int = option(
        0,
        "Views of each training image (crop, mirror image unless a caption contains left or right, colors); each epoch "
        "draws one of them or the image itself.",
    )
    decode_threads: int = option(2, "Threads that read and decode images ahead.", significant=False)

    def __post_init__(self) -> None:
        """Check the number of views."""
        if self.augmented_views < 0:
            raise ConfigurationError(f"augmented_views is {self.augmented_views}; set it to 0 or more.")


@dataclass(frozen=True)
class SelfCriticalConfig:
    """Gradient estimate of self-critical training.

    Attributes:
        samples: Captions sampled for each image in a step.
        baseline: One of `BASELINES`: reward of the greedy caption (the paper's), or mean reward of the other samples.
        bleu: Weight of the BLEU similarity in the reward, see `CaptionReward`.
        likelihood: Weight of the cross-entropy of the reference captions in the loss, at least 0 and below 1.
    """

    samples: int = option(5, "Captions sampled for each image in a step.")
    baseline: str = option(
        "greedy",
        "Baseline of the reward: the greedy caption, or the mean of the image's other samples.",
        choices=BASELINES,
    )
    bleu: float = option(0.0, "Weight of the BLEU similarity (0 to 1) in the reward, in addition to CIDEr-D (0 to 10).")
    likelihood: float = option(0.0, "Weight of the cross-entropy of the reference captions in the loss (0 to below 1).")

    def __post_init__(self) -> None:
        """Check all values."""
        check_choices(self)
        least = 2 if self.baseline == "samples" else 1
        if self.samples < least:
            raise ConfigurationError(f"samples is {self.samples}; the baseline {self.baseline} needs at least {least}.")
        if self.bleu < 0.0:
            raise ConfigurationError(f"bleu is {self.bleu}; set it to 0 or more.")
        if not 0.0 <= self.likelihood < 1.0:
            raise ConfigurationError(f"likelihood is {self.likelihood}; set it to at least 0 and below 1.")


@dataclass(frozen=True)
class TrainModelConfig:
    """Options of TrainModel.

    Attributes:
        model: Architecture and dropout.
        fit: Options of `model.training.trainer.fit`.
        cross_entropy: Options of the loss.
        execution: Numerics and devices.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    cross_entropy: CrossEntropyConfig = field(default_factory=CrossEntropyConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)


@dataclass(frozen=True)
class FineTuneBackboneConfig:
    """Options of FineTuneBackbone.

    Attributes:
        backbone: Fine-tuning of the backbone.
        fit: Options of `model.training.trainer.fit`.
        cross_entropy: Options of the loss.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    cross_entropy: CrossEntropyConfig = field(default_factory=CrossEntropyConfig)


@dataclass(frozen=True)
class TrainSelfCriticalConfig:
    """Options of TrainSelfCritical.

    Attributes:
        self_critical: Gradient estimate.
        fit: Options of `model.training.trainer.fit`.
    """

    self_critical: SelfCriticalConfig = field(default_factory=SelfCriticalConfig)
    fit: FitConfig = field(default_factory=FitConfig)
