"""The `features` artifact: one HDF5 file with a row an image, and the list of images that were rejected."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from schemas.errors import ArtifactError
from schemas.io.files import read_json_lines, write_json_lines
from schemas.io.hdf5 import create_hdf5, open_hdf5, read_strings, write_strings

CHUNK_BYTES = 1 << 16  # few enough that single rows are read fast, enough that all are


@dataclass(frozen=True)
class FeatureDescription:
    """What the rows are.

    kind: `vgg16/fc2`, `refined`, ...; preprocessing: how pixels became the network's input, in words; weights_digest:
    SHA-256 of the network's weights; dataset: name of the corpus.
    """

    kind: str
    preprocessing: str
    weights_digest: str
    dataset: str


@dataclass(frozen=True)
class Reject:
    """An image without features: in which stage it fell out, and why, in one line."""

    image_id: str
    stage: str
    error: str


@contextmanager
def create_features(
    path: Path, image_ids: Sequence[str], dimension: int, dtype: str, description: FeatureDescription, rejected: int = 0
) -> Iterator[h5py.Dataset]:
    """Yields the empty (N, D) dataset, float16 or float32, chunked by rows; the file appears when the block ends.

    The attributes `images` and `rejected` count what was to be extracted, N + `rejected`, and what has no row.
    """
    rows = max(1, min(len(image_ids), CHUNK_BYTES // (dimension * np.dtype(dtype).itemsize)))
    with create_hdf5(path) as file:
        for name, value in asdict(description).items():
            file.attrs[name] = value
        file.attrs["images"] = len(image_ids) + rejected
        file.attrs["rejected"] = rejected
        write_strings(file, "image_ids", image_ids)
        chunks = (rows, dimension) if image_ids else None
        yield file.create_dataset(
            "features", (len(image_ids), dimension), dtype, chunks=chunks, fletcher32=bool(chunks)
        )


def write_features(path: Path, image_ids: Sequence[str], features: np.ndarray, description: FeatureDescription) -> None:
    """Writes a feature matrix (N, D) that fits into memory, in its own dtype.

    Raises:
        ArtifactError: a value is not finite; names the image.
    """
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if broken.size:
        raise ArtifactError(f"The features of image {image_ids[broken[0]]} ({path.name}) hold NaN or infinity.")
    with create_features(path, image_ids, features.shape[1], str(features.dtype), description) as dataset:
        dataset[...] = features


class FeatureFile:
    """An open feature artifact; use as a context manager. Rows are read when asked for, not before."""

    def __init__(self, path: Path):
        """Opens `path`; raises ArtifactError if it is missing or damaged."""
        self.path = path
        with ExitStack() as stack:
            self._read_head(stack.enter_context(open_hdf5(path, ("features", "image_ids"))))
            self._context = stack.pop_all()

    def _read_head(self, file: h5py.File) -> None:
        path = self.path
        unsaid = [name for name in FeatureDescription.__dataclass_fields__ if name not in file.attrs]
        if unsaid:
            raise ArtifactError(f"{path} does not say its {unsaid[0]}; run its stage again.")
        self.dataset: h5py.Dataset = file["features"]
        self.image_ids = read_strings(file["image_ids"])
        self.description = FeatureDescription(
            **{name: str(file.attrs[name]) for name in FeatureDescription.__dataclass_fields__}
        )
        self._rows = {image_id: row for row, image_id in enumerate(self.image_ids)}
        if len(self._rows) != self.dataset.shape[0]:
            raise ArtifactError(f"{path} has {self.dataset.shape[0]} rows for {len(self._rows)} images; make it anew.")

    def __enter__(self) -> "FeatureFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._context.close()

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._rows

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""
        return int(self.dataset.shape[1])

    def blocks(self, rows: int = 4096) -> Iterator[np.ndarray]:
        """All rows in order, (n, D) with n <= `rows`, in the file's dtype."""
        for start in range(0, self.dataset.shape[0], rows):
            yield self._load(start, start + rows)

    def row_numbers(self, image_ids: Sequence[str]) -> np.ndarray:
        """int64 (len(image_ids),), where the given images' rows are.

        Raises:
            ArtifactError: an image has no row; names the first.
        """
        missing = [image_id for image_id in image_ids if image_id not in self._rows]
        if missing:
            raise ArtifactError(
                f"{self.path} has no features of image {missing[0]} (and {len(missing) - 1} more that were asked for)."
            )
        return np.array([self._rows[image_id] for image_id in image_ids], np.int64)

    def read(self, image_ids: Sequence[str]) -> np.ndarray:
        """Rows of the given images (len(image_ids), D), in their order, in the file's dtype.

        Raises:
            ArtifactError: an image has no row; names the first.
        """
        rows = self.row_numbers(image_ids)
        result = np.empty((len(rows), self.dimension), self.dataset.dtype)
        if image_ids:
            # A chunk is read once, and only if one of its rows is wanted.
            order = np.argsort(rows, kind="stable")
            chunk_rows = (self.dataset.chunks or (1,))[0]  # a release's rows are in no chunks
            next_chunk = np.flatnonzero(np.diff(rows[order] // chunk_rows)) + 1
            for part in np.split(order, next_chunk):
                low, high = rows[part[0]], rows[part[-1]] + 1
                result[part] = self._load(low, high)[rows[part] - low]
        return result

    def _load(self, start: int, stop: int) -> np.ndarray:
        try:
            rows: np.ndarray = self.dataset[start:stop]
        except OSError as error:  # above all a checksum that does not fit
            raise ArtifactError(f"{self.path} is damaged ({error}); run its stage again.") from error
        return rows


def write_rejects(directory: Path, rejects: Iterable[Reject]) -> int:
    """Writes `rejects.jsonl`; returns how many."""
    return write_json_lines(directory / "rejects.jsonl", (asdict(reject) for reject in rejects))


def read_rejects(directory: Path) -> list[Reject]:
    """Reads `rejects.jsonl`; raises ArtifactError if it is missing or malformed."""
    path = directory / "rejects.jsonl"
    try:
        return [Reject(**record) for record in read_json_lines(path)]
    except TypeError as error:
        raise ArtifactError(f"{path} is no list of rejected images ({error}); run its stage again.") from error


class FeatureRows:
    """The feature vectors of some images: `rows[index]` reads those of an index array or a slice, in the file's dtype.

    It has the `shape`, the `dtype` and the length of the matrix (len(image_ids), D) that it stands for. A row is read
    from its place in the file, past HDF5, which would read its whole chunk; what is used often stays in the operating
    system's cache as long as there is memory for it.
    """

    def __init__(self, path: Path, image_ids: Sequence[str]):
        """Keeps only the rows' places; the file is read against its checksums, once a process.

        Raises:
            ArtifactError: the file is missing, damaged or compressed, or an image has no row.
        """
        self.path = path
        with FeatureFile(path) as file:
            rows = file.row_numbers(image_ids)
            _verify(file)
            dataset = file.dataset
            if dataset.compression or dataset.shuffle or dataset.scaleoffset:
                raise ArtifactError(f"{path} is compressed; features must be stored as they are, make them anew.")
            self.dtype, self.shape = dataset.dtype, (len(rows), file.dimension)
            self._row_bytes = file.dimension * self.dtype.itemsize
            if dataset.chunks:
                chunk_rows, first_bytes = dataset.chunks[0], np.zeros(dataset.id.get_num_chunks(), np.int64)

                def note_place(chunk: Any) -> None:
                    first_bytes[chunk.chunk_offset[0] // chunk_rows] = chunk.byte_offset

                dataset.id.chunk_iter(note_place)  # in one go: asking for chunk after chunk takes squared time
                self._inverse_cdf = first_bytes[rows // chunk_rows] + rows % chunk_rows * self._row_bytes
            else:  # a release's rows are in no chunks
                self._inverse_cdf = (dataset.id.get_offset() or 0) + rows * self._row_bytes
        self._file = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        places = self._inverse_cdf[index]
        data = b"".join(os.pread(self._file, self._row_bytes, place) for place in places.tolist())
        if len(data) != len(places) * self._row_bytes:
            raise ArtifactError(f"{self.path} was changed while it was read; run its stage again.")
        return np.frombuffer(data, self.dtype).reshape(len(places), self.shape[1])


_BLOCK_ROWS = 256  # so few that a block's memory is used again
_verified: set[tuple[str, int, int]] = set()  # files by path, size and time of change in ns


def _verify(file: FeatureFile) -> None:
    """Reads the whole file, whose checksums are compared; the splits of a corpus lie in one."""
    status = file.path.stat()
    identity = (str(file.path.resolve()), status.st_size, status.st_mtime_ns)
    if identity not in _verified:
        for _ in file.blocks(_BLOCK_ROWS):
            pass
        _verified.add(identity)
