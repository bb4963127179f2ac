"""EvaluateCaptions: results JSON first, then its scores."""

import luigi

from tasks.base.stage import Stage
from tasks.captions.generate_captions import GenerateCaptions
from tasks.captions.rerank_captions import RerankCaptions, Reranking
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace


class EvaluateCaptions(Reranking):
    """Scores the first caption of each image, as it was generated or after reranking."""

    version = 4  # SPICE, and which metric found the neighbors

    captions = luigi.ChoiceParameter(
        default="beam", choices=["greedy", "beam", "wide", "reranked"], description="which captions are scored"
    )

    def requires(self) -> dict[str, Stage]:
        """The captions to score, the references, and model and features for the perplexity."""
        hypotheses = (
            self.upstream(RerankCaptions)
            if self.captions == "reranked"
            else self.upstream(GenerateCaptions, search=self.captions)
        )
        return {
            "hypotheses": hypotheses,
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            "features": self.features(),
            "model": self.model(),
        }

    def work(self, workspace: Workspace) -> None:
        """Writes `results.json`, `scores.json` and `per_image.jsonl`."""
        from pipelines.evaluation.evaluate_captions import evaluate_captions

        scores = evaluate_captions(
            workspace.directory,
            hypotheses=workspace.inputs["hypotheses"],
            annotations=workspace.inputs["annotations"],
            captions=workspace.inputs["captions"],
            features=workspace.inputs["features"],
            model=workspace.inputs["model"],
            split=self.split,
            source=self.captions,
            image_input=self.image_input,
            progress=workspace.progress,
        )
        workspace.counts.update(images=scores.n, **{name: round(value, 4) for name, value in scores.metrics.items()})
