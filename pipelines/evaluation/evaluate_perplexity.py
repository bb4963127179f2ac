"""EvaluatePerplexity: perplexity of a split's reference captions under a model."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.mrnn.likelihood import perplexity
from model.mrnn.network import load_network
from pipelines.training.data import read_training_data
from schemas.checkpoint import read_checkpoint
from schemas.errors import ArtifactError
from schemas.scores import PerplexityScore, write_perplexity

MAX_LENGTH = 1000  # tokens; references count in full


@dataclass(frozen=True)
class EvaluatePerplexityInputs:
    """Artifacts that EvaluatePerplexity reads.

    Attributes:
        model: Trained model.
        features: Image features that the model was trained on.
        captions: Tokenized reference captions.
    """

    model: Path
    features: Path
    captions: Path


def evaluate_perplexity(
    inputs: EvaluatePerplexityInputs, directory: Path, *, split: str, progress: Callable[[float, str], None]
) -> PerplexityScore:
    """Compute the perplexity and writes `perplexity.json`.

    Args:
        inputs: Artifacts to read.
        directory: Artifact to write.
        split: Split whose reference captions are scored.
        progress: Receives the finished fraction and a message.

    Raises:
        ArtifactError: An input is missing or corrupted, or the perplexity is not finite.
        InputError: The split has no captions.
    """
    data = read_training_data(inputs.captions, inputs.features, split)
    value = perplexity(
        load_network(read_checkpoint(inputs.model).network),
        data.captions,
        data.features,
        MAX_LENGTH,
        progress=lambda done: progress(done, f"perplexity of {len(data.captions)} captions"),
    )
    if not math.isfinite(value):
        raise ArtifactError(f"The perplexity of {split} under {inputs.model} is not finite; train the model again.")
    score = PerplexityScore(split, len(data.captions), value)
    write_perplexity(directory, score)
    return score
