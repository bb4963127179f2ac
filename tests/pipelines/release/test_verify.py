"""Releases that are intact, corrupted, or inconsistent."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipelines.release.verify import verify_release
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses, write_hypotheses
from tests.support.toy_release import Toy, sum_again

Change = Callable[[Path], None]


@pytest.mark.parametrize("formats", [[], ["mrnn", "npy", "coco", "karpathy"]])
def test_verify_release_accepts_an_intact_release(toy: Toy, formats: list[str]) -> None:
    release = toy.release(formats=formats)
    assert verify_release(release) == []
    (release / "provenance.json").write_text("{}")  # of the artifact, which the release is
    sum_again(release)
    assert verify_release(release) == []


def test_verify_release_names_corrupted_missing_and_extra_files(toy: Toy) -> None:
    release = toy.release()
    data = (release / "features" / "refined_val.h5").read_bytes()
    (release / "features" / "refined_val.h5").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (release / "splits" / "val.txt").unlink()
    (release / "model" / "virus.exe").touch()
    damaged, missing, strange = sorted(verify_release(release))
    assert "refined_val.h5 is corrupted" in damaged
    assert "virus.exe is not part of the release" in missing
    assert "val.txt is missing" in strange


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not a release"),
        ("00  a.txt\n", "line 1, must be `DIGEST  NAME`"),
        (f"{'0' * 64}  ../../etc/passwd\n", "line 1, must be"),
        (f"{'0' * 64}  /etc/passwd\n", "line 1, must be"),
    ],
)
def test_verify_release_reports_missing_or_malformed_checksums(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "SHA256SUMS").write_text(text)
    (problem,) = verify_release(tmp_path)
    assert message in problem


def change_hdf5(name: str, dataset: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def act(release: Path) -> None:
        with h5py.File(release / name, "r+") as file:
            values = change(file[dataset][()])
            del file[dataset]
            file[dataset] = values

    return act


def change_json(name: str, change: Callable[[dict], object]) -> Change:
    def act(release: Path) -> None:
        content = json.loads((release / name).read_text(encoding="utf-8"))
        change(content)
        (release / name).write_text(json.dumps(content))

    return act


def change_text(name: str, old: str, new: str) -> Change:
    def act(release: Path) -> None:
        text = (release / name).read_text(encoding="utf-8")
        assert old in text
        (release / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return act


def replace_caption(release: Path) -> None:
    folder = release / "captions" / "reranked_test"
    first, *rest = read_hypotheses(folder)
    write_hypotheses(folder, [ImageHypotheses(first.image_id, (Hypothesis(("zebra",), 0.0),)), *rest])


FEATURES, NEIGHBORS = "features/original_test.h5", "neighbors/refined_test.h5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_hdf5(FEATURES, "features", lambda rows: rows[:1]), "2 images"),
        (change_hdf5(FEATURES, "features", lambda rows: rows.astype(np.float32)), "differs in shape, type or offset"),
        (change_hdf5(FEATURES, "features", lambda rows: rows * np.nan), "NaN or infinity in the features of 2"),
        (
            change_hdf5(FEATURES, "image_ids", lambda ids: np.array([b"5", b"4"])),
            "1 image outside the test split, such",
        ),
        (
            change_hdf5(FEATURES, "image_ids", lambda ids: np.array([b"5", b"7"])),
            "h5 contain different images",
        ),
        (change_hdf5(FEATURES, "image_ids", lambda ids: np.array([b"5", b"5"])), "2 rows for 1 images"),
        (change_hdf5(NEIGHBORS, "indices", lambda indices: indices + 2), "beyond its 3 reference images"),
        (change_hdf5(NEIGHBORS, "indices", lambda indices: indices[:1]), "neighbors of shape"),
        (change_hdf5(NEIGHBORS, "distances", lambda distances: -distances), "not in ascending order"),
        (
            change_hdf5(NEIGHBORS, "reference_ids", lambda ids: np.array([b"1", b"2", b"4"])),
            "outside the train split",
        ),
        (change_json("release.json", lambda index: index["images"].update(val=2)), "counts 2 val images"),
        (change_json("release.json", lambda index: index["features"].popitem()), "must describe exactly the features"),
        (
            change_json("release.json", lambda index: index.update(captioned=9)),
            "captions 2 images, release.json",
        ),
        (change_json("release.json", lambda index: index.pop("captioned")), "has an unknown structure"),
        (change_text("splits/val.txt", "4.jpg", "9.jpg"), "val.txt does not list the val images"),
        (change_text("images.jsonl", '"image_id":"2"', '"image_id":"1"'), "lists an image twice"),
        (change_text("model/vocabulary.txt", "runs", "walks"), "not the vocabulary that this model"),
        (change_text("captions/generated_test/hypotheses.jsonl", '"6"', '"4"'), "outside the test split, such as 4"),
        (
            change_text("captions/reranked_test/results.json", "runs", "sits"),
            "does not contain the first caption",
        ),
        (lambda release: (release / "model" / "model.keras").write_bytes(b"PK"), "model.keras is not a Keras file"),
        (replace_caption, "1 token outside the vocabulary, such as 'zebra'"),
        (replace_caption, "differs from the generated captions"),
    ],
)
def test_verify_release_reports_inconsistent_contents(toy: Toy, change: Change, message: str) -> None:
    release = toy.release()
    change(release)
    sum_again(release)
    problems = verify_release(release)
    assert any(message in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_verify_release_reports_metadata_of_another_release(toy: Toy) -> None:
    release = toy.release()
    change_text("README.md", "toy", "boy")(release)
    sum_again(release, described=False)
    (problem,) = verify_release(release)
    assert "croissant.json does not describe the files of SHA256SUMS" in problem
