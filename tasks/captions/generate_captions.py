"""GenerateCaptions: hypotheses of the images of a split."""

from typing import TYPE_CHECKING

import luigi

from tasks.base.beam_stage import BeamStage
from tasks.base.mixins import ModelParams, SplitParam
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace
from tasks.training.source import model_stage
from tasks.training.trained_model import model_features_stage

if TYPE_CHECKING:
    from model.decoding.strategies import Search
    from schemas.vocabulary import Vocabulary


class GenerateCaptions(BeamStage, ModelParams, SplitParam):
    """Generate captions of every image of the split that has features."""

    preload = TENSORFLOW
    version = 3  # `search.json`
    content = ("hypotheses.jsonl", "search.json")

    search = luigi.ChoiceParameter(
        default="beam",
        choices=["greedy", "beam", "n-best", "sample"],
        description="Search: greedy, beam (best caption), n-best (for reranking) or sample (as many samples).",
    )
    beam_width = luigi.IntParameter(default=3, description="Beam width of `beam` (TF-mRNN: 3).")
    n_best = luigi.IntParameter(
        default=10, description="Beam width of `n-best`, or number of samples (paper, Section 8: 10)."
    )
    temperature = luigi.FloatParameter(
        default=1.0, description="Sampling temperature, which divides the log-probabilities."
    )
    top_k = luigi.IntParameter(default=0, description="Sample from the k most probable tokens (0 = all).")
    top_p = luigi.FloatParameter(
        default=1.0, description="Sample from the most probable tokens of this total probability (1 = all)."
    )
    seed = luigi.IntParameter(default=0, description="Random seed of sampling.")
    min_length = luigi.IntParameter(default=0, description="Minimum number of tokens of a hypothesis.")
    max_length = luigi.IntParameter(default=29, description="Maximum number of tokens of a hypothesis.")
    forbidden = luigi.ListParameter(default=["<pad>", "<unk>"], description="Masked tokens, which are never generated.")
    no_repeat_ngram = luigi.IntParameter(default=0, description="Block repeated n-grams of this size (0 = off).")
    length_penalty = luigi.FloatParameter(
        default=0.0, description="Alpha of the beam search score ln P / ((5 + length) / 6)^alpha (paper: 0)."
    )
    groups = luigi.IntParameter(default=1, description="Number of groups of diverse beam search in `n-best` (1 = off).")
    diversity = luigi.FloatParameter(
        default=0.5, description="Diversity penalty in nats per earlier use of a token by another group."
    )
    ensemble = luigi.ListParameter(
        default=[], description="Seeds of further models with the same settings, whose probabilities are averaged."
    )
    batch_size = luigi.IntParameter(default=50, significant=False, description="Images per batch.")

    @property
    def width(self) -> int:
        """Width of the search, or number of samples."""
        widths = {"greedy": 1, "beam": self.beam_width, "n-best": self.n_best, "sample": self.n_best}
        return int(widths[self.search])

    def models(self) -> dict[str, Stage]:
        """Return the trained models; several are an ensemble."""
        others = {f"model_seed_{seed}": model_stage(self, seed=seed) for seed in self.ensemble}
        return {"model": model_stage(self), **others}

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
            ConfigurationError: a forbidden word is not in the vocabulary, or it cannot be drawn like that.
        """
        from model.decoding.beam_search import BeamOptions
        from model.decoding.constraints import Constraints, ids_of
        from model.decoding.sampling import Sampling
        from model.decoding.strategies import BeamStrategy, SamplingStrategy

        constraints = Constraints(self.min_length, ids_of(self.forbidden, vocabulary), self.no_repeat_ngram)
        if self.search == "sample":
            sampling = Sampling(self.temperature, self.top_k, self.top_p)
            return SamplingStrategy(self.width, sampling, self.seed, self.max_length, constraints)
        options = BeamOptions(
            0.0 if self.search == "greedy" else self.length_penalty,
            self.groups if self.search == "n-best" else 1,
            self.diversity,
        )
        return BeamStrategy(self.width, self.max_length, constraints, options)

    def work(self, workspace: Workspace) -> None:
        """Write `hypotheses.jsonl`."""
        from pipelines.captions.generate_captions import GenerationJob, generate_captions
        from schemas.annotations import read_annotations
        from schemas.checkpoint import read_checkpoint
        from schemas.hypotheses import SearchSetting, write_search

        engine = self.engine()
        inputs = {name: path.resolve() for name, path in workspace.inputs.items()}
        models = tuple(inputs[name] for name in self.models())
        search = self.search_with(read_checkpoint(models[0]).vocabulary)
        image_ids = [image.image_id for image in read_annotations(inputs["annotations"], self.split)]
        captioned = generate_captions(
            GenerationJob(models, inputs["features"], search, self.batch_size, engine.cores_per_process()),
            image_ids,
            workspace.directory,
            str(workspace.scratch.resolve()),
            self.shards,
            engine,
            workspace.progress,
        )
        write_search(workspace.directory, SearchSetting(self.search, self.width))
        workspace.counts.update(images=len(image_ids), captioned=captioned, rejected=len(image_ids) - captioned)
