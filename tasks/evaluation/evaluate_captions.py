"""EvaluateCaptions: scores of generated captions."""

import luigi

from tasks.base.mixins import ModelParams, RerankingParams, SplitParam
from tasks.base.stage import METRICS, Stage
from tasks.captions.generate_captions import GenerateCaptions
from tasks.captions.rerank_captions import RerankCaptions
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.evaluation.evaluate_perplexity import EvaluatePerplexity
from tasks.runtime.workspace import Workspace


class EvaluateCaptions(Stage, ModelParams, SplitParam, RerankingParams):
    """Scores the first caption of each image, as it was generated or after reranking."""

    preload = METRICS
    version = 6  # metrics without Java by default

    captions = luigi.ChoiceParameter(
        default="beam", choices=["greedy", "beam", "n-best", "reranked"], description="Captions that are scored."
    )
    java_metrics = luigi.ChoiceListParameter(
        default=(),
        choices=["METEOR", "SPICE"],
        description="Additional metrics, which need Java and the extra `coco`, such as METEOR,SPICE.",
    )

    def requires(self) -> dict[str, Stage]:
        """Return the captions to score, the references and the model's perplexity."""
        hypotheses = (
            self.upstream(RerankCaptions)
            if self.captions == "reranked"
            else self.upstream(GenerateCaptions, search=self.captions)
        )
        return {
            "hypotheses": hypotheses,
            "annotations": self.upstream(PrepareAnnotations),
            "perplexity": self.upstream(EvaluatePerplexity),
        }

    def work(self, workspace: Workspace) -> None:
        """Write `results.json`, `scores.json` and `per_image.jsonl`."""
        from pipelines.evaluation.evaluate_captions import EvaluateCaptionsInputs, evaluate_captions

        scores = evaluate_captions(
            EvaluateCaptionsInputs(**workspace.inputs),
            workspace.directory,
            split=self.split,
            source=self.captions,
            image_input=self.image_input,
            java_metrics=self.java_metrics,
            progress=workspace.progress,
        )
        workspace.counts.update(images=scores.n, **{name: round(value, 4) for name, value in scores.metrics.items()})
