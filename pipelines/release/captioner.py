"""A release of nothing but a captioner: a model that captions images, without features and captions of a dataset.

    python -m pipelines.release.captioner MODEL FEATURES SCORES DIRECTORY

The arguments are artifacts of TrainModel (or TrainSelfCritical), ExtractFeatures and EvaluateCaptions.
"""

import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from pipelines.data.datasets import DATASETS
from pipelines.release.cards import license_metadata, render_card
from pipelines.release.layout import INDEX, SUMS, released_files
from pipelines.release.publish_features import write_provenance
from schemas.checkpoint import BACKBONE_WEIGHTS, MODEL_FILES
from schemas.errors import ArtifactError
from schemas.features import FeatureFile
from schemas.io.files import digest_file, write_json, write_text
from schemas.provenance import read_provenance
from schemas.scores import in_order, read_caption_scores


def write_captioner_release(directory: Path, model: Path, features: Path, scores: Path) -> None:
    """Write the release of a captioner; the same artifacts give the same bytes.

    Args:
        directory: Directory of the release; created if it does not exist.
        model: Artifact of the trained model.
        features: Artifact of ExtractFeatures that it was trained on.
        scores: Artifact of EvaluateCaptions, for the card.

    Raises:
        ArtifactError: The model was not trained on these features, or the scores are of another model.
    """
    made, evaluated = read_provenance(model), read_provenance(scores)
    for artifact, needed in ((features, made.upstream["features"]), (model, evaluated.upstream["model"])):
        if artifact.name != needed.key:
            raise ArtifactError(f"{artifact} is not the artifact {needed.key} that the others were made from; name it.")
    (directory / "model").mkdir(parents=True, exist_ok=True)
    for name in MODEL_FILES:
        shutil.copyfile(model / name, directory / "model" / name)
    if (model / BACKBONE_WEIGHTS).is_file():
        shutil.copyfile(model / BACKBONE_WEIGHTS, directory / "model" / BACKBONE_WEIGHTS)
    for name, artifact in (("original", features), ("model", model)):
        write_provenance(directory, name, artifact)
    description = FeatureFile(features / "features.h5").description
    write_json(directory / INDEX, {"dataset": made.dataset, "key": made.key, "backbone": asdict(description)})
    sheet, dataset = read_caption_scores(scores), DATASETS[made.dataset]
    front = {
        **license_metadata(dataset),
        "library_name": "keras",
        "pipeline_tag": "image-to-text",
        "tags": ["image-captioning", "m-rnn"],
    }
    card = render_card(
        "captioner_card.md",
        front,
        dataset=dataset,
        made=made,
        backbone=description,
        sheet=sheet,
        metrics=in_order(sheet.metrics),
    )
    write_text(directory / "README.md", card)
    (directory / SUMS).unlink(missing_ok=True)
    sums = {name: digest_file(path) for name, path in released_files(directory)}
    write_text(directory / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


if __name__ == "__main__":
    _model, _features, _scores, _directory = map(Path, sys.argv[1:])
    write_captioner_release(_directory, _model, _features, _scores)
