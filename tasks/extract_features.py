"""ExtractFeatures: image features by a CNN, on Beam."""

import luigi

from tasks.dataset_root import dataset_root
from tasks.download_dataset import DownloadDataset
from tasks.prepare_annotations import PrepareAnnotations
from tasks.stage import Stage
from tasks.workspace import Workspace


class ExtractFeatures(Stage):
    """Runs every image of the corpus through the backbone. An interrupted run goes on with the shards that are left."""

    content = ("features.h5", "rejects.jsonl")

    backbone = luigi.Parameter(default="vgg16/fc2", description="vgg16|vgg19 / fc2|fc1|block5_pool, or hub:HANDLE")
    weights = luigi.Parameter(default="imagenet", description="of VGG: imagenet, random:SEED or a weights file")
    input_size = luigi.IntParameter(default=224, description="side of the network's input in pixels")
    crop = luigi.ChoiceParameter(
        default="center", choices=["center", "ten_crop", "squash"], description="how images become square"
    )
    dtype = luigi.ChoiceParameter(default="float16", choices=["float16", "float32"], description="on disk")

    batch_size = luigi.IntParameter(default=32, significant=False, description="images a batch")
    decode_threads = luigi.IntParameter(default=2, significant=False, description="threads that read and decode ahead")
    shards = luigi.IntParameter(default=16, significant=False, description="units of work, retry and resume")
    max_reject_fraction = luigi.FloatParameter(
        default=0.01, significant=False, description="the stage fails if more of the images cannot be read"
    )
    runner = luigi.Parameter(
        config_path={"section": "beam", "name": "runner"}, significant=False, description="class path of a Beam runner"
    )
    runner_options = luigi.ListParameter(
        config_path={"section": "beam", "name": "options"}, significant=False, description="its options, a JSON list"
    )
    resource_hints = luigi.DictParameter(
        config_path={"section": "beam", "name": "resource_hints"},
        significant=False,
        description="Beam resource hints of the one ParDo, a JSON object",
    )

    def requires(self) -> dict[str, Stage]:
        """The image files and their list."""
        return {"download": self.upstream(DownloadDataset), "annotations": self.upstream(PrepareAnnotations)}

    def work(self, workspace: Workspace) -> None:
        """Writes `features.h5` and `rejects.jsonl`."""
        from dataclasses import asdict

        from model.backbones import BackboneSpec
        from pipelines.extract import Engine, ExtractionOptions, extract_features
        from pipelines.shards import ImageSource
        from schemas.annotations import read_annotations

        root = dataset_root(workspace.inputs["download"]).resolve()
        images = [
            ImageSource(image.image_id, str(root / image.file))
            for image in read_annotations(workspace.inputs["annotations"])
        ]
        options = ExtractionOptions(
            BackboneSpec(self.backbone, self.weights, self.input_size),
            self.crop,
            self.dtype,
            self.batch_size,
            self.decode_threads,
        )
        counts = extract_features(
            images,
            workspace.directory,
            str(workspace.scratch.resolve()),
            self.shards,
            options,
            Engine(self.runner, tuple(self.runner_options), tuple(self.resource_hints.items())),
            self.dataset,
            self.max_reject_fraction,
            workspace.progress,
        )
        workspace.counts.update(asdict(counts))
