"""The `features` artifact: one HDF5 file with a feature vector per image, and the list of rejected images."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from schemas.errors import ArtifactError
from schemas.io.files import read_json_lines, write_json_lines
from schemas.io.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings


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
    path: Path, image_ids: Sequence[str], dimension: int, dtype: str, description: FeatureDescription, rejected: int = 0
) -> Iterator[h5py.Dataset]:
    """Create a features file, which appears at `path` when the block ends without an error.

    The attributes `images` and `rejected` count all images and those without a row.

    Args:
        path: File to write.
        image_ids: Ids of the N rows, in order.
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


class FeatureRows:
    """Feature vectors of some images, read from disk when they are indexed.

    `rows[index]` takes an index array or a slice and returns an array (n, D) in the file's dtype.

    Attributes:
        shape: Shape (n, D) of the selected matrix.
        dtype: Data type of the features, float16 or float32.
    """

    def __init__(self, features: NDArray[np.floating], rows: NDArray[np.int64]):
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
    """Features of an artifact or of a release, mapped from disk.

    Attributes:
        path: The HDF5 file.
        features: Feature matrix float16 or float32 (N, D), a read-only memory map.
        image_ids: Ids of the N rows.
        description: Origin of the features.
    """

    features: NDArray[np.floating]

    def __init__(self, path: Path):
        """Map the feature matrix; rows are read when they are used.

        Raises:
            ArtifactError: The file is missing, corrupted or not stored contiguously.
        """
        self.path = path
        with open_hdf5(path, ("features", "image_ids")) as file:
            missing = [field.name for field in fields(FeatureDescription) if field.name not in file.attrs]
            if missing:
                raise ArtifactError(f"{path} has no attribute {missing[0]!r}; run its stage again.")
            self.description = FeatureDescription(
                **{field.name: str(file.attrs[field.name]) for field in fields(FeatureDescription)}
            )
            self.image_ids = read_strings(file["image_ids"])
            self.features = _map(file["features"], path)
        self._row_of = {image_id: row for row, image_id in enumerate(self.image_ids)}
        if len(self._row_of) != len(self.features):
            raise ArtifactError(
                f"{path} has {len(self.features)} rows for {len(self._row_of)} images; run its stage again."
            )

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._row_of

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
        missing = [image_id for image_id in image_ids if image_id not in self._row_of]
        if missing:
            raise ArtifactError(
                f"{self.path} has no features of image {missing[0]} (and {len(missing) - 1} more requested ones)."
            )
        return FeatureRows(self.features, np.array([self._row_of[image_id] for image_id in image_ids], np.int64))

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
