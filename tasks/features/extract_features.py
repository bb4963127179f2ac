"""ExtractFeatures: image features by a CNN, on Beam."""

from pathlib import Path
from typing import Any

import luigi

from schemas.checkpoint import BACKBONE_WEIGHTS
from schemas.io.files import digest_source
from tasks.base.beam_stage import BeamStage
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.download_dataset import DownloadDataset, dataset_root
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace

TUNED = "fine-tuned"  # in the place of weights: those that FineTuneBackbone makes


class ExtractFeatures(BeamStage):
    """Runs every image of the corpus through the backbone. An interrupted run goes on with the shards that are left."""

    preload = TENSORFLOW
    version = 3  # feature rows are stored contiguously
    content = ("features.h5", "rejects.jsonl")

    backbone = luigi.Parameter(
        default="vgg16/fc2",
        description="efficientnet-lite0|lite1|lite2[/blockN], vgg16|vgg19/fc2|fc1|block5_pool, alexnet/fc7|fc6|pool5, "
        "keras:NAME, hub:HANDLE, concat:A+B",
    )
    weights = luigi.Parameter(default="imagenet", description="imagenet, random:SEED or a weights file; none for hub")
    input_size = luigi.IntParameter(default=0, description="side of the network's input in pixels; 0: its own")
    crop = luigi.ChoiceParameter(
        default="center", choices=["center", "ten_crop", "squash"], description="how images become square"
    )
    pool = luigi.Parameter(
        default="average",
        description="how the last feature map of efficientnet-lite and keras: becomes a vector: average or grid:N, the "
        "averages of N x N cells",
    )
    dtype = luigi.ChoiceParameter(default="float16", choices=["float16", "float32"], description="on disk")
    precision = luigi.ChoiceParameter(
        default="float32", choices=["float32", "mixed_float16", "mixed_bfloat16"], description="of the network's layers"
    )

    xla = luigi.BoolParameter(significant=False, description="compile the network with XLA")
    batch_size = luigi.IntParameter(default=32, significant=False, description="images a batch")
    decode_threads = luigi.IntParameter(
        default=0, significant=False, description="threads that read and decode ahead; 0: this process's cores"
    )
    inference_threads = luigi.IntParameter(
        default=0, significant=False, description="threads of the network on a CPU; 0: this process's cores"
    )
    max_reject_fraction = luigi.FloatParameter(
        default=0.01, significant=False, description="the stage fails if more of the images cannot be read"
    )
    images_at = luigi.Parameter(
        default="", significant=False, description="where workers find the corpus's files, if not where the driver does"
    )
    shards_at = luigi.Parameter(
        default="", significant=False, description="folder for shards that driver and workers share, if not data_dir"
    )

    def requires(self) -> dict[str, Stage]:
        """The image files and their list, and the tuned network if it is to be that."""
        required = {"download": self.upstream(DownloadDataset), "annotations": self.upstream(PrepareAnnotations)}
        if self.weights == TUNED:
            from tasks.training.fine_tune_backbone import (
                FineTuneBackbone,  # which starts from features that are extracted here
            )

            required["network"] = self.upstream(FineTuneBackbone)
        return required

    def parameters(self, significant: bool) -> dict[str, Any]:
        """As of every stage, but of a network on this disk what it holds is significant, not where it lies."""
        values = super().parameters(significant)
        hub = Path(self.backbone.removeprefix("hub:")) if self.backbone.startswith("hub:") else None
        for name, path in (("backbone", hub), ("weights", Path(self.weights) if self.weights else None)):
            if path and path.exists():
                # The name of a module's folder is part of the features' kind.
                held = f"hub:{path.name} " if name == "backbone" else ""
                values[name] = f"{held}SHA-256 {digest_source(path)}" if significant else getattr(self, name)
        return values

    def work(self, workspace: Workspace) -> None:
        """Writes `features.h5` and `rejects.jsonl`."""
        from dataclasses import asdict

        from model.backbones.spec import BackboneSpec
        from pipelines.features.extract_features import ExtractionOptions, extract_features
        from pipelines.features.images import ImageSource
        from schemas.annotations import read_annotations

        root = self.images_at.rstrip("/") or str(dataset_root(workspace.inputs["download"]).resolve())
        images = [
            ImageSource(image.image_id, f"{root}/{image.file}")
            for image in read_annotations(workspace.inputs["annotations"])
        ]
        engine = self.engine()
        network = workspace.inputs.get("network")
        weights = str((network / BACKBONE_WEIGHTS).resolve()) if network else self.weights
        options = ExtractionOptions(
            BackboneSpec(self.backbone, weights, self.input_size, self.precision, self.xla, self.pool),
            self.crop,
            self.dtype,
            self.dataset,
            self.batch_size,
            self.decode_threads or engine.cores_per_process(),
            self.inference_threads or engine.cores_per_process(),
        )
        key = workspace.directory.name  # this process does not know what the command line set for other stages
        shards_at = f"{self.shards_at.rstrip('/')}/{key}" if self.shards_at else str(workspace.scratch.resolve())
        counts = extract_features(
            images,
            workspace.directory,
            shards_at,
            self.shards,
            options,
            engine,
            self.max_reject_fraction,
            workspace.progress,
        )
        workspace.counts.update(asdict(counts))
