"""TrainModel: an m-RNN from captions and features."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.mrnn.layers import mean_and_std
from model.mrnn.network import MRNN
from model.precision import precision
from model.training.config import FitConfig, TrainModelConfig
from model.training.distribution import Replicas, make_strategy
from model.training.history import EpochReport, TrainingData
from model.training.objective import CrossEntropy, Objective
from model.training.trainer import default_callbacks, fit
from model.training.validation import Validator
from pipelines.training.data import TrainingInputs
from schemas.checkpoint import write_checkpoint
from schemas.vocabulary import Vocabulary

Report = Callable[[float, str], None]


def train_model(directory: Path, inputs: TrainingInputs, config: TrainModelConfig, progress: Report) -> dict[str, Any]:
    """Train an m-RNN and write the checkpoint of the best epoch, on the chief.

    Args:
        directory: Directory of the artifact.
        inputs: Captions and features.
        config: Options.
        progress: Called with a fraction and a message.

    Returns:
        Counts for the provenance; none on other workers.

    Raises:
        TrainingError: Training diverged, or another worker is gone.
    """
    training, execution = config.fit.training, config.execution
    strategy = make_strategy(execution.strategy)
    vocabulary = Vocabulary.read(inputs.captions / "vocabulary.txt")
    train, val = inputs.read(training.seed)
    with strategy.scope(), precision(execution.precision):
        network = MRNN(len(vocabulary), train.features.shape[1], config.model, training.seed)
        network.scaling.adapt(*mean_and_std(train.features))
        objective = CrossEntropy(network, train, training, config.cross_entropy.label_smoothing)
        curve = fit_objective(directory, objective, vocabulary, val, config.fit, progress, execution.xla)
        if not Replicas().is_chief:
            return {}
    return write_trained_model(directory, network, vocabulary, train, curve)


def fit_objective(
    directory: Path,
    objective: Objective,
    vocabulary: Vocabulary,
    val: TrainingData,
    config: FitConfig,
    progress: Report,
    xla: bool = False,
) -> list[EpochReport]:
    """Call `fit` with the callbacks and files of a training stage.

    Args:
        directory: Directory of the artifact.
        objective: Loss to minimize.
        vocabulary: Vocabulary of the network.
        val: Captions and features of the validation split.
        config: Options of `fit`.
        progress: Called with a fraction and a message.
        xla: Whether the step is compiled with XLA.

    Returns:
        The training curve.
    """
    validator = Validator(objective.network, vocabulary, val, config.training.max_length, config.validation.beam_width)
    callbacks = default_callbacks(config, directory / "training" / "state.h5", progress)
    return fit(objective, validator, config, callbacks, xla)


def write_trained_model(
    directory: Path, network: MRNN, vocabulary: Vocabulary, train: TrainingData, curve: Sequence[EpochReport]
) -> dict[str, Any]:
    """Write the checkpoint of a network that has the weights of the best epoch.

    Args:
        directory: Directory of the artifact.
        network: The trained network.
        vocabulary: Its vocabulary.
        train: Captions that it was trained on.
        curve: The training curve.

    Returns:
        Counts for the provenance.
    """
    records = [asdict(epoch) for epoch in curve]
    write_checkpoint(directory, network.save, network.get_config(), vocabulary, records)
    best = max(curve, key=lambda epoch: epoch.score)
    return {
        "parameters": network.count_params(),
        "captions": len(train.captions),
        "epochs": len(curve),
        "best_epoch": best.epoch,
        "val_perplexity": round(best.val_perplexity, 4),
        "val_cider": round(best.val_cider, 4),
    }
