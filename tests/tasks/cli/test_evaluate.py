"""Captions from files, scored."""

import json

import numpy as np
import pytest

from pipelines.evaluation.evaluate_file import evaluate_file
from schemas.errors import InputError

WORDS = "a dog cat runs sits on the grass mat in park".split()


@pytest.fixture
def files(tmp_path):
    """References of 30 images, captions that are noise, and captions of which two thirds are references."""
    random = np.random.default_rng(0)
    references = {image: [" ".join(random.choice(WORDS, 8)) for _ in range(3)] for image in range(30)}
    noise = {image: " ".join(random.choice(WORDS, 7)) for image in references}
    better = {image: references[image][0] if image < 20 else noise[image] for image in references}
    (tmp_path / "references.jsonl").write_text(
        "".join(json.dumps({"image_id": str(image), "captions": texts}) + "\n" for image, texts in references.items())
        + '{"image_id": 99, "caption": "nobody captioned this"}\n'
    )
    for name, captions in (("noise", noise), ("better", better)):
        records = [{"image_id": image, "caption": text} for image, text in captions.items()]
        (tmp_path / f"{name}.json").write_text(json.dumps(records))
    return tmp_path


def test_evaluate_prints_and_writes_scores(files, mrnn):
    given = [files / name for name in ("better.json", "references.jsonl")]
    run = mrnn("evaluate", *given, "--baseline", files / "noise.json", "--out", files / "out")
    assert run.returncode == 0, run.stderr
    sheet = json.loads((files / "out" / "scores.json").read_text())
    assert (sheet["n"], sheet["not_captioned"]) == (30, 1)
    rows = {line.split()[0]: line.split()[1] for line in run.stdout.splitlines() if line}
    for metric in ("BLEU-4", "CIDEr-D", "ROUGE-L"):
        assert rows[metric] == f"{sheet['metrics'][metric]:.4f}"
        low, high = sheet["intervals"][metric]
        assert low < sheet["metrics"][metric] < high
        assert sheet["differences"][metric]["low"] > 0
    assert len((files / "out" / "per_image.jsonl").read_text().splitlines()) == 30
    assert json.loads(mrnn("evaluate", *given, "--json").stdout)["metrics"] == sheet["metrics"]


def test_systems_are_compared_on_the_same_images(files):
    records = json.loads((files / "noise.json").read_text())
    (files / "fewer.json").write_text(json.dumps(records[1:]))
    with pytest.raises(InputError, match="Image 0 is in only one of"):
        evaluate_file(files / "better.json", files / "references.jsonl", files / "out", files / "fewer.json")


def test_results_may_be_in_any_order(files):
    records = json.loads((files / "noise.json").read_text())
    (files / "backwards.json").write_text(json.dumps(records[::-1]))
    forwards, backwards = (
        evaluate_file(files / "better.json", files / "references.jsonl", files / "out", files / name).differences
        for name in ("noise.json", "backwards.json")
    )
    assert forwards == backwards


def test_image_without_references_is_named(files):
    (files / "foreign.json").write_text('[{"image_id": "x", "caption": "a dog"}]')
    with pytest.raises(InputError, match="no captions of image x"):
        evaluate_file(files / "foreign.json", files / "references.jsonl", files / "out", None)


def test_ids_may_have_leading_zeros(files):
    records = json.loads((files / "better.json").read_text())
    (files / "padded.json").write_text(
        json.dumps([{**each, "image_id": f"{each['image_id']:012}"} for each in records])
    )
    padded, plain = (
        evaluate_file(files / name, files / "references.jsonl", None, None).metrics
        for name in ("padded.json", "better.json")
    )
    assert padded == plain
