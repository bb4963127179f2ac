"""Where the files of a downloaded corpus are."""

from pathlib import Path

from schemas.files import read_json


def dataset_root(download: Path) -> Path:
    """The corpus's root folder, from the artifact of DownloadDataset."""
    return download / str(read_json(download / "manifest.json")["root"])
