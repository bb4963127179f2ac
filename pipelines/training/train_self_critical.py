"""TrainSelfCritical: a trained m-RNN, fine-tuned with self-critical sequence training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from model.mrnn.network import load_network
from model.training.config import TrainSelfCriticalConfig
from model.training.self_critical import SelfCritical
from pipelines.training.data import TrainingInputs
from pipelines.training.train_model import Report, fit_objective, write_trained_model
from schemas.checkpoint import read_checkpoint


def train_self_critical(
    directory: Path, model: Path, inputs: TrainingInputs, config: TrainSelfCriticalConfig, progress: Report
) -> dict[str, Any]:
    """Fine-tune a model with self-critical sequence training and write its checkpoint.

    Args:
        directory: Directory of the artifact.
        model: Artifact of the trained model; its seed is that of the samples, whatever that of `config`.
        inputs: Captions and features that it was trained on.
        config: Options.
        progress: Receives the fraction done and a message.

    Raises:
        TrainingError: Training diverged.
    """
    checkpoint = read_checkpoint(model)
    network = load_network(checkpoint.network)
    fit_config = replace(config.fit, training=replace(config.fit.training, seed=network.seed))
    train, val = inputs.read(network.seed)
    objective = SelfCritical(network, checkpoint.vocabulary, train, fit_config.training, config.self_critical)
    curve = fit_objective(directory, objective, checkpoint.vocabulary, val, fit_config, progress)
    return write_trained_model(directory, network, checkpoint.vocabulary, train, curve)
