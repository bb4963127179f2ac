"""The files of a dataset: downloaded and unpacked, generated, or used in place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.data.dataset import Dataset, GeneratedDataset, Progress
from pipelines.data.download.fetch import fetch_all, record_checksum
from pipelines.data.download.unpack import unpack
from schemas.errors import ConfigurationError, InputError
from schemas.io.files import write_json

MANIFEST = "manifest.json"


def download_dataset(
    dataset: Dataset,
    directory: Path,
    source: Path | None,
    mirrors: Sequence[str],
    images: int,
    seed: int,
    progress: Progress,
) -> None:
    """Provide the files of a dataset, and write `MANIFEST`: where they are, where they came from, and the license.

    Args:
        dataset: Description of the dataset.
        directory: Directory of the artifact. Archives are kept in `archives` beside it.
        source: Absolute path of the unpacked dataset, which is used in place; None to download or generate it.
        mirrors: URLs or directories to try before the dataset's own URLs.
        images: Number of images of a generated dataset.
        seed: Random seed of a generated dataset.
        progress: Called with the completed fraction and a message.

    Raises:
        InputError: `source` is no directory.
        ConfigurationError: The dataset cannot be downloaded automatically.
        DownloadError: An archive cannot be fetched or unpacked.
    """
    root, archives = directory / "files", []
    if source:
        root = source
        if not root.is_dir():
            raise InputError(f"There is no directory {root}; set `source` of DownloadDataset to that of the dataset.")
    elif isinstance(dataset, GeneratedDataset):
        dataset.generate(root, seed=seed, images=images, progress=progress)
    elif not dataset.archives:
        raise ConfigurationError(
            f"{dataset.title} cannot be downloaded automatically; pass --DownloadDataset-source DIR."
        )
    else:
        archive_directory = directory.parent / "archives"
        downloaded = fetch_all(dataset.archives, archive_directory, mirrors, progress)
        for archive, found in zip(dataset.archives, downloaded, strict=True):
            unpack(found.path, root, progress)
            record_checksum(archive_directory, archive.name, found.sha256)  # unpacking has shown that it is complete
            archives.append({"name": archive.name, "url": found.url, "size": found.size, "sha256": found.sha256})
    manifest: dict[str, Any] = {
        "root": str(root) if source else root.name,
        "archives": archives,
        "title": dataset.title,
        "homepage": dataset.homepage,
        "license": dataset.license,
        "citation": dataset.citation,
    }
    write_json(directory / MANIFEST, manifest)
