"""DownloadDataset: the files of a dataset, downloaded, generated or used in place."""

from pathlib import Path
from typing import Any

import luigi

from schemas.errors import ConfigurationError
from schemas.io.files import read_json
from tasks.base.stage import Stage
from tasks.runtime.workspace import Workspace


class DownloadDataset(Stage):
    """Download and unpack the dataset, generate it, or use it in place.

    Of a `source`, the key has the path only: what is in there counts where it is used, see PrepareAnnotations.
    """

    content = ("manifest.json",)

    source = luigi.Parameter(default="", description="Directory of an unpacked dataset, which is used in place.")
    mirrors = luigi.ListParameter(
        default=[],
        significant=False,
        description="URLs or directories to try before the dataset's own URLs, as a JSON list.",
    )
    images = luigi.IntParameter(default=1200, description="Number of images of a generated dataset.")
    seed = luigi.IntParameter(default=0, description="Random seed of a generated dataset.")

    def parameters(self, significant: bool) -> dict[str, Any]:
        """Return the parameters, with the absolute path of `source`."""
        values = super().parameters(significant)
        if significant and self.source:
            values["source"] = str(source_root(self.source))
        return values

    def work(self, workspace: Workspace) -> None:
        """Write `manifest.json`: where the files are, where they came from and under which license."""
        from pipelines.data.datasets import find_dataset
        from pipelines.data.download_dataset import download_dataset

        download_dataset(
            find_dataset(self.dataset),
            workspace.directory,
            source_root(self.source) if self.source else None,
            self.mirrors,
            self.images,
            self.seed,
            workspace.progress,
        )


def dataset_root(download: Path) -> Path:
    """Return the dataset's root directory, in the artifact of DownloadDataset or elsewhere."""
    return download / str(read_json(download / "manifest.json")["root"])


def source_root(source: str) -> Path:
    """Return the absolute path of a directory that the user names.

    Raises:
        ConfigurationError: It is not UTF-8, so that no artifact could record it.
    """
    path = Path(source).expanduser().absolute()
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"The name of {path} is not UTF-8; rename it, or set PYTHONUTF8=1.") from error
    return path
