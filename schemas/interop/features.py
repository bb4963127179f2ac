"""Image features in the formats of other projects, validated row by row."""

import pickle
import re
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.interop.pickle import is_object_array, read_object_array
from schemas.io.files import atomic_path
from schemas.io.hdf5 import find_external_links

BLOCK_ROWS = 1024
ID_NAMES = ("image_ids", "ids")
FEATURE_NAMES = ("features", "F")
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
FORMATS = (
    ".npy (an m-RNN dictionary, or a matrix with its ids in a .parquet), .npz, .h5 or .hdf5, or a directory of .txt "
    "files"
)


def read_feature_file(path: Path, ids_path: Path | None = None) -> tuple[list[str], Iterator[NDArray[np.float32]]]:
    """Read the features of another project; blocks are read and validated lazily.

    Formats are

    * `.npy` with a pickled dictionary id -> vector (m-RNN; also from Python 2), read without executing code,
    * `.npy` with a matrix (N, D) and its ids in `ids_path`, by default the `.parquet` of the same name:
      column `image_id`, or the first column of strings,
    * `.npz` with arrays `ids` or `image_ids` (N) and `F` or `features` (N, D),
    * `.h5`, `.hdf5` with datasets `image_ids` or `ids` (N) and `features` or `F` (N, D), or with a dataset per id,
      whose `/` are groups,
    * a directory of `.txt` files with one number per line (TF-mRNN), also in subdirectories; the file name is the id.

    Integer ids, such as COCO's, become strings of decimal digits.

    Args:
        path: File or directory in one of these formats.
        ids_path: Parquet file of the ids of a matrix in a `.npy` file.

    Returns:
        The image ids, and their features float32 as blocks (n, D), n <= `BLOCK_ROWS`, in the order of the ids.

    Raises:
        InputError: Immediately or while blocks are read: the format is unknown, the file is damaged or empty, an id is
            repeated, or a row has another length than the first, NaN or infinity; names file and image.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    with _damage_named(path):
        if path.is_dir():
            ids, blocks = _read_text_folder(path)
        elif path.suffix.lower() == ".npy" and is_object_array(path):
            ids, blocks = _read_dictionary(path)
        elif path.suffix.lower() == ".npy":
            ids, blocks = _read_npy(path, ids_path or path.with_suffix(".parquet"))
        elif path.suffix.lower() == ".npz":
            ids, blocks = _read_npz(path)
        elif path.suffix.lower() in (".h5", ".hdf5"):
            ids, blocks = _read_hdf5(path)
        else:
            raise InputError(f"{path} is not a supported feature file; give {FORMATS}.")
    if not ids:
        raise InputError(f"{path} has no features; give {FORMATS}.")
    seen: set[str] = set()
    for image_id in ids:
        if image_id in seen:
            raise InputError(f"{path} has image {image_id} twice; remove one of them.")
        seen.add(image_id)
    return ids, _as_float32(path, ids, blocks)


def plain_id(value: Any, place: str) -> str:
    """Return an image id as a string; `place` is its location for messages.

    Raises:
        InputError: It is neither an integer nor text without control characters.
    """
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            value = value.decode("utf-8")
    if isinstance(value, float | np.floating) and value.is_integer():  # a column with gaps, as pandas writes it
        value = int(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        with suppress(ValueError):  # it may have more digits than Python writes
            return str(int(value))
    if isinstance(value, str) and value.strip() and is_plain_name(value):
        return str(value)
    raise InputError(f"{place}: the image id is {brief(value)} instead of an integer or one line of text; fix it.")


def is_plain_name(text: str) -> bool:
    """Return whether a name is one line without control characters."""
    return not _NOT_IN_NAMES.search(text)


def brief(value: Any) -> str:
    """Return a short description of a value for messages, however large it is."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of too many digits"


def fit_dtype(block: NDArray[np.float32], dtype: str, source: str) -> NDArray[np.floating]:
    """Convert features to a narrower data type.

    Args:
        block: Features float32 (n, D).
        dtype: `float16` or `float32`.
        source: Origin of the features, for the error message.

    Returns:
        Features (n, D) in `dtype`.

    Raises:
        InputError: A value overflows `dtype`.
    """
    limit = float(np.finfo(dtype).max)
    if np.abs(block).max(initial=0.0) > limit:
        raise InputError(f"{source} has values beyond {limit:g}, the largest {dtype}; set dtype to float32.")
    return block.astype(dtype)


def _plain_ids(values: Iterable[Any], path: Path) -> list[str]:
    return [plain_id(value, f"{path}, row {row}") for row, value in enumerate(values)]


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Convert what libraries raise on damaged files to InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # depends on the library and on the damage
        problem = str(error).partition("\n")[0][:200]
        raise InputError(f"{path} is damaged or has another format ({problem}); get it again.") from error


