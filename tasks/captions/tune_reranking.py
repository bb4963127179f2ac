"""TuneReranking: which features, metric, similarity, k and m rerank the validation split best."""

import luigi

from tasks.base.mixins import ModelParams
from tasks.base.stage import Stage
from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.generate_captions import GenerateCaptions
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace


class TuneReranking(Stage, ModelParams):
    """Scores a grid of settings on the validation split; `grid.json` has all, best first."""

    version = 3  # self-consensus has no features; settings name the split

    feature_kinds = luigi.ListParameter(default=["original", "refined"], description="by which neighbors are found")
    metrics = luigi.ListParameter(default=["euclidean", "cosine"], description="distances of these features")
    similarities = luigi.ListParameter(default=["cider", "bleu"], description="of two sentences")
    ks = luigi.ListParameter(default=[10, 20, 40, 60, 90, 120, 200], description="numbers of nearest images")
    ms = luigi.ListParameter(default=[25, 50, 75, 125, 175, 250], description="numbers of similarities that are summed")

    def neighbors(self, split: str) -> dict[str, Stage]:
        """Every kind of neighbors in the grid, for a split's images, by name."""
        return {
            self.neighbors_of(kind, metric): self.upstream(FindNeighbors, split=split, feature_kind=kind, metric=metric)
            for kind in self.feature_kinds
            for metric in self.metrics
        }

    @staticmethod
    def neighbors_of(feature_kind: str, metric: str) -> str:
        """The name of one of these."""
        return f"neighbors_{feature_kind}_{metric}"

    def requires(self) -> dict[str, Stage]:
        """Hypotheses, references and neighbors of the validation split."""
        return {
            "hypotheses": self.upstream(GenerateCaptions, split="val", search="n-best"),
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            **self.neighbors("val"),
        }

    def work(self, workspace: Workspace) -> None:
        """Writes `grid.json`."""
        from dataclasses import asdict

        from pipelines.captions.tune_reranking import tune_reranking
        from schemas.annotations import read_annotations
        from schemas.captions import read_tokens
        from schemas.hypotheses import read_hypotheses
        from schemas.neighbors import read_neighbors

        tokens = read_tokens(workspace.inputs["captions"] / "tokens.jsonl", "train")
        best, scores = tune_reranking(
            list(read_hypotheses(workspace.inputs["hypotheses"])),
            [
                read_neighbors(workspace.inputs[self.neighbors_of(kind, metric)] / "neighbors.h5")
                for kind in self.feature_kinds
                for metric in self.metrics
            ],
            tokens,
            {image.image_id: image.captions for image in read_annotations(workspace.inputs["annotations"], "val")},
            self.similarities,
            self.ks,
            self.ms,
            workspace.directory / "grid.json",
            workspace.progress,
        )
        workspace.counts.update(asdict(best), **scores)
