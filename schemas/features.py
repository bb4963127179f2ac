"""The `features` artifact: a feature vector per image, and the list of rejected images.

`features.h5` has all rows, or is the index of a sharded artifact, whose rows are in files of the directory `features`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from schemas.errors import ArtifactError
from schemas.io.files import read_json_lines, write_json_lines
from schemas.io.hdf5 import create_hdf5, encode_strings, open_hdf5, read_strings, write_strings

SHARDS = "features"  # directory of the rows of a sharded artifact, next to its `features.h5`
MAPPED_SHARDS = 256  # files that are mapped at a time, each of which takes a file descriptor
_ROWS = ("features", "shards", "sha256", "rows", "offsets")


@dataclass(frozen=True)
class FeatureDescription:
    """Origin of a feature matrix.

    Attributes:
        kind: Feature kind, such as `vgg16/fc2` or `refined`.
        preprocessing: Description of the preprocessing of pixels.
        weights_digest: SHA-256 of the network's weights, in hex.
        dataset: Name of the dataset.
    """

    kind: str
    preprocessing: str
    weights_digest: str
    dataset: str


@dataclass(frozen=True)
class Reject:
    """An image without features.

    Attributes:
        image_id: Id of the image.
        stage: Step that rejected it: `read`, `decode` or `import`.
        error: The reason, in one line.
    """

    image_id: str
    stage: str
    error: str


@contextmanager
def create_features(
    path: Path,
    image_ids: Sequence[str] | NDArray[np.bytes_],
    dimension: int,
    dtype: str,
    description: FeatureDescription,
    rejected: int = 0,
) -> Iterator[h5py.Dataset]:
    """Create a features file, which appears at `path` when the block ends without an error.

    The attributes `images` and `rejected` count all images and those without a row.

    Args:
        path: File to write.
        image_ids: Ids of the N rows, in order, also as `encode_strings` encodes them.
        dimension: D, the length of a feature vector.
        dtype: `float16` or `float32`.
        description: Origin of the features.
        rejected: Number of images without a row.

    Yields:
        The empty, contiguous dataset (N, D).
    """
    with create_hdf5(path) as file:
        file.attrs.update(asdict(description))
        file.attrs["images"] = len(image_ids) + rejected
        file.attrs["rejected"] = rejected
        write_strings(file, "image_ids", image_ids)
        yield file.create_dataset("features", (len(image_ids), dimension), dtype)


def write_features(
    path: Path, image_ids: Sequence[str], features: NDArray[np.floating], description: FeatureDescription
) -> None:
    """Write a feature matrix in its own dtype.

    Args:
        path: File to write.
        image_ids: Ids of the N images.
        features: Feature matrix float16 or float32 (N, D).
        description: Origin of the features.

    Raises:
        ArtifactError: A value is not finite; names the image.
    """
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if broken.size:
        raise ArtifactError(f"The features of image {image_ids[broken[0]]} ({path.name}) contain NaN or infinity.")
    with create_features(path, image_ids, features.shape[1], str(features.dtype), description) as dataset:
        dataset[...] = features


@dataclass(frozen=True)
class FeatureShard:
    """A file with some rows of a sharded artifact.

    Attributes:
        name: Name of the HDF5 file in the directory `SHARDS` of the artifact.
        rows: Number of its rows.
        offset: Position in the file of the matrix in bytes.
        sha256: Digest of the file in hex, by the worker that wrote it.
    """

    name: str
    rows: int
    offset: int
    sha256: str


def create_features_index(
    path: Path,
    shards: Sequence[FeatureShard],
    image_ids: NDArray[np.bytes_],
    dimension: int,
    dtype: str,
    description: FeatureDescription,
    rejected: int = 0,
) -> None:
    """Create the features file of a sharded artifact: like that of `create_features`, with an index in place of rows.

    Args:
        path: File to write.
        shards: Files with the rows, in order.
        image_ids: Ids of all N rows, in order, encoded by `encode_strings`.
        dimension: D, the length of a feature vector.
        dtype: `float16` or `float32`.
        description: Origin of the features.
        rejected: Number of images without a row.
    """
    with create_hdf5(path) as file:
        file.attrs.update(asdict(description))
        file.attrs["images"] = len(image_ids) + rejected
        file.attrs["rejected"] = rejected
        file.attrs["dimension"], file.attrs["dtype"] = dimension, dtype
        write_strings(file, "image_ids", image_ids)
        write_strings(file, "shards", [shard.name for shard in shards])
        write_strings(file, "sha256", [shard.sha256 for shard in shards])
        file.create_dataset("rows", data=np.array([shard.rows for shard in shards], np.int64))
        file.create_dataset("offsets", data=np.array([shard.offset for shard in shards], np.int64))


def read_features_index(path: Path) -> list[FeatureShard]:
    """Return the files with the rows of an artifact; none if its features file has all rows.

    Raises:
        ArtifactError: The file is missing or corrupted.
    """
    with open_hdf5(path, ("image_ids",), _ROWS) as file:
        return [] if "features" in file else _read_index(file)


def _read_index(file: h5py.File) -> list[FeatureShard]:
    names, digests = read_strings(file["shards"]), read_strings(file["sha256"])
    columns = zip(names, file["rows"][()].tolist(), file["offsets"][()].tolist(), digests, strict=True)
    return [FeatureShard(*values) for values in columns]


class ShardedMatrix:
    """Feature matrix (N, D) whose rows are in several files, of which a bounded number is mapped at a time.

    `matrix[index]` takes an index array or a slice and returns an array (n, D).

    Attributes:
        shape: Shape (N, D).
        dtype: Data type of the features, float16 or float32.
    """

    def __init__(self, directory: Path, shards: Sequence[FeatureShard], dimension: int, dtype: str):
        """Store the location of the rows; files are mapped when their rows are read.

        Args:
            directory: Directory of the files.
            shards: Files with the rows, in order.
            dimension: D, the length of a feature vector.
            dtype: `float16` or `float32`.
        """
        self._directory, self._shards = directory, shards
        self._starts = np.cumsum([0, *(shard.rows for shard in shards)])
        self.dtype, self.shape = np.dtype(dtype), (int(self._starts[-1]), dimension)
        self._mapped = lru_cache(MAPPED_SHARDS)(self._map)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: NDArray[np.integer] | slice) -> NDArray[np.floating]:
        rows = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        for owner in np.unique(owners).tolist():
            chosen = owners == owner
            found[chosen] = self._mapped(owner)[rows[chosen] - self._starts[owner]]
        return found

    def _map(self, number: int) -> NDArray[np.floating]:
        shard = self._shards[number]
        path = self._directory / shard.name
        try:
            if Path(shard.name).name != shard.name:
                raise ValueError("it is in another directory")
            return np.memmap(path, self.dtype, "r", shard.offset, (shard.rows, self.shape[1]))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} cannot be used ({error}); run its stage again.") from error


class FeatureRows:
    """Feature vectors of some images, read from disk when they are indexed.

    `rows[index]` takes an index array or a slice and returns an array (n, D) in the file's dtype.

    Attributes:
        shape: Shape (n, D) of the selected matrix.
        dtype: Data type of the features, float16 or float32.
    """

    def __init__(self, features: NDArray[np.floating] | ShardedMatrix, rows: NDArray[np.int64]):
        """Select rows without reading them.

        Args:
            features: Feature matrix (N, D), mapped from disk.
            rows: Row indices int64 (n,).
        """
        self._features, self._rows = features, rows
        self.dtype, self.shape = features.dtype, (len(rows), features.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: NDArray[np.integer] | slice) -> NDArray[np.floating]:
        rows: NDArray[np.floating] = self._features[self._rows[index]]
        return rows


class FeatureFile:
    """Features of an artifact or of a release, mapped from disk, also those of a sharded artifact.

    Attributes:
        path: The HDF5 file.
        features: Feature matrix float16 or float32 (N, D), mapped read-only.
        description: Origin of the features.
    """

    features: NDArray[np.floating] | ShardedMatrix

    def __init__(self, path: Path):
        """Map the feature matrix; rows are read when they are used.

        Raises:
            ArtifactError: The file is missing, corrupted or not stored contiguously.
        """
        self.path = path
        with open_hdf5(path, ("image_ids",), _ROWS) as file:
            missing = [field.name for field in fields(FeatureDescription) if field.name not in file.attrs]
            if missing:
                raise ArtifactError(f"{path} has no attribute {missing[0]!r}; run its stage again.")
            self.description = FeatureDescription(
                **{field.name: str(file.attrs[field.name]) for field in fields(FeatureDescription)}
            )
            self._ids: NDArray[np.bytes_] = file["image_ids"][()]
            if "shards" in file:
                dimension, dtype = int(file.attrs["dimension"]), str(file.attrs["dtype"])
                self.features = ShardedMatrix(path.with_name(SHARDS), _read_index(file), dimension, dtype)
            elif "features" in file:
                self.features = _map(file["features"], path)
            else:
                raise ArtifactError(f"{path} lacks the dataset 'features'; run its stage again.")
        # Two arrays take a fraction of a dictionary's memory.
        self._order = np.argsort(self._ids, kind="stable")
        self._sorted = self._ids[self._order]
        distinct = len(self._ids) - int((self._sorted[1:] == self._sorted[:-1]).sum())
        if distinct != len(self.features):
            raise ArtifactError(f"{path} has {len(self.features)} rows for {distinct} images; run its stage again.")

    def __contains__(self, image_id: str) -> bool:
        return bool(self._rows_of([image_id])[0] >= 0)

    @cached_property
    def image_ids(self) -> list[str]:
        """Ids of the N rows."""
        return [value.decode("utf-8") for value in self._ids.tolist()]

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""
        return int(self.features.shape[1])

    def blocks(self, rows: int = 4096) -> Iterator[NDArray[np.floating]]:
        """Yield all rows in order, (n, D) with n <= `rows`, in the file's dtype."""
        for start in range(0, len(self.features), rows):
            yield np.array(self.features[start : start + rows])

    def rows(self, image_ids: Sequence[str]) -> FeatureRows:
        """Return the given images' rows, in their order, without reading them yet.

        Raises:
            ArtifactError: An image has no row; names the first.
        """
        rows = self._rows_of(image_ids)
        missing = np.flatnonzero(rows < 0)
        if missing.size:
            raise ArtifactError(
                f"{self.path} has no features of image {image_ids[missing[0]]} (and {missing.size - 1} more requested "
                "ones)."
            )
        return FeatureRows(self.features, rows)

    def _rows_of(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row (n,) of each image, -1 where there is none."""
        wanted = encode_strings(image_ids)
        if wanted.dtype.itemsize < self._sorted.dtype.itemsize:  # otherwise NumPy converts all ids
            wanted = wanted.astype(self._sorted.dtype)
        places = np.searchsorted(self._sorted, wanted)
        known = places < len(self._sorted)
        known[known] = self._sorted[places[known]] == wanted[known]
        rows = np.full(len(wanted), -1, np.int64)
        rows[known] = self._order[places[known]]
        return rows

    def read(self, image_ids: Sequence[str]) -> NDArray[np.floating]:
        """Return the given images' features (len(image_ids), D), in their order, in the file's dtype.

        Raises:
            ArtifactError: An image has no row; names the first.
        """
        return self.rows(image_ids)[:]


def _map(dataset: h5py.Dataset, path: Path) -> NDArray[np.floating]:
    """Map a contiguous dataset; HDF5 reports where its bytes start."""
    if dataset.chunks or dataset.ndim != 2:
        raise ArtifactError(f"The features of {path} are not one contiguous matrix; run its stage again.")
    if not dataset.size:  # HDF5 allocates no bytes for it
        return np.empty(dataset.shape, dataset.dtype)
    return np.memmap(path, dataset.dtype, "r", dataset.id.get_offset(), dataset.shape)


def write_rejects(directory: Path, rejects: Iterable[Reject]) -> int:
    """Write `rejects.jsonl` and return the number of rejects."""
    return write_json_lines(directory / "rejects.jsonl", (asdict(reject) for reject in rejects))


def read_rejects(directory: Path) -> list[Reject]:
    """Read `rejects.jsonl`.

    Raises:
        ArtifactError: The file is missing or malformed.
    """
    path = directory / "rejects.jsonl"
    try:
        return [Reject(**record) for record in read_json_lines(path)]
    except TypeError as error:
        raise ArtifactError(f"{path} is not a list of rejected images ({error}); run its stage again.") from error
