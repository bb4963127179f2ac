"""Content of a release, read with other programs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import mlcroissant
import msgspec
import numpy as np
import pytest
import yaml

from pipelines.data.datasets.shapes import Shapes
from pipelines.release.verify import verify_release
from schemas.annotations import read_annotations, write_annotations
from schemas.checkpoint import BACKBONE_WEIGHTS
from schemas.errors import ConfigurationError, InputError
from schemas.features import FeatureDescription, write_features
from schemas.interop.captions import read_anno_list, read_coco_captions, read_karpathy
from schemas.interop.features import read_feature_file
from schemas.io.files import read_json_lines, write_json_lines
from tests.support.toy_release import WITH_FEATURES, Toy

ALL_FORMATS = ["mrnn", "npy", "coco", "karpathy"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def front_matter(card: Path) -> dict[str, object]:
    _, header, _ = card.read_text(encoding="utf-8").split("---\n", 2)
    content: dict[str, object] = yaml.safe_load(header)
    return content


@pytest.mark.parametrize(("dtype", "precision"), [("float16", 1e-3), ("float32", 0)])
def test_features_of_every_split(toy: Toy, dtype: str, precision: float) -> None:
    release = toy.release(dtype=dtype)
    for kind, rows in (("original", toy.original), ("refined", toy.refined)):
        for split, ids in (("train", ["1", "2", "3"]), ("val", ["4"]), ("test", ["5", "6"])):
            with h5py.File(release / "features" / f"{kind}_{split}.h5") as file:
                assert list(file["image_ids"].asstr()) == ids
                assert file["features"].dtype == dtype
                expected = rows[[WITH_FEATURES.index(image_id) for image_id in ids]]
                np.testing.assert_allclose(file["features"][()], expected, rtol=precision)
                assert file.attrs["kind"] == "toy/fc"


def test_images_without_public_captions_have_features_in_the_release_too(toy: Toy) -> None:
    images = list(read_annotations(toy.sources["annotations"]))
    hidden = [
        msgspec.structs.replace(image, split="unlabeled", captions=()) if image.image_id == "3" else image
        for image in images
    ]
    write_annotations(toy.sources["annotations"], hidden)
    tokens = toy.sources["captions"] / "tokens.jsonl"
    lines = list(read_json_lines(tokens))
    write_json_lines(tokens, [{**each, "tokens": []} if each["image_id"] == "3" else each for each in lines])
    release = toy.release(formats=ALL_FORMATS)
    for kind in ("original", "refined"):
        with h5py.File(release / "features" / f"{kind}_unlabeled.h5") as file:
            assert list(file["image_ids"].asstr()) == ["3"]
    assert (release / "splits" / "unlabeled.txt").read_text() == "3.jpg\n"
    assert (release / "formats" / "mrnn" / "feat_original_dct_unlabeled.npy").exists()
    # Image 3 is a neighbor that reranking could not have looked at; all else is as it should be.
    assert [problem for problem in verify_release(release) if "neighbors" not in problem] == []


def test_card_examples_run(toy: Toy) -> None:
    release = toy.release()
    examples = re.findall(r"```python\n(.*?)```", (release / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 3
    environment = {**os.environ, "HF_HOME": str(toy.root / "hub"), "HF_HUB_OFFLINE": "1"}
    for example in examples:
        code = example + "\nprint(features.shape, features.dtype, image_ids.astype(str).tolist())"
        command = [sys.executable, "-c", code]
        run = subprocess.run(command, cwd=release, env=environment, capture_output=True, text=True, check=True)
        assert run.stdout == "(2, 3) float16 ['5', '6']\n"


def test_two_runs_give_the_same_bytes(toy: Toy) -> None:
    first = toy.release("first", formats=ALL_FORMATS)
    toy.say_who_made_it("2025-12-31T23:59:59.5+00:00")
    second = toy.release("second", formats=ALL_FORMATS)
    assert files_of(first) == files_of(second)
    assert not [name for name, content in files_of(first).items() if str(toy.root).encode() in content]


def test_lists_captions_model_and_provenance(toy: Toy) -> None:
    release = toy.release()
    assert (release / "splits" / "test.txt").read_text() == "5.jpg\n6.jpg\n7.jpg\n"
    records = [json.loads(line) for line in (release / "images.jsonl").read_text().splitlines()]
    assert records[3] == {"image_id": "4", "file": "images/4.jpg", "split": "val"}
    results = json.loads((release / "captions" / "reranked_test" / "results.json").read_text())
    assert results == [{"image_id": "5", "caption": "café runs"}, {"image_id": "6", "caption": "café runs"}]
    assert (release / "model" / "vocabulary.txt").read_text().split()[3:] == ["dog", "a", "runs", "café"]
    assert json.loads((release / "provenance" / "model.json").read_text())["parameters"] == {"seed": 0}


def test_captions_are_written_in_the_requested_formats_only(toy: Toy) -> None:
    assert not [name for name, content in files_of(toy.release()).items() if b"A dog runs" in content]
    formats = toy.release("more", formats=["mrnn", "coco", "karpathy"]) / "formats"
    (val,) = read_anno_list(formats / "mrnn" / "anno_list_val.npy")
    assert (val.file, val.captions) == ("images/4.jpg", ("a dog runs", "café dog", "a dog 4"))
    assert [len(image.captions) for image in read_coco_captions(formats / "coco" / "captions_test.json")] == [3, 3, 3]
    karpathy = read_karpathy(formats / "karpathy" / "dataset_toys.json")
    assert {image.image_id: image.split for image in karpathy}["7"] == "test"
    assert karpathy[0].captions[:2] == ("A dog runs", "Café dog")


@pytest.mark.parametrize("name", ["mrnn/feat_refined_dct_test.npy", "npy/refined_test.npy"])
def test_features_in_other_formats(toy: Toy, name: str) -> None:
    ids, blocks = read_feature_file(toy.release(formats=ALL_FORMATS) / "formats" / name)
    assert ids == ["5", "6"]
    np.testing.assert_allclose(np.concatenate(list(blocks)), toy.refined[4:], rtol=1e-3)


def test_non_public_test_captions_are_not_released(toy: Toy) -> None:
    toy.dataset.test_captions_public = False
    release = toy.release(formats=ALL_FORMATS)
    formats = release / "formats"
    # "a dog 5" is a caption of a test image; "a dog 4" is one of validation.
    for content in files_of(release).values():
        assert b"a dog 5" not in content
    assert any(b"a dog 4" in content for content in files_of(release).values())
    assert [image.captions for image in read_anno_list(formats / "mrnn" / "anno_list_test.npy")] == [(), (), ()]
    assert [image.captions for image in read_coco_captions(formats / "coco" / "captions_test.json")] == [(), (), ()]
    by_id = {image.image_id: image for image in read_karpathy(formats / "karpathy" / "dataset_toys.json")}
    assert by_id["5"].captions == () and len(by_id["4"].captions) == 3
    assert "not public" in (release / "README.md").read_text(encoding="utf-8")


def test_unknown_formats_are_named(toy: Toy) -> None:
    with pytest.raises(ConfigurationError, match="no format 'matlab'; set formats to some of mrnn, npy"):
        toy.release(formats=["npy", "matlab"])


def test_features_too_large_for_float16_are_an_error(toy: Toy) -> None:
    description = FeatureDescription("toy/fc", "none", "00", "toys")
    write_features(toy.sources["original"] / "features.h5", WITH_FEATURES, toy.original * 1e6, description)
    with pytest.raises(InputError, match="set dtype to float32"):
        toy.release()
    toy.release(dtype="float32")


def test_cards_have_front_matter(toy: Toy) -> None:
    release = toy.release()
    front = front_matter(release / "README.md")
    assert front["pretty_name"] == "m-RNN features of Toys: a | dataset"
    assert (front["license"], front["size_categories"]) == ("other", ["n<1K"])
    assert (front["pipeline_tag"], front["library_name"]) == ("image-to-text", "keras")
    assert [config["config_name"] for config in front["configs"]] == ["refined", "original"]  # type: ignore[index]
    card = (release / "README.md").read_text(encoding="utf-8")
    assert "For play only." in card and "A. Toy (2001). Toys." in card
    front = front_matter(release / "model" / "README.md")
    (model,) = front["model-index"]  # type: ignore[misc]
    (result,) = model["results"]
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {"cider": 0.5, "perplexity": 7.5}


def test_cards_name_the_license_that_hubs_know(toy: Toy) -> None:
    toy.dataset.license_id = Shapes.license_id
    release = toy.release()
    for card in (release / "README.md", release / "model" / "README.md"):
        front = front_matter(card)
        assert front["license"] == "cc0-1.0" and "license_name" not in front


LOAD = """
import json, sys
from datasets import load_dataset

