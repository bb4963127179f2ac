"""Malicious input: it is refused in a sentence, or treated as text."""

import io
import json
import math
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from model.backbones.images import MAX_PIXELS, decode_image
from pipelines.data.caption_files import find_caption_files, read_captions
from pipelines.data.dataset import Problems
from pipelines.data.files import list_files
from schemas.errors import ArtifactError, InputError, MRNNError
from schemas.features import FeatureFile
from schemas.interop.caption_files import read_references
from schemas.interop.captions import read_anno_list, read_coco_captions, read_karpathy
from schemas.interop.features import plain_id, read_feature_file, write_pickled_array
from schemas.io.files import parse_json, read_json
from schemas.results import read_results
from schemas.scores import read_caption_scores
from tests.support.faults.formats import FORMATS
from tests.support.faults.guarded import check, limited_memory

DEEP = "[" * 200_000 + "]" * 200_000
NO_JSON = [DEEP, '{"a":' * 100_000, "NaN", "[1e999]", "[-Infinity]", '["\\ud800"]', "9" * 5_000]


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_json_outside_the_subset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(text)


def test_json_inside_the_subset_round_trips() -> None:
    pair, quoted = '["\\ud83d\\ude00", 1.5, -1e30]', '["\\\\ud800"]'
    assert parse_json(pair) == ["\U0001f600", 1.5, -1e30]
    assert parse_json(quoted) == ["\\ud800"]


@pytest.mark.parametrize("read", [read_json, read_results, read_coco_captions, read_karpathy, read_references])
@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_bombs_of_json_name_the_file(tmp_path: Path, read: object, text: str) -> None:
    path = tmp_path / "bomb.json"
    path.write_text(text)
    with limited_memory():
        error = check(lambda path, _: read(path), path, tmp_path)
    assert "bomb.json" in str(error)


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.as_json])
def test_json_readers_survive_deep_nesting(tmp_path: Path, name: str) -> None:
    form = FORMATS[name]
    path = tmp_path / "given" / form.file
    path.parent.mkdir(parents=True)
    form.write(path)
    path.write_text(DEEP)
    (tmp_path / "var").mkdir()
    assert isinstance(check(form.read, path, tmp_path / "var"), MRNNError)


def test_quoted_input_stays_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps({"\n\x1b[31m\ud83d\ude00": 1}))
    with pytest.raises(ArtifactError, match=r"argument '\\n\\x1b\[31m\U0001f600'\)"):
        read_caption_scores(tmp_path)


CONTROL = ["a\nb", "a\rb", "a\0b", "\x1b[31ma", "a\x85b", "a\u2028b", "\udcff"]


@pytest.mark.parametrize("name", CONTROL)
def test_control_characters_in_ids_and_file_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "coco.json"
    with pytest.raises(InputError, match="one line of text"):
        plain_id(name, "x")
    for record in ({"id": name, "file_name": "a.jpg"}, {"id": 1, "file_name": name}):
        path.write_text(json.dumps({"images": [record]}))
        with pytest.raises(InputError, match=r"coco\.json"):
            read_coco_captions(path)
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"image": name, "caption": "a dog"}))
    files = find_caption_files(tmp_path, [path.relative_to(tmp_path)])
    problems = Problems(collect_errors=True)
    assert list(read_captions(files, problems)) == []
    (finding,) = problems.findings
    assert "own.jsonl, line 1" in finding.message


