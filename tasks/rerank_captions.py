"""RerankCaptions: hypotheses ordered by their consensus with the captions of similar training images."""

import luigi

from tasks.find_neighbours import ByFeatures, FindNeighbours
from tasks.generate_captions import GenerateCaptions
from tasks.stage import Stage
from tasks.tokenize_captions import TokenizeCaptions
from tasks.workspace import Workspace


class Reranking(ByFeatures):
    """A stage that depends on how hypotheses are compared with references."""

    similarity = luigi.ChoiceParameter(
        default="cider", choices=["cider", "bleu", "bleu-compat"], description="of two sentences"
    )
    against = luigi.ChoiceParameter(
        default="neighbours",
        choices=["neighbours", "self"],
        description="whose captions hypotheses are compared with: nearest training images', or one another (no images)",
    )


class RerankCaptions(Reranking):
    """Consensus reranking (the paper's Section 8); document frequencies are those of the training captions."""

    version = 2  # an image is no neighbour of itself

    k = luigi.IntParameter(default=60, description="nearest training images whose captions are the references")
    m_cider = luigi.IntParameter(default=125, description="largest similarities that are summed, for cider")
    m_bleu = luigi.IntParameter(default=175, description="the same for bleu")

    @property
    def m(self) -> int:
        """How many of the largest similarities are summed."""
        return int(self.m_cider if self.similarity == "cider" else self.m_bleu)

    def requires(self) -> dict[str, Stage]:
        """Hypotheses, neighbours and the training captions."""
        required: dict[str, Stage] = {
            "hypotheses": self.upstream(GenerateCaptions, search="wide"),
            "captions": self.upstream(TokenizeCaptions),
        }
        if self.against == "neighbours":
            required["neighbours"] = self.upstream(FindNeighbours)
        return required

    def work(self, workspace: Workspace) -> None:
        """Writes `hypotheses.jsonl`, best first by consensus, and `reranked.jsonl` with scores and neighbours."""
        from pipelines.rerank import rerank
        from schemas.files import read_json_lines
        from schemas.hypotheses import read_hypotheses
        from schemas.neighbours import read_neighbours

        neighbours = workspace.inputs.get("neighbours")
        tokens = read_json_lines(workspace.inputs["captions"] / "tokens.jsonl")
        changed = rerank(
            list(read_hypotheses(workspace.inputs["hypotheses"])),
            read_neighbours(neighbours / "neighbours.h5") if neighbours else None,
            {record["image_id"]: record["tokens"] for record in tokens if record["split"] == "train"},
            self.similarity,
            self.k,
            self.m,
            workspace.directory,
            lambda done: workspace.progress(done, f"{self.similarity}, k = {self.k}, m = {self.m}"),
        )
        workspace.counts.update(changed)