for kind in ("refined", "original"):
    loaded = load_dataset(sys.argv[1], kind)
    streamed = load_dataset(sys.argv[1], kind, streaming=True)
    for split in loaded:
        rows = [(row["image_ids"].decode(), len(row["features"])) for row in loaded[split]]
        assert rows == [(row["image_ids"].decode(), len(row["features"])) for row in streamed[split]]
        print(json.dumps([kind, split, rows]))
"""


def test_release_is_loaded_and_streamed_by_the_datasets_library(toy: Toy) -> None:
    environment = {**os.environ, "HF_HOME": str(toy.root / "hub"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD, str(toy.release())]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = {(kind, split): dict(rows) for kind, split, rows in map(json.loads, run.stdout.splitlines())}
    ids = {"train": ["1", "2", "3"], "validation": ["4"], "test": ["5", "6"]}
    assert rows == {
        (kind, split): dict.fromkeys(of_split, size)
        for kind, size in (("refined", 3), ("original", 5))
        for split, of_split in ids.items()
    }


@pytest.mark.parametrize("known", [True, False])
def test_metadata_is_valid_croissant(toy: Toy, known: bool) -> None:
    place = {"base_url": "https://releases.example/toys", "date": "2026-01-31"} if known else {}
    release = toy.release(**place)
    issues = mlcroissant.Dataset(str(release / "croissant.json")).metadata.issues
    assert not issues.errors
    content = json.loads((release / "croissant.json").read_text(encoding="utf-8"))
    assert (content["license"], content["citeAs"]) == ("For play only.", "A. Toy (2001). Toys.")
    assert content["url"] == ("https://releases.example/toys" if known else "https://toys.example/")
    if known:  # all that the specification requires, and all that it recommends
        assert not issues.warnings
        required = {
            "@context",
            "@type",
            "conformsTo",
            "creator",
            "datePublished",
            "description",
            "license",
            "name",
            "url",
        }
        assert required <= set(content)


def test_invalid_croissant_is_detected(toy: Toy) -> None:
    path = toy.release() / "croissant.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["distribution"][0]["encodingFormat"]
    path.write_text(json.dumps(content))
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(str(path))


def test_trained_backbone_is_released(toy: Toy) -> None:
    assert not (toy.release("fixed") / "model" / BACKBONE_WEIGHTS).exists()
    toy.sources["image_network"] = toy.root / "var" / "image_network"
    toy.sources["image_network"].mkdir()
    (toy.sources["image_network"] / BACKBONE_WEIGHTS).write_bytes(b"weights")
    toy.say_who_made_it("2024-01-01T00:00:00+00:00")
    release = toy.release("tuned")
    assert (release / "model" / BACKBONE_WEIGHTS).read_bytes() == b"weights"
    assert BACKBONE_WEIGHTS in (release / "model" / "README.md").read_text()
    assert (release / "provenance" / "image_network.json").is_file()
    assert verify_release(release) == []
