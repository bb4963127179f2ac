"""RerankFile: consensus reranking of anybody's captions."""

from pathlib import Path

import luigi

from tasks.cli.command import Command


class RerankFile(Command):
    """Puts the captions of each image into the order of their consensus with the captions of similar images."""

    hypotheses = luigi.Parameter(description="several captions an image: hypotheses.jsonl, JSON lines or m-RNN's list")
    references = luigi.Parameter(description="captions of the reference images: COCO JSON, JSON lines or m-RNN's list")
    out = luigi.Parameter(description="folder for results.json, hypotheses.jsonl and reranked.jsonl")
    neighbors = luigi.Parameter(default="", description="neighbors.h5 of FindNeighbors")
    features = luigi.Parameter(
        default="", description="features of both sides, see schemas/interop/features.py; else by none"
    )
    metric = luigi.ChoiceParameter(default="euclidean", choices=["euclidean", "cosine"], description="of features")
    similarity = luigi.ChoiceParameter(
        default="cider", choices=["cider", "bleu", "bleu-compat"], description="of two sentences"
    )
    k = luigi.IntParameter(default=60, description="nearest images whose captions are the references")
    m = luigi.IntParameter(default=125, description="largest similarities that are summed (paper: 175 for bleu)")

    def act(self) -> None:
        """Reranks, writes, and says how many images changed their caption."""
        from tqdm import tqdm

        from pipelines.captions.rerank_file import rerank_file

        with tqdm(total=1.0, bar_format="{percentage:3.0f}%|{bar:30}|", disable=None, leave=False) as bar:

            def progress(fraction: float) -> None:
                bar.n = fraction
                bar.refresh()

            counts = rerank_file(
                Path(self.hypotheses),
                Path(self.references),
                Path(self.out),
                neighbors=Path(self.neighbors) if self.neighbors else None,
                features=Path(self.features) if self.features else None,
                metric=self.metric,
                similarity=self.similarity,
                k=self.k,
                m=self.m,
                progress=progress,
            )
        print(
            f"{counts['images']} images reranked, {counts['first_changed']} with another first caption: "
            f"{Path(self.out) / 'results.json'}"
        )
