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
    """Beam search, greedy search or sampling, over every image of the split that has features."""

    preload = TENSORFLOW
    version = 3  # `search.json`
    content = ("hypotheses.jsonl", "search.json")

    search = luigi.ChoiceParameter(
        default="beam",
        choices=["greedy", "beam", "n-best", "sample"],
        description="`n-best` gives the hypotheses for reranking, `sample` draws as many from the model's distribution",
    )
    beam_width = luigi.IntParameter(default=3, description="of `beam`: for the best single caption (TF-mRNN: 3)")
    n_best = luigi.IntParameter(default=10, description="of `n-best`: for many (paper, Section 8: 10)")
    temperature = luigi.FloatParameter(default=1.0, description="of `sample`: log-probabilities are divided by it")
    top_k = luigi.IntParameter(default=0, description="of `sample`: only the so many likeliest words; 0: all")
    top_p = luigi.FloatParameter(default=1.0, description="of `sample`: only the likeliest words of this probability")
    seed = luigi.IntParameter(default=0, description="of `sample`")
    min_length = luigi.IntParameter(default=0, description="words of a hypothesis at least")
    max_length = luigi.IntParameter(default=29, description="words of a hypothesis at most")
    forbidden = luigi.ListParameter(default=["<pad>", "<unk>"], description="words of the vocabulary never to be said")
    no_repeat_ngram = luigi.IntParameter(default=0, description="no so many words in a row come twice; 0: they may")
    length_penalty = luigi.FloatParameter(
        default=0.0, description="of `beam` and `n-best`: alpha of ln P / ((5 + length) / 6)^alpha; the paper: 0"
    )
    groups = luigi.IntParameter(default=1, description="of `n-best`: diverse beam search in so many groups; 1: plain")
    diversity = luigi.FloatParameter(
        default=0.5, description="of `n-best` in groups: penalty in nats per earlier use of a token"
    )
    ensemble = luigi.ListParameter(
        default=[], description="seeds of further models, trained alike, whose probabilities are averaged"
    )
    batch_size = luigi.IntParameter(default=50, significant=False, description="images at a time")

    @property
    def width(self) -> int:
        """The width of the search, or how many captions are drawn."""
        widths = {"greedy": 1, "beam": self.beam_width, "n-best": self.n_best, "sample": self.n_best}
        return int(widths[self.search])

    def models(self) -> dict[str, Stage]:
        """The trained models; several are an ensemble."""
        others = {f"model_seed_{seed}": model_stage(self, seed=seed) for seed in self.ensemble}
        return {"model": model_stage(self), **others}

    def requires(self) -> dict[str, Stage]:
        """The trained models, the features and the list of images."""
        return {
            **self.models(),
            "features": model_features_stage(self),
            "annotations": self.upstream(PrepareAnnotations),
        }

    def search_with(self, vocabulary: "Vocabulary") -> "Search":
        """The search that the parameters say.

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
        """Writes `hypotheses.jsonl`."""
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
