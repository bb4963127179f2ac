"""Releases on the Hugging Face Hub."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.release.layout import INDEX, SUMS, read_sums
from schemas.errors import ArtifactError, ConfigurationError, StorageAccessError, StorageError
from schemas.io.files import digest_file
from schemas.text import install_hint, printable, reason

SCHEME = "hf://"
_CAPTIONER = ("model/*", "provenance/original.json", INDEX, SUMS)  # a release without features and captions
_ADDRESS = re.compile(r"hf://(datasets/)?([\w.-]+/[\w.-]+)(?:@([^\s/]+))?/?")
_REASON = 200  # maximum number of characters quoted from a library


def is_on_hub(address: str) -> bool:
    """Return whether `address` is one of the Hub."""
    return address.startswith(SCHEME)


def download_captioner(address: str) -> Path:
    """Download model, vocabulary and description of a release, without its features, and check their digests.

    Files are kept in the cache of huggingface_hub and are not downloaded again.

    Args:
        address: `hf://USER/NAME` or, of a repository for data, `hf://datasets/USER/NAME`; `@REVISION` may follow.

    Returns:
        A directory in the layout of a release.

    Raises:
        ConfigurationError: The address is malformed, or huggingface_hub is not installed.
        StorageError: The repository is missing, private, or cannot be reached.
        ArtifactError: The repository is not a release, or a file is damaged.
    """
    match = _ADDRESS.fullmatch(address)
    if not match:
        raise ConfigurationError(f"{printable(address)} is not a URL of the Hugging Face Hub; write hf://USER/NAME.")
    of_data, name, revision = match.groups()
    directory = _download(address, name, "dataset" if of_data else "model", revision, _CAPTIONER)
    if not (directory / INDEX).is_file():
        raise ArtifactError(f"{address} is not a release of PublishFeatures: {INDEX} is missing; check the URL.")
    for file, digest in read_sums(directory).items():
        path = directory / file
        if path.is_file() and digest_file(path) != digest:
            raise ArtifactError(
                f"{file} of {address} does not have the digest of {SUMS}; delete {directory}, or ask the publisher."
            )
    return directory


def _download(address: str, name: str, kind: str, revision: str | None, patterns: Sequence[str]) -> Path:
    try:
        import huggingface_hub
        from huggingface_hub import errors
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise ConfigurationError(f"{address} needs huggingface_hub; {install_hint('hf')}.") from error
    if not sys.stderr.isatty():
        disable_progress_bars()
    options: dict[str, Any] = {"repo_type": kind, "revision": revision, "allow_patterns": list(patterns)}
    try:
        return Path(huggingface_hub.snapshot_download(name, **options))
    except errors.RevisionNotFoundError as error:
        raise StorageError(f"{address} has no revision {revision}; check the URL.") from error
    except errors.RepositoryNotFoundError as error:
        raise StorageAccessError(
            f"{address} does not exist or is private; check the URL, or log in with `hf auth login`."
        ) from error
    except errors.HFValidationError as error:
        raise ConfigurationError(f"{address} is not a valid name ({reason(error, _REASON)}); check the URL.") from error
    except OSError as error:
        raise StorageError(
            f"{address} cannot be downloaded ({reason(error, _REASON)}); check the network and HF_ENDPOINT, then run "
            "the command again."
        ) from error
