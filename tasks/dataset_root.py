"""Where the files of a corpus are."""

from pathlib import Path

from schemas.files import read_json


def dataset_root(download: Path) -> Path:
    """The corpus's root folder, from the artifact of DownloadDataset: in the artifact, or elsewhere on this disk."""
    return download / str(read_json(download / "manifest.json")["root"])


def source_root(source: str) -> Path:
    """The absolute path of a folder that the user names."""
    return Path(source).expanduser().absolute()