def _as_float32(path: Path, ids: Sequence[str], blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float32]]:
    start = 0
    with _damage_named(path):
        for block in blocks:
            with np.errstate(over="ignore"):
                converted = np.ascontiguousarray(block, np.float32)
            broken = np.flatnonzero(~np.isfinite(converted).all(axis=1))
            if broken.size:
                raise InputError(
                    f"{path}, image {ids[start + broken[0]]}: the features contain NaN, infinity or a value beyond "
                    "float32; extract them again."
                )
            yield converted
            start += len(block)


def _read_dictionary(path: Path) -> tuple[list[str], Iterator[NDArray[Any]]]:
    array = read_object_array(path)
    content = array.item() if array.shape == () else None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a dictionary of features; give {FORMATS}.")
    ids = _plain_ids(content, path)
    return ids, _stack(path, ids, content.values())


def _read_npy(path: Path, ids_path: Path) -> tuple[list[str], Iterator[NDArray[Any]]]:
    if not ids_path.exists():
        raise InputError(f"{path} needs its image ids, in the order of the rows, in {ids_path}; put them there.")
    with _damage_named(ids_path):
        schema = pq.read_schema(ids_path)
        texts = [name for name in schema.names if _is_text(schema.field(name).type)]
        column = "image_id" if "image_id" in schema.names else next(iter(texts), None)
        if column is None:
            raise InputError(f"{ids_path} has neither a column image_id nor one of strings; add it.")
        ids = _plain_ids(pq.read_table(ids_path, columns=[column]).column(0).to_pylist(), ids_path)
    return ids, _slices(path, ids, np.load(path, mmap_mode="r", allow_pickle=False))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _read_npz(path: Path) -> tuple[list[str], Iterator[NDArray[Any]]]:
    with np.load(path, allow_pickle=False) as arrays:
        names = _pair(arrays.files)
        if names is None:
            raise InputError(
                f"{path} contains the arrays {', '.join(arrays.files) or '(none)'}; it needs ids or image_ids, and F "
                "or features."
            )
        ids = _plain_ids(_one_axis(path, names[0], arrays[names[0]]), path)
        return ids, _slices(path, ids, arrays[names[1]])


def _read_hdf5(path: Path) -> tuple[list[str], Iterator[NDArray[Any]]]:
    with h5py.File(path, "r") as file:
        found = list(_datasets(path, file))
        names = _pair(found)
        if names is None:
            ids = [plain_id(name, str(path)) for name in found]
        else:
            ids = _plain_ids(_one_axis(path, names[0], file[names[0]]), path)
            _check_matrix(path, ids, file[names[1]])

    def blocks() -> Iterator[NDArray[Any]]:
        with h5py.File(path, "r") as file:
            if names is None:
                yield from _stack(path, ids, (file[name][()] for name in found))
            else:
                yield from _slices(path, ids, file[names[1]])

    return ids, blocks()


def _datasets(path: Path, group: h5py.Group) -> Iterator[str]:
    """Yield the names of all datasets below `group`; an id with `/` is a dataset in nested groups.

    Raises:
        InputError: A link leads into another file, or a group is reached through a link, which may be endless.
    """
    outside = find_external_links(group, group)
    if outside:
        raise InputError(f"{path} has {outside[0]!r} in another file, which is not followed; copy it into this one.")
    for name in group:
        child = group[name]
        if isinstance(child, h5py.Dataset):
            yield f"{group.name}/{name}".lstrip("/")
        elif isinstance(group.get(name, getlink=True), h5py.SoftLink) or not isinstance(child, h5py.Group):
            raise InputError(f"{path} has {name!r}, which is not a dataset; store a dataset per image or one of all.")
        else:
            yield from _datasets(path, child)


def _pair(names: Sequence[str]) -> tuple[str, str] | None:
    """Return the names of ids and features in `names`, if both exist."""
    ids = [name for name in ID_NAMES if name in names]
    features = [name for name in FEATURE_NAMES if name in names]
    return (ids[0], features[0]) if ids and features else None


def _one_axis(path: Path, name: str, array: Any) -> list[Any]:
    if array.ndim != 1:
        raise InputError(f"{path}: {name} has the shape {array.shape} instead of (N,); write one id per row.")
    values: list[Any] = array[()].tolist()
    return values


def _read_text_folder(folder: Path) -> tuple[list[str], Iterator[NDArray[np.float64]]]:
    files = sorted(folder.rglob("*.txt"))
    ids = [file.stem for file in files]
    return ids, _stack(folder, ids, map(_read_text_vector, files))


