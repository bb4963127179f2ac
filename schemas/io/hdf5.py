"""HDF5 files, written atomically and checked when opened."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from schemas.errors import ArtifactError, MRNNError
from schemas.io.files import atomic_path
from schemas.text import reason

SCHEMA_VERSION = 1


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Create an HDF5 file that appears at `path` when the block succeeds; the same content gives the same bytes.

    The oldest format is used (h5py's default), because newer ones store the time of writing in each group. It limits
    attributes to 64 KiB; longer texts must be datasets.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        yield file


@contextmanager
def open_hdf5(path: Path, datasets: Sequence[str], optional: Sequence[str] = ()) -> Iterator[h5py.File]:
    """Open an HDF5 artifact for reading.

    Args:
        path: The file.
        datasets: Datasets that it must have.
        optional: Datasets that it can have.

    Raises:
        ArtifactError: The file is missing, damaged, of another schema version, or lacks one of `datasets`.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ArtifactError(f"{path} cannot be opened as HDF5 ({error}); run its stage again.") from error
    with file:
        try:
            version = file.attrs.get("schema_version")
            if version != SCHEMA_VERSION:
                raise ArtifactError(
                    f"{path} has schema version {version}, this code reads {SCHEMA_VERSION}; run its stage again."
                )
            missing = [name for name in datasets if name not in file]
            if missing:
                raise ArtifactError(f"{path} lacks the dataset {missing[0]!r}; run its stage again.")
            others = find_external_links(file, (*datasets, *optional))
            if others:
                raise ArtifactError(f"{path} has {others[0]!r} in another file; run its stage again.")
            yield file
        except MRNNError:
            raise
        except Exception as error:  # what h5py raises on a damaged file depends on the damage
            raise ArtifactError(f"{path} is damaged ({reason(error, 200)}); run its stage again.") from error


def find_external_links(file: h5py.File, names: Iterable[str]) -> list[str]:
    """Return the names of objects whose content is in other files: links, external and virtual datasets."""

    def leads_out(name: str) -> bool:
        if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
            return True
        found = file.get(name)
        return isinstance(found, h5py.Dataset) and (found.external is not None or found.is_virtual)

    return [name for name in names if leads_out(name)]


def encode_strings(values: Sequence[str]) -> NDArray[np.bytes_]:
    """Return strings as an array (n,) of fixed-length UTF-8 bytes."""
    encoded = [value.encode("utf-8") for value in values]
    return np.array(encoded, dtype=f"S{max(map(len, encoded), default=0) or 1}")


def write_strings(group: h5py.Group, name: str, values: Sequence[str] | NDArray[np.bytes_]) -> None:
    """Store strings as fixed-length UTF-8 bytes, which any HDF5 tool reads.

    Args:
        group: File or group to write to.
        name: Name of the dataset.
        values: The n strings, or the result of `encode_strings`.
    """
    encoded = values if isinstance(values, np.ndarray) else encode_strings(values)
    group.create_dataset(name, data=encoded.astype(h5py.string_dtype("utf-8", encoded.dtype.itemsize)))


def read_strings(dataset: h5py.Dataset) -> list[str]:
    """Return the strings of a dataset written by `write_strings`."""
    return [value.decode("utf-8") for value in dataset[()]]
