"""What captions pictures: a trained model, the image network that it was trained with, and captions to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.backbones.spec import BackboneSpec
from pipelines.release.layout import INDEX
from schemas.checkpoint import BACKBONE_WEIGHTS
from schemas.errors import ArtifactError, ConfigurationError
from schemas.io.files import read_json
from schemas.provenance import Upstream, is_complete, read_provenance

_ELSEWHERE = "SHA-256"  # stands in an artifact for a network on the disk where it was made
_MODELS = (
    "TrainModel",
    "TrainSelfCritical",
)  # stages; what FineTuneBackbone starts from are not the features of its model


@dataclass(frozen=True)
class Captioner:
    """Where everything lies.

    models: folders of model, configuration and vocabulary, several are an ensemble; features: file of the training
    images' features at least; extraction: parameters of ExtractFeatures; tokens: `tokens.jsonl`, None where there are
    no captions.
    """

    models: tuple[Path, ...]
    features: Path
    extraction: Mapping[str, Any]
    tokens: Path | None

    def backbone(self, backbone: str, weights: str) -> BackboneSpec:
        """The image network; `backbone` and `weights` say where it is, if not where it was, and may be empty.

        Raises:
            ConfigurationError: it was on another disk and is not said to be anywhere.
        """
        name, held = backbone or self.extraction["backbone"], weights or self.extraction["weights"]
        for parameter, value in (("backbone", name), ("weights", held)):
            if _ELSEWHERE in value:
                raise ConfigurationError(
                    f"The model was trained with the image network {self.extraction['backbone']}, which lay on another "
                    f"disk; say where it is with --{parameter}."
                )
        extraction = self.extraction
        return BackboneSpec(name, held, extraction["input_size"], extraction["precision"], pool=extraction["pool"])


def captioner_of_artifacts(models: Sequence[Path], features: Path, captions: Path | None) -> Captioner:
    """The captioner of the pipeline's artifacts; the weights of a tuned image network lie among them.

    Raises:
        ConfigurationError: the features were imported.
    """
    made = read_provenance(features)
    _check_extracted(made.stage, models[0])
    # Where a network lies on this disk is a matter of operation: what it holds is significant.
    places: dict[str, Any] = {
        name: made.operational[name] for name in ("backbone", "weights") if name in made.operational
    }
    if tuned := made.upstream.get("network"):
        places["weights"] = str(_beside(features, tuned) / BACKBONE_WEIGHTS)
    tokens = captions / "tokens.jsonl" if captions else None
    return Captioner(tuple(models), features / "features.h5", {**made.parameters, **places}, tokens)


def captioner_of_directory(directory: Path) -> Captioner:
    """The captioner in a release of PublishFeatures, or that of a model's artifact beside the other artifacts.

    Raises:
        ConfigurationError: the folder is neither, or the features were imported.
        ArtifactError: the features that the model was trained on are gone.
    """
    if (directory / INDEX).is_file():
        made = read_json(directory / "provenance" / "original.json")
        _check_extracted(made["stage"], directory)
        tuned = directory / "model" / BACKBONE_WEIGHTS
        extraction = {**made["parameters"], **({"weights": str(tuned)} if tuned.is_file() else {})}
        return Captioner((directory / "model",), directory / "features" / "original_train.h5", extraction, None)
    if not is_complete(directory) or (trained := read_provenance(directory)).stage not in _MODELS:
        raise ConfigurationError(
            f"{directory} is neither a release of PublishFeatures nor an artifact of {' or '.join(_MODELS)}; set "
            "--model to one."
        )
    sources = {name: _beside(directory, trained.upstream[name]) for name in ("features", "captions")}
    if not is_complete(sources["features"]):
        raise ArtifactError(
            f"{directory} was trained on {sources['features']}, which is gone; leave it where it was made, or set "
            "--model to a release."
        )
    return captioner_of_artifacts(
        [directory], sources["features"], sources["captions"] if is_complete(sources["captions"]) else None
    )


def _beside(artifact: Path, other: Upstream) -> Path:
    """Where another artifact of the same data directory lies."""
    return artifact.absolute().parent.parent / other.stage / other.key


def _check_extracted(stage: str, model: Path) -> None:
    if stage != "ExtractFeatures":
        raise ConfigurationError(
            f"{model} was trained on features that were made elsewhere ({stage}), so those of other pictures cannot be "
            "made here; train a model on features of ExtractFeatures."
        )
