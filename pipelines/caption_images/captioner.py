"""Locations of a captioner: a trained model, the backbone that it was trained with, and captions for reranking."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from model.backbones.spec import BackboneSpec
from pipelines.release.layout import INDEX
from schemas.checkpoint import BACKBONE_WEIGHTS
from schemas.errors import ArtifactError, ConfigurationError
from schemas.features import FeatureFile
from schemas.io.files import read_json
from schemas.provenance import Upstream, is_complete, read_provenance

PRETRAINED = "flickr8k"  # the release in the package `pretrained` that captions if no other model is named
_MOVED = "SHA-256"  # replaces the path of a backbone in an artifact's parameters
_MODEL_STAGES = ("TrainModel", "TrainSelfCritical")  # FineTuneBackbone changes the features that it starts from


@dataclass(frozen=True)
class Captioner:
    """A captioner on disk.

    Attributes:
        models: Directories of model, configuration and vocabulary; several models are an ensemble.
        extraction: Parameters of ExtractFeatures.
        backbone: Description of the backbone: its preprocessing, and the SHA-256 of its weights.
        features: File with the features of the training images, or None.
        tokens: File with the tokenized training captions, or None.
    """

    models: tuple[Path, ...]
    extraction: Mapping[str, Any]
    backbone: Mapping[str, str]
    features: Path | None = None
    tokens: Path | None = None

    def backbone_spec(self, backbone: str = "", weights: str = "") -> BackboneSpec:
        """Specify the backbone.

        Args:
            backbone: Backbone in place of the recorded one, where a SavedModel has moved.
            weights: Weights in place of the recorded ones, where their file has moved.

        Raises:
            ConfigurationError: The backbone or its weights were a path on another machine.
        """
        name, values = backbone or self.extraction["backbone"], weights or self.extraction["weights"]
        for parameter, value in (("backbone", name), ("weights", values)):
            if _MOVED in value:
                raise ConfigurationError(
                    f"The model was trained with the backbone {self.extraction['backbone']}, whose path is not part of "
                    f"the artifact; name it with --{parameter}."
                )
        extraction = self.extraction
        return BackboneSpec(name, values, extraction["input_size"], extraction["precision"], pool=extraction["pool"])


def find_pretrained() -> Captioner:
    """Find the captioner that comes with the program."""
    return find_captioner(Path(str(files("pretrained"))) / PRETRAINED)


def find_captioner(directory: Path) -> Captioner:
    """Find the captioner in a release of PublishFeatures, or that of a model artifact beside the other artifacts.

    Raises:
        ConfigurationError: The directory is neither, or the features were imported.
        ArtifactError: The features that the model was trained on are missing.
    """
    if (directory / INDEX).is_file():
        made = read_json(directory / "provenance" / "original.json")
        _check_extracted(made["stage"], directory)
        tuned = directory / "model" / BACKBONE_WEIGHTS
        extraction = {**made["parameters"], **({"weights": str(tuned)} if tuned.is_file() else {})}
        return Captioner((directory / "model",), extraction, read_json(directory / INDEX)["backbone"])
    if not is_complete(directory) or (trained := read_provenance(directory)).stage not in _MODEL_STAGES:
        raise ConfigurationError(
            f"{directory} is neither a release of PublishFeatures nor an artifact of {' or '.join(_MODEL_STAGES)}; set "
            "--model to one."
        )
    sources = {name: _sibling(directory, trained.upstream[name]) for name in ("features", "captions")}
    if not is_complete(sources["features"]):
        raise ArtifactError(
            f"{directory} was trained on {sources['features']}, which is missing; leave the model among the other "
            "artifacts, or set --model to a release."
        )
    captions = sources["captions"] if is_complete(sources["captions"]) else None
    return captioner_of_artifacts([directory], sources["features"], captions)


def captioner_of_artifacts(models: Sequence[Path], features: Path, captions: Path | None) -> Captioner:
    """Describe the captioner of the pipeline's artifacts, with the weights of a fine-tuned backbone if there is one.

    Args:
        models: Model artifacts; several are an ensemble.
        features: Feature artifact that they were trained on.
        captions: Artifact of TokenizeCaptions, or None.

    Raises:
        ConfigurationError: The features were imported.
    """
    made = read_provenance(features)
    _check_extracted(made.stage, models[0])
    # Where a backbone is located on this machine is not significant; its content is.
    paths: dict[str, Any] = {
        name: made.operational[name] for name in ("backbone", "weights") if name in made.operational
    }
    if tuned := made.upstream.get("network"):
        paths["weights"] = str(_sibling(features, tuned) / BACKBONE_WEIGHTS)
    path = features / "features.h5"
    tokens = captions / "tokens.jsonl" if captions else None
    return Captioner(tuple(models), {**made.parameters, **paths}, asdict(FeatureFile(path).description), path, tokens)


def _sibling(artifact: Path, other: Upstream) -> Path:
    """Locate another artifact of the same data directory."""
    return artifact.absolute().parent.parent / other.stage / other.key


def _check_extracted(stage: str, model: Path) -> None:
    if stage not in ("ExtractFeatures", "ExtractTunedFeatures"):
        raise ConfigurationError(
            f"{model} was trained on features from {stage}, so the features of other images cannot be computed here; "
            "train a model on features of ExtractFeatures."
        )
