"""What a stage that trained the m-RNN leaves: the checkpoint, its curve, and what its provenance counts."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.mrnn.network import MRNN
from model.training.history import EpochReport, TrainingData
from schemas.checkpoint import write_checkpoint
from schemas.vocabulary import Vocabulary


def write_trained_model(
    directory: Path, network: MRNN, vocabulary: Vocabulary, train: TrainingData, curve: Sequence[EpochReport]
) -> dict[str, Any]:
    """Writes the network, which has the weights of the best epoch, as `write_checkpoint` does; returns counts."""
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
