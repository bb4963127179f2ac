"""Imported features: the rows of the dataset's images, in their order."""

import h5py
import numpy as np
import pytest

from pipelines import storage
from pipelines.features.import_features import download_features, import_features
from schemas.errors import InputError, MissingObjectError
from schemas.features import FeatureFile
from schemas.interop.features import write_dictionary, write_npy
from schemas.io import files as source_digest
from schemas.io.files import digest_file, digest_source

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.npz"
    np.savez(path, ids=np.array(["d.jpg", "b.jpg", "a.jpg", "c.jpg"]), F=ROWS)
    return path


def run(source, image_ids, strip_suffix=".jpg", allow_missing=False, dtype="float32"):
    path = source.with_name("features.h5")
    rejects = import_features(
        source,
        image_ids,
        path,
        kind="theirs",
        dtype=dtype,
        dataset="toys",
        strip_suffix=strip_suffix,
        allow_missing=allow_missing,
    )
    return path, rejects


def test_wanted_rows_come_in_our_order(source):
    path, rejects = run(source, ["a", "d"])
    features = FeatureFile(path)
    assert features.image_ids == ["a", "d"]
    np.testing.assert_array_equal(features.read(["a", "d"]), ROWS[[2, 0]])
    assert features.description.kind == "theirs"
    assert rejects == []


def test_missing_images_are_listed(source):
    with pytest.raises(InputError, match=r"no features of 2 of 3 images, such as x, y; .*'d\.jpg'"):
        run(source, ["x", "a", "y"])


def test_missing_images_are_rejects_if_allowed(source):
    path, rejects = run(source, ["x", "a"], allow_missing=True)
    assert [(reject.image_id, reject.stage) for reject in rejects] == [("x", "import")]
    features = FeatureFile(path)
    assert features.image_ids == ["a"]


def test_entirely_unmatched_ids_are_an_error(source):
    with pytest.raises(InputError, match="check strip_suffix"):
        run(source, ["x"], strip_suffix="", allow_missing=True)


@pytest.mark.parametrize("name", ["/data/Images/p000.jpg", "Images\\p000.jpg", "p000.JPG", "./val/p000.jpg", "p000"])
def test_ids_match_paths_without_directory_and_ending(tmp_path, name):
    source = tmp_path / "f.npz"
    np.savez(source, ids=np.array([name, "/data/Images/p001.jpg"]), F=ROWS[:2])
    path, rejects = run(source, ["p001", "p000"], strip_suffix="")
    assert rejects == []
    features = FeatureFile(path)
    np.testing.assert_array_equal(features.read(["p000", "p001"]), ROWS[:2])


@pytest.mark.parametrize(("name", "image_id"), [("000042", "42"), ("42", "000042"), (42, "000000000042")])
@pytest.mark.parametrize("ending", ["", ".jpg"])
def test_ids_match_with_and_without_leading_zeros(tmp_path, name, image_id, ending):
    source = tmp_path / "f.npz"
    np.savez(source, ids=np.array([f"{name}{ending}", "COCO_val2014_000000000007.jpg"]), F=ROWS[:2])
    path, rejects = run(source, ["7", image_id], strip_suffix="")
    assert rejects == []
    np.testing.assert_array_equal(FeatureFile(path).read([image_id, "7"]), ROWS[:2])


def test_folders_decide_between_ids_of_one_name(tmp_path):
    source = tmp_path / "f.npz"
    np.savez(source, ids=np.array(["/x/train/0.jpg", "/x/test/0.jpg"]), F=ROWS[:2])
    path, _ = run(source, ["test/0", "train/0"], strip_suffix="")
    features = FeatureFile(path)
    np.testing.assert_array_equal(features.read(["train/0", "test/0"]), ROWS[:2])
    with pytest.raises(InputError, match=r"'/x/test/0\.jpg' and '/x/train/0\.jpg', which both match image 0"):
        run(source, ["0"], strip_suffix="")
    with pytest.raises(InputError, match="has no features of 1 of 1 images, such as val/0"):
        run(source, ["val/0"], strip_suffix="")
    np.savez(source, ids=np.array(["0.jpg"]), F=ROWS[:1])
    with pytest.raises(InputError, match=r"has '0\.jpg', which matches images train/0 and test/0"):
        run(source, ["train/0", "test/0"], strip_suffix="")


def test_numbers_too_large_for_float16_are_an_error(tmp_path):
    source = tmp_path / "large.npz"
    np.savez(source, ids=np.array(["a"]), F=np.array([[1e6]], np.float32))
    with pytest.raises(InputError, match="set dtype to float32"):
        run(source, ["a"], dtype="float16")


