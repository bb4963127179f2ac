"""BuildReport: the report of a run in one HTML file."""

from tasks.base.stage import Stage
from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.pool_captions import hypotheses_stage
from tasks.captions.rerank_captions import RerankCaptions
from tasks.data.download_dataset import DownloadDataset
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.evaluation.score_rows import BEAM_ROW, CONSENSUS_ROW, N_BEST_ROW, AllScores
from tasks.runtime.workspace import Workspace
from tasks.training.source import model_stage
from tasks.training.trained_model import model_features_stage

RANDOM_WEIGHTS_NOTE = (
    "The backbone has random weights from a seed, because pretrained weights would have to be downloaded. The scores "
    "only measure how well captions can be learned from random convolutions of the images."
)


class BuildReport(AllScores):
    """Write scores, curves, galleries and provenance to one HTML file that needs no network."""

    version = 5  # gain by consensus reranking
    page = "report.html"

    def requires(self) -> dict[str, Stage]:
        """Return all that is shown."""
        test = {"split": "test"}
        return {
            "download": self.upstream(DownloadDataset),
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            "features": model_features_stage(self),
            "model": model_stage(self),
            "hypotheses": hypotheses_stage(self, **test),
            "reranked": self.upstream(RerankCaptions, **test),
            "neighbors refined": self.upstream(FindNeighbors, feature_kind="refined", **test),
            "neighbors original": self.upstream(FindNeighbors, feature_kind="original", **test),
            "retrieval": self.retrieval(),
            **{f"scores {label}": row for label, row in self.score_rows().items()},
        }

    def work(self, workspace: Workspace) -> None:
        """Write `report.html` and `summary.json`, the main numbers and some captions."""
        from pipelines.data.datasets import find_dataset
        from pipelines.report.build_report import build_report
        from pipelines.report.data import ReportInputs
        from schemas.provenance import read_provenance
        from tasks.data.download_dataset import dataset_root

        inputs = workspace.inputs
        extracted = read_provenance(inputs["features"]).parameters
        is_vgg = str(extracted.get("backbone", "")).startswith("vgg")  # a Hub module has weights of its own
        has_random_weights = is_vgg and str(extracted.get("weights", "")).startswith("random:")
        dataset = find_dataset(self.dataset)
        build_report(
            ReportInputs(
                title=dataset.title,
                dataset=dataset,
                image_root=dataset_root(inputs["download"]),
                annotations=inputs["annotations"],
                captions=inputs["captions"],
                features=inputs["features"],
                model=inputs["model"],
                hypotheses=inputs["hypotheses"],
                reranked=inputs["reranked"],
                neighbors={kind: inputs[f"neighbors {kind}"] for kind in ("refined", "original")},
                scores={label: inputs[f"scores {label}"] for label in self.score_rows()},
                retrieval=inputs["retrieval"],
                note=RANDOM_WEIGHTS_NOTE if has_random_weights else None,
                claim=(CONSENSUS_ROW, N_BEST_ROW),
            ),
            BEAM_ROW,
            workspace.directory,
        )
