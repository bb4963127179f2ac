"""GenerateCaptions: hypotheses of the images of a split."""

from typing import TYPE_CHECKING

import luigi

from model.decoding.config import DecodingConfig
from tasks.base.mixins import ModelParams, SplitParam
from tasks.base.params import luigi_parameters
from tasks.base.sharded_stage import ShardedStage
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace
from tasks.training.source import model_stage
from tasks.training.trained_model import model_features_stage

if TYPE_CHECKING:
    from model.decoding.strategies import Search
    from schemas.vocabulary import Vocabulary


@luigi_parameters(DecodingConfig)
class GenerateCaptions(ShardedStage, ModelParams, SplitParam):
    """Generate captions of every image of the split that has features."""

    preload = TENSORFLOW
    version = 3  # `search.json`
    content = ("hypotheses.jsonl", "search.json")

    model_seeds = luigi.ListParameter(
        default=[],
        description="Seeds of the models whose probabilities are averaged (an ensemble); [] = the configured seed.",
    )
    batch_size = luigi.IntParameter(default=50, significant=False, description="Images per batch.")

    def models(self) -> dict[str, Stage]:
        """Return the trained models; several are an ensemble."""
        if not self.model_seeds:
            return {"model": model_stage(self)}
        return {f"model_seed_{seed}": model_stage(self, seed=seed) for seed in self.model_seeds}

    def requires(self) -> dict[str, Stage]:
        """Return the trained models, the features and the list of images."""
        return {
            **self.models(),
            "features": model_features_stage(self),
            "annotations": self.upstream(PrepareAnnotations),
        }

    def search_with(self, vocabulary: "Vocabulary") -> "Search":
        """Return the search that the parameters describe.

        Raises:
            ConfigurationError: As of `make_search`.
        """
        from model.decoding.strategies import make_search

        return make_search(self.config(DecodingConfig), vocabulary)

    def work(self, workspace: Workspace) -> None:
        """Write `hypotheses.jsonl`."""
        from pipelines.captions.generate_captions import GenerationJob, generate_captions
        from schemas.annotations import read_annotations
        from schemas.checkpoint import read_checkpoint
        from schemas.hypotheses import SearchSetting, write_search

        sharding = self.make_sharding(workspace)
        threads = sharding.engine.cores_per_process()
        inputs = {name: path.resolve() for name, path in workspace.inputs.items()}
        models = tuple(inputs[name] for name in self.models())
        search = self.search_with(read_checkpoint(models[0]).vocabulary)
        image_ids = [image.image_id for image in read_annotations(inputs["annotations"], self.split)]
        captioned = generate_captions(
            GenerationJob(models, inputs["features"], search, self.batch_size, threads),
            image_ids,
            workspace.directory,
            sharding,
        )
        write_search(workspace.directory, SearchSetting(self.search, self.config(DecodingConfig).width))
        workspace.counts.update(images=len(image_ids), captioned=captioned, rejected=len(image_ids) - captioned)