def test_ids_that_differ_by_suffix_only_are_named(tmp_path):
    source = tmp_path / "source.npz"
    np.savez(source, ids=np.array(["a", "b", "a.jpg", "c"]), F=ROWS)
    with pytest.raises(InputError, match=r"has 'a' and 'a\.jpg', which are both image 'a' without the suffix '\.jpg'"):
        run(source, ["a"])
    path, _ = run(source, ["a"], strip_suffix="")
    features = FeatureFile(path)
    np.testing.assert_array_equal(features.read(["a"]), ROWS[:1])


def npy_with_parquet(folder, ids, rows):
    write_npy(folder / "f.npy", ids, [rows])
    return folder / "f.npy"


def dictionary(folder, ids, rows):
    write_dictionary(folder / "VGG_feat_o_dct_toys.npy", ids, [rows])
    return folder / "VGG_feat_o_dct_toys.npy"


def texts(folder, ids, rows):
    (folder / "vgg_l15" / "val2014").mkdir(parents=True)
    for image_id, row in zip(ids, rows, strict=True):
        np.savetxt(folder / "vgg_l15" / "val2014" / f"{image_id}.txt", row, fmt="%.6e")
    return folder / "vgg_l15"


def npz(folder, ids, rows):
    np.savez(folder / "f.npz", ids=ids, features=rows)
    return folder / "f.npz"


def hdf5(folder, ids, rows):
    with h5py.File(folder / "f.h5", "w") as file:
        file["features"], file["image_ids"] = rows, ids
    return folder / "f.h5"


def hdf5_by_id(folder, ids, rows):
    with h5py.File(folder / "f.hdf5", "w") as file:
        for image_id, row in zip(ids, rows, strict=True):
            file[image_id] = row
    return folder / "f.hdf5"


@pytest.mark.parametrize("write", [dictionary, texts, npz, hdf5, hdf5_by_id, npy_with_parquet])
def test_every_format_is_imported(write, tmp_path):
    path, rejects = run(write(tmp_path, ["4", "2", "1", "3"], ROWS), ["1", "9", "4"], "", allow_missing=True)
    features = FeatureFile(path)
    assert features.image_ids == ["1", "4"]
    np.testing.assert_array_equal(features.read(["1", "4"]), ROWS[[2, 0]])
    assert [reject.image_id for reject in rejects] == ["9"]


@pytest.mark.parametrize("write", [dictionary, texts, npz, npy_with_parquet])
def test_digest_depends_on_names_and_numbers(write, tmp_path):
    def digest(name, ids, rows):
        (tmp_path / name).mkdir()
        return digest_source(write(tmp_path / name, ids, rows))

    assert digest("a", ["1", "2", "3", "4"], ROWS) == digest("b", ["1", "2", "3", "4"], ROWS)
    assert digest("c", ["1", "2", "3", "5"], ROWS) != digest("d", ["1", "2", "3", "4"], ROWS)
    assert digest("e", ["1", "2", "3", "4"], -ROWS) != digest("f", ["1", "2", "3", "4"], ROWS)


def test_digest_reads_a_file_once(source, monkeypatch):
    read = []
    monkeypatch.setattr(source_digest, "digest_file", lambda path: read.append(path) or digest_file(path))
    first = digest_source(source)
    assert digest_source(source) == first
    np.savez(source, ids=np.array(["a"]), F=ROWS[:1])
    assert digest_source(source) != first
    assert read == [source, source]


def test_features_of_a_store_are_imported(source, bucket, tmp_path):
    expected = FeatureFile(run(source, ["a", "d"])[0]).read(["a", "d"])
    storage.upload(source, f"{bucket}/source.npz")
    (tmp_path / "scratch").mkdir()
    found = download_features(f"{bucket}/source.npz", tmp_path / "scratch")
    path, rejects = run(found, ["a", "d"])
    np.testing.assert_array_equal(FeatureFile(path).read(["a", "d"]), expected)
    assert rejects == []


def test_matrix_of_a_store_comes_with_its_ids(bucket, tmp_path):
    write_npy(tmp_path / "matrix.npy", ["a", "b", "c", "d"], iter([ROWS]))
    for suffix in (".npy", ".parquet"):
        storage.upload((tmp_path / "matrix").with_suffix(suffix), f"{bucket}/matrix{suffix}")
    (tmp_path / "scratch").mkdir()
    path, _ = run(download_features(f"{bucket}/matrix.npy", tmp_path / "scratch"), ["d", "b"], strip_suffix="")
    np.testing.assert_array_equal(FeatureFile(path).read(["d", "b"]), ROWS[[3, 1]])


def test_missing_object_is_named(bucket, tmp_path):
    with pytest.raises(MissingObjectError, match=rf"^{bucket}/absent.npz does not exist"):
        download_features(f"{bucket}/absent.npz", tmp_path)
