"""Features and captions in the formats of other projects, intact and corrupted."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.annotations import Record
from schemas.errors import InputError
from schemas.interop import features as interop
from schemas.interop.captions import read_anno_list, read_coco_captions
from schemas.interop.features import read_feature_file
from schemas.interop.pickle import read_object_array

Writer = Callable[[Path, list[str], np.ndarray], Path]
IDS = ["COCO_val2014_1", "b", "caf\u00e9"]
ROWS = np.array([[1.5, -2.0], [0.0, 3.0], [4.0, 5.0]], np.float32)


def write_dictionary(folder: Path, ids: list[Any], rows: Any) -> Path:
    np.save(folder / "f.npy", np.array(dict(zip(ids, rows, strict=True)), dtype=object), allow_pickle=True)
    return folder / "f.npy"


def write_npz(folder: Path, ids: Any, rows: np.ndarray, names: tuple[str, str] = ("ids", "F")) -> Path:
    np.savez(folder / "f.npz", **{names[0]: np.asarray(ids), names[1]: rows})
    return folder / "f.npz"


def write_npy(folder: Path, ids: Any, rows: np.ndarray, column: str = "image_id") -> Path:
    np.save(folder / "f.npy", rows)
    pq.write_table(pa.table({"number": [0] * len(ids), column: pa.array(list(ids))}), folder / "f.parquet")
    return folder / "f.npy"


def write_hdf5(folder: Path, ids: Any, rows: np.ndarray) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["features"] = rows
        file["image_ids"] = ids
    return folder / "f.h5"


def write_hdf5_by_id(folder: Path, ids: list[str], rows: Any) -> Path:
    with h5py.File(folder / "f.hdf5", "w") as file:
        for image_id, row in zip(ids, rows, strict=True):
            file[image_id] = row
    return folder / "f.hdf5"


def write_texts(folder: Path, ids: list[str], rows: Any) -> Path:
    (folder / "f" / "val2014").mkdir(parents=True, exist_ok=True)
    for image_id, row in zip(ids, rows, strict=True):
        np.savetxt(folder / "f" / "val2014" / f"{image_id}.txt", row, fmt="%.6e")
    return folder / "f"


WRITERS: dict[str, Writer] = {
    "dictionary": write_dictionary,
    "npz": write_npz,
    "npy": write_npy,
    "hdf5": write_hdf5,
    "hdf5 by id": write_hdf5_by_id,
    "texts": write_texts,
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Writer:
    return WRITERS[request.param]


def read(path: Path, *arguments: Path) -> tuple[list[str], np.ndarray]:
    ids, blocks = read_feature_file(path, *arguments)
    rows = np.concatenate(list(blocks))
    assert rows.dtype == np.float32
    return ids, rows


def test_feature_formats_give_the_same_features(write: Writer, tmp_path: Path) -> None:
    ids, rows = read(write(tmp_path, IDS, ROWS))
    assert ids == IDS
    np.testing.assert_array_equal(rows, ROWS)


@given(
    rows=hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int32, np.uint8]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.integers(0, 100),
    ),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_round_trip(rows: np.ndarray, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    name = st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("C", "Z")), min_size=1)
    names = name.filter(lambda text: text not in (".", "..") and len(text) < 20)
    ids = data.draw(st.lists(names, min_size=len(rows), max_size=len(rows), unique=True).map(sorted))
    for writer in (write_dictionary, write_npz, write_npy, write_hdf5, write_hdf5_by_id):
        got, features = read(writer(tmp_path_factory.mktemp("f"), ids, rows))
        order = [ids.index(image_id) for image_id in got]
        assert sorted(got) == ids
        np.testing.assert_array_equal(features, rows[order].astype(np.float32))


def test_blocks_are_bounded_and_in_order(write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interop, "BLOCK_ROWS", 2)
    ids, blocks = read_feature_file(write(tmp_path, IDS, ROWS))
    assert [len(block) for block in blocks] == [2, 1]
    assert ids == IDS


@pytest.mark.parametrize("name", ["dictionary", "npz", "npy", "hdf5"])
def test_integers_become_text(name: str, tmp_path: Path) -> None:
    assert read(WRITERS[name](tmp_path, [9, 25, 391895], ROWS))[0] == ["9", "25", "391895"]


def test_other_dataset_names_and_paths(tmp_path: Path) -> None:
    assert read(write_npz(tmp_path, IDS, ROWS, ("image_ids", "features")))[0] == IDS
    path = write_npy(tmp_path, IDS, ROWS, column="file")
    assert read(path)[0] == IDS
    elsewhere = (tmp_path / "f.parquet").rename(tmp_path / "ids.parquet")
    assert read(path, elsewhere)[0] == IDS
    with pytest.raises(InputError, match=r"needs its image ids.*f\.parquet"):
        read(path)
    pq.write_table(pa.table({"number": [1, 2, 3]}), elsewhere)
    with pytest.raises(InputError, match="neither a column image_id nor one of strings"):
        read(path, elsewhere)


def test_vectors_may_be_rows_or_columns(tmp_path: Path) -> None:
    _, rows = read(write_dictionary(tmp_path, [1, 2, 3], [ROWS[0], ROWS[1][None], ROWS[2][:, None]]))
    np.testing.assert_array_equal(rows, ROWS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_malformed_numbers_are_refused(write: Writer, tmp_path: Path, value: float) -> None:
    rows = ROWS.astype(np.float64)
    rows[1, 1] = value
    with pytest.raises(InputError, match=r"f.*, image b: the features contain NaN, infinity"):
        read(write(tmp_path, IDS, rows))


@pytest.mark.parametrize("name", ["dictionary", "hdf5 by id", "texts"])
def test_rows_of_other_lengths(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="image b: there are 3 values where image COCO_val2014_1 has 2"):
        read(WRITERS[name](tmp_path, IDS, [ROWS[0], np.ones(3), ROWS[2]]))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["dictionary", "hdf5 by id"])
@pytest.mark.parametrize("row", [np.ones((2, 2)), np.ones(0), np.ones(())])
def test_rows_other_than_vectors_are_refused(name: str, row: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="image b: the features have the shape"):
        read(WRITERS[name](tmp_path, IDS, [ROWS[0], row, ROWS[2]]))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["npz", "npy", "hdf5"])
def test_matrices_of_other_shapes(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 rows of features for 3 ids"):
        read(WRITERS[name](tmp_path, IDS, ROWS[:2]))
    for rows in (ROWS[0], ROWS[None], ROWS[:, :0]):
        with pytest.raises(InputError, match="instead of"):
            read(WRITERS[name](tmp_path, IDS, rows))
    with pytest.raises(InputError, match="of the type complex"):
        read(WRITERS[name](tmp_path, IDS, ROWS.astype(complex)))


@pytest.mark.parametrize("name", ["npz", "npy", "hdf5"])
def test_duplicate_id_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has image b twice"):
        read(WRITERS[name](tmp_path, ["a", "b", "b"], ROWS))


def test_duplicate_id_in_another_spelling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has image 9 twice"):
        read(write_dictionary(tmp_path, [9, "9", "c"], ROWS))
    folder = write_texts(tmp_path, IDS, ROWS)
    (folder / "train2014").mkdir()
    (folder / "train2014" / "b.txt").write_text("1\n2\n")
    with pytest.raises(InputError, match="has image b twice"):
        read(folder)


@pytest.mark.parametrize("image_id", [1.5, True, None, "", " ", b"\xff", (1,)])
def test_malformed_ids_are_refused(tmp_path: Path, image_id: object) -> None:
    with pytest.raises(InputError, match="row 1: the image id is"):
        read(write_dictionary(tmp_path, ["a", image_id, "c"], ROWS))


def test_file_without_features_is_refused(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="f"):
        read(write(tmp_path, [], ROWS[:0]))
    for suffix in (".npy", ".npz", ".h5"):
        (tmp_path / f"empty{suffix}").touch()
        with pytest.raises(InputError, match="empty"):
            read(tmp_path / f"empty{suffix}")


def test_unsupported_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.mat").touch()
    with pytest.raises(InputError, match=r"f\.mat is not a supported feature file; give \.npy"):
        read(tmp_path / "f.mat")
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "g.npy")
    with pytest.raises(InputError, match="contains the arrays x, y"):
        read(write_npz(tmp_path, IDS, ROWS, ("x", "y")))
    with pytest.raises(InputError, match="is not a dictionary"):
        np.save(tmp_path / "f.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
        read(tmp_path / "f.npy")
    with pytest.raises(InputError, match="not a list of numbers"):
        (write_texts(tmp_path, IDS, ROWS) / "readme.txt").write_text("read me")
        read(tmp_path / "f")


def test_hdf5_ids_with_slashes_are_datasets_in_groups(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["data/Images/p000.jpg"], file["data/Images/p001.jpg"], file["p002"] = ROWS
    ids, rows = read(tmp_path / "g.h5")
    assert ids == ["data/Images/p000.jpg", "data/Images/p001.jpg", "p002"]
    np.testing.assert_array_equal(rows, ROWS)


def test_hdf5_links_to_groups_and_files_are_refused(tmp_path: Path) -> None:
    for link, message in (
        (h5py.SoftLink("/"), "has 'endless', which is not a dataset"),
        (h5py.ExternalLink("other.h5", "/x"), "has 'endless' in another file"),
    ):
        with h5py.File(tmp_path / "g.h5", "w") as file:
            file["train/a"] = ROWS[0]
            file["train/endless"] = link
        with pytest.raises(InputError, match=message):
            read(tmp_path / "g.h5")


def test_truncated_files(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path, IDS, np.ones((3, 300)))
    if path.is_file():
        path.write_bytes(path.read_bytes()[:-400])
        with pytest.raises(InputError, match=path.name):
            read(path)


def test_npz_with_pickles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allow_pickle"):
        read(write_npz(tmp_path, np.array(IDS, dtype=object), ROWS))


# Pickles, as Python 2 wrote them and as an attacker would.


def object_npy(path: Path, data: bytes, shape: tuple[int, ...] = ()) -> Path:
    with open(path, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": shape})
        stream.write(data)
    return path


def string2(text: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(text)) + text


def array2(code: bytes, shape: bytes, content: bytes, flags: bytes = b"K\x00") -> bytes:
    """The opcodes by which Python 2 and NumPy 1 pickle an array."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n"
        + string2(code)
        + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        + flags
        + b"tb\x89"
        + content
        + b"tb"
    )


