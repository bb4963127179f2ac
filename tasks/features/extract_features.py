"""ExtractFeatures: image features by a backbone."""

from pathlib import Path
from typing import Any

from pipelines.features.config import ExtractionConfig
from schemas.io.files import digest_source
from tasks.base.params import luigi_parameters
from tasks.base.sharded_stage import ShardedStage
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.download_dataset import DownloadDataset, dataset_root
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace


@luigi_parameters(ExtractionConfig)
class ExtractFeatures(ShardedStage):
    """Runs every image of the dataset through the backbone. An interrupted run resumes with the remaining shards."""

    preload = TENSORFLOW
    has_plan = True
    version = 3  # feature rows are stored contiguously
    content = ("features.h5", "features/*.h5", "rejects.jsonl")
    keyed_by_content = ("download", "annotations")

    def requires(self) -> dict[str, Stage]:
        """Return the images and their list."""
        return {"download": self.upstream(DownloadDataset), "annotations": self.upstream(PrepareAnnotations)}

    def parameters(self, significant: bool) -> dict[str, Any]:
        """Return the parameters; the contents of images and of a network on this disk are significant too."""
        values = super().parameters(significant)
        if significant:
            values["images"] = self.upstream(PrepareAnnotations).images_digest
        hub = Path(self.backbone.removeprefix("hub:")) if self.backbone.startswith("hub:") else None
        for name, path in (("backbone", hub), ("weights", Path(self.weights) if self.weights else None)):
            if path and path.exists():
                # The directory name of a module is part of the feature kind.
                held = f"hub:{path.name} " if name == "backbone" else ""
                values[name] = f"{held}SHA-256 {digest_source(path)}" if significant else getattr(self, name)
        return values

    def work(self, workspace: Workspace) -> None:
        """Write `features.h5` and `rejects.jsonl`."""
        extract(self, self.config(ExtractionConfig), workspace)


def extract(task: ShardedStage, config: ExtractionConfig, workspace: Workspace) -> None:
    """Extract the features of all images.

    Args:
        task: The stage, which names the dataset, the shards and their runner.
        config: Options of the extraction.
        workspace: Workspace with the inputs `download` and `annotations`.
    """
    from dataclasses import asdict

    from model.backbones.spec import BackboneSpec
    from pipelines.engines.shards import ImageSource
    from pipelines.features.extract_features import ExtractionOptions, extract_features
    from schemas.annotations import count_annotations, read_annotations
    from schemas.features import SHARDS, read_features_index

    root = config.images_at.rstrip("/") or str(dataset_root(workspace.inputs["download"]).resolve())
    annotations = workspace.inputs["annotations"]
    images = (ImageSource(image.image_id, f"{root}/{image.file}") for image in read_annotations(annotations))
    sharding = task.make_sharding(workspace)
    cores = sharding.engine.cores_per_process()
    options = ExtractionOptions(
        BackboneSpec(config.backbone, config.weights, config.input_size, config.precision, config.xla, config.pool),
        config.crop,
        config.dtype,
        task.dataset,
        config.batch_size,
        config.decode_threads or cores,
        config.inference_threads or cores,
    )
    counts = extract_features(
        images,
        workspace.directory,
        options,
        sharding,
        config.max_reject_fraction,
        total=count_annotations(annotations),
        merge_limit=config.merge_limit,
    )
    workspace.counts.update(asdict(counts))
    shards_of_features = read_features_index(workspace.directory / "features.h5")
    workspace.digests.update({f"{SHARDS}/{shard.name}": shard.sha256 for shard in shards_of_features})
