"""Where the files of a corpus are."""

from functools import cached_property
from pathlib import Path
from typing import Any

import luigi

from schemas.io.files import read_json, write_json
from tasks.base.stage import Stage
from tasks.runtime.workspace import Workspace


class DownloadDataset(Stage):
    """Downloads and unpacks the corpus, generates it, or takes it where it is already."""

    content = ("manifest.json",)

    source = luigi.Parameter(
        default="", description="folder with the unpacked corpus: it is used where it is, nothing is copied"
    )
    mirrors = luigi.ListParameter(
        default=[], significant=False, description="addresses or folders tried before the corpus's own, as a JSON list"
    )
    images = luigi.IntParameter(default=1200, description="images of a generated corpus")
    seed = luigi.IntParameter(default=0, description="seed of a generated corpus")

    def parameters(self, significant: bool) -> dict[str, Any]:
        """As of every stage; of a `source`, what lies there is significant too."""
        values = super().parameters(significant)
        if significant and self.source:
            return {**values, "source": str(source_root(self.source)), "listing": self.listing}
        return values

    @cached_property
    def listing(self) -> str | None:
        """Digest of what lies in `source`; None where there is no such folder, which `work` says."""
        from pipelines.data.files import digest_listing

        return digest_listing(source_root(self.source)) if source_root(self.source).is_dir() else None

    def work(self, workspace: Workspace) -> None:
        """Writes `manifest.json`: where the files are, where they came from and under which license."""
        from pipelines.data.dataset import GeneratedCorpus
        from pipelines.data.datasets import find_dataset
        from pipelines.data.download.fetch import fetch_all, record_checksum
        from pipelines.data.download.unpack import unpack
        from schemas.errors import ConfigurationError, InputError

        corpus = find_dataset(self.dataset)
        root, archives = workspace.directory / "files", []
        if self.source:
            root = source_root(self.source)
            if not root.is_dir():
                raise InputError(f"There is no folder {root}; set `source` of DownloadDataset to that of the corpus.")
        elif not corpus.archives and not isinstance(corpus, GeneratedCorpus):
            raise ConfigurationError(
                f"{corpus.title} are nowhere to be downloaded from; name their folder: --DownloadDataset-source DIR."
            )
        elif isinstance(corpus, GeneratedCorpus):
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
                "root": str(root) if self.source else root.name,
                "archives": archives,
                "title": corpus.title,
                "homepage": corpus.homepage,
                "license": corpus.license,
                "citation": corpus.citation,
            },
        )


def dataset_root(download: Path) -> Path:
    """The corpus's root folder, from the artifact of DownloadDataset: in the artifact, or elsewhere on this disk."""
    return download / str(read_json(download / "manifest.json")["root"])


def source_root(source: str) -> Path:
    """The absolute path of a folder that the user names."""
    return Path(source).expanduser().absolute()