def test_dictionary_of_python_2(tmp_path: Path) -> None:
    vectors = [array2(b"f4", b"K\x02\x85", string2(row.tobytes())) for row in ROWS[:2]]
    dictionary = b"}(K\x07" + vectors[0] + b"\x8a\x03\xff\xff\x00" + vectors[1] + b"u"
    data = b"\x80\x02" + array2(b"O8", b")", b"]" + dictionary + b"a", b"K?") + b"."
    ids, rows = read(object_npy(tmp_path / "f.npy", data))
    assert ids == ["7", "65535"]
    np.testing.assert_array_equal(rows, ROWS[:2])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@given(
    vector=hnp.arrays(
        st.sampled_from(["<f2", ">f4", "<f8", "<i8", "|u1", "|b1", "<U3", "|S4"]), hnp.array_shapes(min_side=0)
    )
)
@settings(max_examples=15, deadline=None)
def test_plain_arrays_survive(protocol: int, vector: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = {1: vector, "t": (vector.T, {1, 2}, frozenset("a")), "s": np.float32(2.5), "b": b"\xff"}
    path = object_npy(
        tmp_path_factory.mktemp("f") / "f.npy", pickle.dumps(np.array(content, dtype=object), protocol=protocol)
    )
    got = read_object_array(path).item()
    np.testing.assert_array_equal(got[1], vector)
    np.testing.assert_array_equal(got["t"][0], vector.T)
    assert got["t"][1:] == content["t"][1:]
    assert (got["s"], got["b"]) == (2.5, b"\xff")


class Attack:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_malicious_pickle_does_not_run(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    attack = np.array({1: Attack(victim)}, dtype=object)
    path = object_npy(tmp_path / "f.npy", pickle.dumps(attack, protocol=protocol))
    with pytest.raises(InputError, match=r"f\.npy asks for (_?io|__builtin__)\.open.*may be an attack"):
        read(path)
    assert not victim.exists()


@pytest.mark.parametrize(
    "name",
    [
        "os\nsystem",
        "builtins\neval",
        "builtins\ngetattr",
        "numpy\nload",
        "numpy.core.multiarray\nfromfile",
        "numpy\ndtype.type",
    ],
)
def test_names_beyond_the_admitted(tmp_path: Path, name: str) -> None:
    path = object_npy(tmp_path / "f.npy", f"c{name}\n.".encode())
    with pytest.raises(InputError, match="which plain data do not need"):
        read_object_array(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # Object arrays made of bytes, whose bytes NumPy would take for pointers if it believed the flags.
        (array2(b"O8", b"K\x01\x85", string2(b"\x41" * 8)), "type object as bytes"),
        (array2(b"O8", b"K\x02\x85", b"](K\x01e"), r"shape \(2,\) in 1 pieces"),
        (array2(b"f4", b"K\x09\x85", string2(b"\0" * 8)), r"shape \(9,\) in 8 pieces"),
        (array2(b"V8", b"K\x01\x85", string2(b"\0" * 8)), "asks for the type 'V8'"),
        (array2(b"O,f4", b"K\x01\x85", string2(b"\0" * 8)), "asks for the type 'O,f4'"),
        (b"cnumpy\nndarray\nK\x01\x85R", "damaged"),
        (b"cnumpy.core.multiarray\n_reconstruct\nc__builtin__\ndict\nK\x00\x85U\x01b\x87R", "an array of the class"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00aU\x03zip\x86R", "the encoding 'zip'"),
        (b"]", "lacks the array"),
        (b"\x95", "damaged"),
    ],
)
def test_forged_arrays(tmp_path: Path, data: bytes, message: str) -> None:
    path = object_npy(tmp_path / "f.npy", b"\x80\x02" + data + b".")
    with pytest.raises(InputError, match=message):
        read_object_array(path)


@given(st.binary(max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_bytes_give_an_input_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    with pytest.raises(InputError):
        read_object_array(object_npy(tmp_path_factory.getbasetemp() / "any.npy", b"\x80\x02" + data))


# Captions.

RECORD = {
    "id": 42,
    "file_name": "COCO_val2014_000000000042.jpg",
    "file_path": "val2014",
    "sentences": [["a", "dog", "."], ["it's", "a", "close-up"]],
    "height": np.int64(480),
    "width": 640,
    "url": "http://example.org/42",
    "gen_beam_search_10": [["a", "cat"]],
}


def anno_list(path: Path, *records: Any) -> Path:
    array = np.empty(len(records), dtype=object)
    array[:] = records
    np.save(path, array, allow_pickle=True)
    return path


def test_anno_list(tmp_path: Path) -> None:
    test = {"id": 43, "file_name": "43.jpg", "file_path": "test2014"}
    first, second = read_anno_list(anno_list(tmp_path / "anno_list.npy", RECORD, test))
    assert first == Record(
        "42",
        "val2014/COCO_val2014_000000000042.jpg",
        "",
        ("a dog .", "it's a close-up"),
        {"url": "http://example.org/42", "gen_beam_search_10": [["a", "cat"]]},
        640,
        480,
    )
    assert second == Record("43", "test2014/43.jpg", "", ())
    json.dumps(first.extras)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "record 1: the image id is None"),
        ({"id": 42}, "has image 42 twice"),
        ({"file_name": None}, "record 1: the file name is None"),
        ({"file_path": "../.."}, "is outside the image directory"),
        ({"file_name": "/etc/passwd"}, "is outside the image directory"),
        ({"sentences": "a dog"}, "record 1, sentences: a list of list"),
        ({"sentences": [["a", 1]]}, "record 1, sentences: a list of str"),
        ({"width": "640"}, "no number of pixels"),
        ({"height": -1}, "no number of pixels"),
    ],
)
def test_malformed_anno_list(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = anno_list(tmp_path / "anno_list.npy", RECORD, {**RECORD, "id": 1, **change})
    with pytest.raises(InputError, match=message) as caught:
        read_anno_list(path)
    assert str(path) in str(caught.value)


def test_malformed_anno_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="list of dict"):
        read_anno_list(anno_list(tmp_path / "a.npy", "text"))
    with pytest.raises(InputError, match="list of dict"):
        read_anno_list(write_dictionary(tmp_path, [1], ROWS[:1]))
    with pytest.raises(InputError, match="contains no images"):
        read_anno_list(anno_list(tmp_path / "a.npy"))
    with pytest.raises(InputError, match="contains float32 and no objects"):
        read_anno_list(write_npy(tmp_path, IDS, ROWS))


COCO: dict[str, Any] = {
    "info": {},
    "images": [
        {"id": 9, "file_name": "9.jpg", "width": 4, "height": 3, "license": 1},
        {"id": 7, "file_name": "7.jpg", "width": 1, "height": 2},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "caption": "Seven."},
        {"id": 2, "image_id": 9, "caption": "Nine\nlines"},
        {"id": 0, "image_id": 7, "caption": "Sept, caf\u00e9"},
    ],
}


