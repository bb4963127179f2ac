"""TuneReranking: which features, similarity, k and m rerank the validation split best."""

import luigi

from tasks.find_neighbours import FindNeighbours
from tasks.generate_captions import GenerateCaptions
from tasks.prepare_annotations import PrepareAnnotations
from tasks.stage import Stage
from tasks.tokenize_captions import TokenizeCaptions
from tasks.trained_model import UsesModel
from tasks.workspace import Workspace


class TuneReranking(UsesModel):
    """Scores a grid of settings on the validation split; `grid.json` has all, best first."""

    similarities = luigi.ListParameter(default=["cider", "bleu"], description="of two sentences")
    ks = luigi.ListParameter(default=[10, 20, 40, 60, 90, 120, 200], description="numbers of nearest images")
    ms = luigi.ListParameter(default=[25, 50, 75, 125, 175, 250], description="numbers of similarities that are summed")

    def requires(self) -> dict[str, Stage]:
        """Hypotheses, references and both kinds of neighbours of the validation split."""
        return {
            "hypotheses": self.upstream(GenerateCaptions, split="val", search="wide"),
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            "original": self.upstream(FindNeighbours, split="val", feature_kind="original"),
            "refined": self.upstream(FindNeighbours, split="val", feature_kind="refined"),
        }

    def work(self, workspace: Workspace) -> None:
        """Writes `grid.json`."""
        from pipelines.tune_reranking import tune_reranking
        from schemas.annotations import read_annotations
        from schemas.files import read_json_lines
        from schemas.hypotheses import read_hypotheses
        from schemas.neighbours import read_neighbours

        tokens = read_json_lines(workspace.inputs["captions"] / "tokens.jsonl")
        best = tune_reranking(
            list(read_hypotheses(workspace.inputs["hypotheses"])),
            {kind: read_neighbours(workspace.inputs[kind] / "neighbours.h5") for kind in ("original", "refined")},
            {record["image_id"]: record["tokens"] for record in tokens if record["split"] == "train"},
            {image.image_id: image.captions for image in read_annotations(workspace.inputs["annotations"], "val")},
            self.similarities,
            self.ks,
            self.ms,
            workspace.directory / "grid.json",
            workspace.progress,
        )
        workspace.counts.update(best)