def _read_text_vector(path: Path) -> NDArray[np.float64]:
    try:
        return np.array(path.read_text(encoding="ascii").split(), np.float64)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a list of numbers ({error}); extract the features again.") from error


def _check_matrix(path: Path, ids: Sequence[str], matrix: Any) -> None:
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InputError(f"{path}: the features have shape {matrix.shape} instead of (N, D); write one row per image.")
    if matrix.shape[0] != len(ids):
        raise InputError(f"{path} has {matrix.shape[0]} rows of features for {len(ids)} ids; write an id for each row.")
    _check_numbers(f"{path}", matrix.dtype)


def _check_numbers(place: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "fiu":
        raise InputError(f"{place}: the features are of the type {dtype} instead of numbers; extract them again.")


def _slices(path: Path, ids: Sequence[str], matrix: Any) -> Iterator[NDArray[Any]]:
    """Yield blocks of an array, memory map or HDF5 dataset (N, D)."""
    _check_matrix(path, ids, matrix)
    return (matrix[start : start + BLOCK_ROWS] for start in range(0, len(ids), BLOCK_ROWS))


def _stack(path: Path, ids: Sequence[str], vectors: Iterable[Any]) -> Iterator[NDArray[Any]]:
    """Yield blocks of single vectors (D,), (1, D) or (D, 1)."""
    dimension = None
    block: list[NDArray[Any]] = []
    for image_id, values in zip(ids, vectors, strict=True):
        vector = np.asarray(values)
        _check_numbers(f"{path}, image {image_id}", vector.dtype)
        if vector.size == 0 or vector.size not in vector.shape:
            raise InputError(
                f"{path}, image {image_id}: the features have the shape {vector.shape} instead of (D,); "
                "extract them again."
            )
        dimension = dimension or vector.size
        if vector.size != dimension:
            raise InputError(
                f"{path}, image {image_id}: there are {vector.size} values where image {ids[0]} has {dimension}; "
                "extract its features again."
            )
        block.append(vector.reshape(-1))
        if len(block) == BLOCK_ROWS:
            yield np.stack(block)
            block = []
    if block:
        yield np.stack(block)


_PICKLE_PROTOCOL = 2  # the newest that Python 2 reads


def write_dictionary(path: Path, ids: Sequence[str], blocks: Iterable[NDArray[np.floating]]) -> None:
    """Write m-RNN's `VGG_feat_*_dct_*.npy`, a dictionary id -> vector (D,), which is held in memory.

    `np.load(path, allow_pickle=True).item()` opens it. Ids of decimal digits become integers, as the authors' scripts
    look them up.

    Args:
        path: File to write.
        ids: Ids of the N images.
        blocks: Features as blocks (n, D), in the order of the ids.
    """
    vectors = dict(zip(map(numbered, ids), _rows(blocks), strict=True))
    write_pickled_array(path, np.array(vectors, dtype=object))


def write_pickled_array(path: Path, array: NDArray[np.object_]) -> None:
    """Write an object array as `.npy`, for old and new NumPy and for Python 2."""
    data = pickle.dumps(array, protocol=_PICKLE_PROTOCOL)
    # The name of NumPy 2 is unknown to NumPy 1; all know the old one. It is written in full at its first use only.
    new_name, old_name = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    cut = data.find(new_name)
    head, rest = (data[:cut] + old_name, cut + len(new_name)) if cut >= 0 else (b"", 0)
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        npy_format.write_array_header_1_0(stream, npy_format.header_data_from_array_1_0(array))
        stream.write(head)
        stream.write(memoryview(data)[rest:])


def write_npy(path: Path, ids: Sequence[str], blocks: Iterable[NDArray[np.floating]]) -> None:
    """Write a matrix as a `.npy` file, and its ids beside it as `.parquet`, column `image_id`.

    Args:
        path: The `.npy` file to write.
        ids: Ids of the N images.
        blocks: Features as blocks (n, D), in the order of the ids.
    """
    rows = iter(blocks)
    first = next(rows)
    with atomic_path(path) as temporary:
        matrix = npy_format.open_memmap(temporary, "w+", first.dtype, (len(ids), first.shape[1]))
        start = 0
        for block in (first, *rows):
            matrix[start : start + len(block)] = block
            start += len(block)
        matrix.flush()
        del matrix
    with atomic_path(path.with_suffix(".parquet")) as temporary:
        pq.write_table(pa.table({"image_id": pa.array(list(ids), pa.string())}), temporary)


def numbered(image_id: str) -> int | str:
    """Return an id of decimal digits, such as COCO's, as an integer; other ids unchanged."""
    return int(image_id) if image_id.isdecimal() and str(int(image_id)) == image_id else image_id


def _rows(blocks: Iterable[NDArray[np.floating]]) -> Iterator[Any]:
    for block in blocks:
        yield from block