def coco(folder: Path, **changes: Any) -> Path:
    (folder / "captions.json").write_text(json.dumps({**COCO, **changes}), encoding="utf-8")
    return folder / "captions.json"


def test_coco_captions(tmp_path: Path) -> None:
    places = [f"{tmp_path / 'captions.json'}, annotations[{row}]" for row in range(3)]
    assert read_coco_captions(coco(tmp_path)) == [
        Record("9", "9.jpg", "", ("Nine\nlines",), {"license": 1}, 4, 3, (places[1],)),
        Record("7", "7.jpg", "", ("Seven.", "Sept, caf\u00e9"), {}, 1, 2, (places[0], places[2])),
    ]
    (tmp_path / "captions.json").write_text(json.dumps({"images": COCO["images"]}))
    assert [image.captions for image in read_coco_captions(tmp_path / "captions.json")] == [(), ()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "annotations.0.: image 7 is not among"),
        ({"images": [], "annotations": []}, "contains no images"),
        ({"images": {}}, "images: a list of dict"),
        ({"images": [{"file_name": "a.jpg"}]}, "images.0.: the image id is None"),
        ({"images": [{"id": 7}, {"id": 9, "file_name": "a.jpg"}]}, "images.0.: the file name is None"),
        ({"images": [*COCO["images"], COCO["images"][0]]}, "has image 9 twice"),
        ({"annotations": [{"image_id": 7}]}, "annotations.0.: the caption is None and no text"),
        ({"annotations": [{"caption": "x"}]}, "annotations.0.: the image id is None"),
    ],
)
def test_malformed_coco_captions(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_coco_captions(coco(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\u00e9"])
def test_malformed_coco_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "captions.json").write_text(text, encoding="latin1")
    with pytest.raises(InputError, match=r"captions\.json"):
        read_coco_captions(tmp_path / "captions.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_coco_captions(tmp_path / "nowhere.json")
