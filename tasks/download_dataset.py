"""DownloadDataset: the corpus's files on this disk."""

import luigi

from schemas.files import write_json
from tasks.stage import Stage
from tasks.workspace import Workspace


class DownloadDataset(Stage):
    """Downloads and unpacks the corpus, or generates it."""

    content = ("manifest.json",)

    mirrors = luigi.ListParameter(
        default=[], significant=False, description="addresses or folders tried before the corpus's own, as a JSON list"
    )
    images = luigi.IntParameter(default=1200, description="images of a generated corpus")
    seed = luigi.IntParameter(default=0, description="seed of a generated corpus")

    def work(self, workspace: Workspace) -> None:
        """Writes `manifest.json`: where the files are, where they came from and under which licence."""
        from pipelines.archives import unpack
        from pipelines.checksums import record_checksum
        from pipelines.datasets import find_corpus
        from pipelines.datasets.base import GeneratedCorpus
        from pipelines.download import fetch_all

        corpus = find_corpus(self.dataset)
        root, archives = workspace.directory / "files", []
        if isinstance(corpus, GeneratedCorpus):
            corpus.generate(root, seed=self.seed, images=self.images, progress=workspace.progress)
        else:
            folder = workspace.directory.parent / "archives"
            downloaded = fetch_all(corpus.archives, folder, self.mirrors, workspace.progress)
            for archive, found in zip(corpus.archives, downloaded, strict=True):
                unpack(found.path, root, workspace.progress)
                record_checksum(folder, archive.name, found.sha256)  # no sooner: now it is known to be whole
                archives.append({"name": archive.name, "url": found.url, "size": found.size, "sha256": found.sha256})
        write_json(
            workspace.directory / "manifest.json",
            {
                "root": root.name,
                "archives": archives,
                "title": corpus.title,
                "homepage": corpus.homepage,
                "licence": corpus.licence,
                "citation": corpus.citation,
            },
        )
