"""BuildReport: everything about a run, in one HTML file."""

from tasks.download_dataset import DownloadDataset
from tasks.evaluations import Evaluated
from tasks.find_neighbours import FindNeighbours
from tasks.generate_captions import GenerateCaptions
from tasks.prepare_annotations import PrepareAnnotations
from tasks.rerank_captions import RerankCaptions
from tasks.stage import Stage
from tasks.tokenize_captions import TokenizeCaptions
from tasks.workspace import Workspace

RANDOM_WEIGHTS_NOTE = (
    "The CNN has random weights, from a seed: its features are random convolutions of the picture, since pretrained "
    "weights would have to be downloaded. Scores say how well captions can be learned from such features, no more."
)


class BuildReport(Evaluated):
    """Collects scores, curves, galleries and provenance; needs no network to be read."""

    version = 2  # words, nearest images, the graph of stages
    page = "report.html"

    def requires(self) -> dict[str, Stage]:
        """All that is shown."""
        test = {"split": "test"}
        return {
            "download": self.upstream(DownloadDataset),
            "annotations": self.upstream(PrepareAnnotations),
            "captions": self.upstream(TokenizeCaptions),
            "features": self.features(),
            "model": self.model(),
            "hypotheses": self.upstream(GenerateCaptions, search="wide", **test),
            "reranked": self.upstream(RerankCaptions, **test),
            "neighbours refined": self.upstream(FindNeighbours, feature_kind="refined", **test),
            "neighbours original": self.upstream(FindNeighbours, feature_kind="original", **test),
            "retrieval": self.retrieval(),
            **{f"scores {label}": row for label, row in self.score_rows().items()},
        }

    def work(self, workspace: Workspace) -> None:
        """Writes `report.html` and `summary.json`, the main numbers."""
        from pipelines.datasets import find_corpus
        from pipelines.report.collect import collect_contents
        from pipelines.report.render import render_report
        from pipelines.report.summary import summarise
        from schemas.files import write_json, write_text
        from schemas.provenance import read_provenance
        from tasks.dataset_root import dataset_root

        inputs = workspace.inputs
        scores = {name.removeprefix("scores "): path for name, path in inputs.items() if name.startswith("scores ")}
        extracted = read_provenance(inputs["features"]).parameters
        is_vgg = str(extracted.get("backbone", "")).startswith("vgg")  # a Hub module has weights of its own
        note = RANDOM_WEIGHTS_NOTE if is_vgg and extracted["weights"].startswith("random:") else None
        corpus = find_corpus(self.dataset)
        contents = collect_contents(
            title=corpus.title,
            corpus=corpus,
            dataset_root=dataset_root(inputs["download"]),
            annotations=inputs["annotations"],
            captions=inputs["captions"],
            features=inputs["features"],
            model=inputs["model"],
            hypotheses=inputs["hypotheses"],
            reranked=inputs["reranked"],
            neighbours={kind: inputs[f"neighbours {kind}"] for kind in ("refined", "original")},
            scores=scores,
            retrieval=inputs["retrieval"],
            note=note,
        )
        write_text(workspace.directory / "report.html", render_report(contents))
        write_json(workspace.directory / "summary.json", summarise(scores, inputs["retrieval"], note))