def test_ids_like_paths_are_only_text(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": [{"id": "../../evil", "file_name": "a.jpg"}]}))
    assert read_coco_captions(path)[0].image_id == "../../evil"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["coco.json"]


@pytest.mark.parametrize("value", [{1, 2}, b"\xff", float("nan"), {(1, 2): 3}, 10**5000, "\ud800"], ids=range(6))
def test_pickle_of_other_types_is_refused(tmp_path: Path, value: object) -> None:
    records = np.empty(1, object)
    records[0] = {"id": 1, "file_name": "a.jpg", "extra": value}
    write_pickled_array(tmp_path / "a.npy", records)
    with pytest.raises(InputError, match=r"a\.npy, record 0, contains what JSON cannot represent"):
        read_anno_list(tmp_path / "a.npy")


def test_endless_pickle_and_endless_number(tmp_path: Path) -> None:
    endless: list[object] = []
    endless.append(endless)
    for extra in ({"id": 1, "x": endless}, {"id": 10**5000}, {"id": endless}):
        records = np.empty(1, object)
        records[0] = {"file_name": "a.jpg", **extra}
        write_pickled_array(tmp_path / "a.npy", records)
        with pytest.raises(InputError, match=r"a\.npy, record 0"):
            read_anno_list(tmp_path / "a.npy")


@pytest.mark.parametrize("header", ["{'descr':", "\\2", "(" * 90, "{'descr': 'O\0'}", "[" * 300 + "]" * 300])
def test_npy_headers_are_not_trusted(tmp_path: Path, header: str) -> None:
    data = header.encode().ljust(617) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data)
    with pytest.raises(InputError, match=r"a\.npy is not a \.npy file"):
        read_feature_file(tmp_path / "a.npy")


def test_hdf5_with_a_forged_size_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", (1 << 33, 4), "f4", chunks=(1024, 4))
        file["image_ids"] = np.array([b"a"])
    for read in (read_feature_file, FeatureFile):
        with limited_memory(), pytest.raises(MRNNError, match=r"a\.h5"):
            read(tmp_path / "a.h5")


@pytest.mark.parametrize("way", ["link", "external", "virtual"])
def test_hdf5_does_not_lead_out(tmp_path: Path, way: str) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["features"] = np.ones((1, 2))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["schema_version"] = 1
        file["image_ids"] = np.array([b"a"])
        if way == "link":
            file["features"] = h5py.ExternalLink("secret.h5", "features")
        elif way == "external":
            file.create_dataset("features", (1, 2), "f8", external=[(str(tmp_path / "secret.h5"), 0, 16)])
        else:
            layout = h5py.VirtualLayout((1, 2), "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "features", (1, 2))
            file.create_virtual_dataset("features", layout)
    for read in (read_feature_file, FeatureFile):
        with pytest.raises(MRNNError, match=r"a\.h5 has 'features' in another file"):
            read(tmp_path / "a.h5")


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF"])
def test_decompression_bombs_are_refused(form: str) -> None:
    side = math.isqrt(MAX_PIXELS) + 1
    stream = io.BytesIO()
    options = {"compression": "tiff_lzw"} if form == "TIFF" else {}
    Image.new("1" if form in ("PNG", "TIFF") else "L", (side, side)).convert("L" if form == "GIF" else "1").save(
        stream, form, **options
    )
    with limited_memory(), pytest.raises(InputError, match=r"over the limit|decompression bomb"):
        decode_image(stream.getvalue())


def test_zip_with_undecodable_names(tmp_path: Path) -> None:
    form = FORMATS["zip"]
    form.write(tmp_path / "a.zip")
    data = (tmp_path / "a.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("caf\u00e9", b"x")  # a name outside ASCII is flagged as UTF-8
    data = (tmp_path / "a.zip").read_bytes().replace("caf\u00e9".encode(), b"caf\xff\xff")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.zip is damaged"):
        form.read(tmp_path / "a.zip", tmp_path / "out")


def test_circular_links_end(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    (tmp_path / "images" / "again").symlink_to(tmp_path)
    assert list_files(tmp_path) == ["images/a.jpg"]


def test_network_files_name_no_classes_from_elsewhere(tmp_path: Path) -> None:
    """A `.keras` file names classes to create; it cannot call arbitrary functions."""
    from model.mrnn.network import load_network

    victim = tmp_path / "victim"
    for config in (
        {"module": "os", "class_name": "mkdir", "config": {"path": str(victim)}, "registered_name": None},
        {"module": "builtins", "class_name": "open", "config": {"file": str(victim), "mode": "w"}},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", str(victim)]}},
    ):
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0", "date_saved": ""}))
            archive.writestr("model.weights.h5", b"")
        with pytest.raises(ArtifactError, match=r"a\.keras"):
            load_network(tmp_path / "a.keras")
        assert not victim.exists()
