"""Features made elsewhere: the rows that are wanted, in our order."""

import numpy as np
import pytest

from pipelines.import_features import import_features
from schemas.errors import InputError
from schemas.features import FeatureFile

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
    with FeatureFile(path) as features:
        assert features.image_ids == ["a", "d"]
        np.testing.assert_array_equal(features.read(["a", "d"]), ROWS[[2, 0]])
        assert features.description.kind == "theirs"
    assert rejects == []


def test_missing_images_are_an_error_that_lists_them(source):
    with pytest.raises(InputError, match=r"no features of 2 of 3 images, such as x, y; .*'d\.jpg'"):
        run(source, ["x", "a", "y"])


def test_missing_images_are_rejects_if_allowed(source):
    path, rejects = run(source, ["x", "a"], allow_missing=True)
    assert [(reject.image_id, reject.stage) for reject in rejects] == [("x", "import")]
    with FeatureFile(path) as features:
        assert features.image_ids == ["a"]


def test_ids_that_do_not_match_at_all_are_an_error_even_then(source):
    with pytest.raises(InputError, match="check strip_suffix"):
        run(source, ["a"], strip_suffix="", allow_missing=True)


def test_numbers_too_large_for_float16_are_an_error(tmp_path):
    source = tmp_path / "large.npz"
    np.savez(source, ids=np.array(["a"]), F=np.array([[1e6]], np.float32))
    with pytest.raises(InputError, match="set dtype to float32"):
        run(source, ["a"], dtype="float16")
