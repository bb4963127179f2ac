"""The `mrnn evaluate` command."""

import csv
import json
import math

import numpy as np
import pytest

from pipelines.evaluation.evaluate_file import evaluate_files
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
    with open(files / "out" / "per_image.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image_id"] for row in rows] == [str(image) for image in range(30)]
    assert sum(float(row["CIDEr-D"]) for row in rows) / 30 == pytest.approx(sheet["metrics"]["CIDEr-D"])
    assert json.loads(mrnn("evaluate", *given, "--json").stdout)["metrics"] == sheet["metrics"]


def read(path):
    return json.loads(path.read_text())


def test_evaluate_requires_captions_of_the_same_images(files):
    (files / "fewer.json").write_text(json.dumps(read(files / "noise.json")[1:]))
    with pytest.raises(InputError, match="Image 0 is in only one of"):
        evaluate_files([files / "better.json"], files / "references.jsonl", baseline=files / "fewer.json")
    with pytest.raises(InputError, match="Image 0 is in only one of"):
        evaluate_files([files / "better.json", files / "fewer.json"], files / "references.jsonl")


def test_results_may_be_in_any_order(files):
    (files / "backwards.json").write_text(json.dumps(read(files / "noise.json")[::-1]))
    forwards, backwards = (
        evaluate_files([files / "better.json"], files / "references.jsonl", baseline=files / name)[0].differences
        for name in ("noise.json", "backwards.json")
    )
    assert forwards == backwards


def test_evaluate_scores_several_systems_as_each_alone(files):
    paths = [files / "better.json", files / "noise.json"]
    sheets = evaluate_files(paths, files / "references.jsonl", baseline=paths[1], out=files / "out")
    assert [sheet.metrics for sheet in sheets] == [
        evaluate_files([path], files / "references.jsonl")[0].metrics for path in paths
    ]
    assert [sheet.baseline for sheet in sheets] == ["noise.json", None]
    alone = evaluate_files(paths[:1], files / "references.jsonl", baseline=paths[1])
    assert sheets[0].differences == alone[0].differences
    with open(files / "out" / "per_image.csv", newline="") as stream:
        systems = [row["system"] for row in csv.DictReader(stream)]
    assert systems == ["better.json"] * 30 + ["noise.json"] * 30
    assert [sheet["results"] for sheet in read(files / "out" / "scores.json")] == ["better.json", "noise.json"]


def test_baseline_is_a_row_among_several_systems(files):
    (files / "third").mkdir()
    (files / "third" / "better.json").write_text((files / "noise.json").read_text())
    paths = [files / "better.json", files / "third" / "better.json"]
    sheets = evaluate_files(paths, files / "references.jsonl", baseline=files / "noise.json")
    assert [sheet.results for sheet in sheets] == [*map(str, paths), "noise.json"]
    assert [bool(sheet.differences) for sheet in sheets] == [True, True, False]


def test_file_given_twice_is_refused(files):
    with pytest.raises(InputError, match="is given twice"):
        evaluate_files([files / "better.json"] * 2, files / "references.jsonl")
    with pytest.raises(InputError, match="is its own baseline"):
        evaluate_files([files / "better.json"], files / "references.jsonl", baseline=files / "better.json")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("table", ["system", "BLEU-1"]),
        ("markdown", ["| system | BLEU-1 |", "| --- | ---: |"]),
        ("latex", [r"\begin{tabular}{lrrrrrr}", r"no\_noise.json & ", r" \\", r"\bottomrule"]),
    ],
)
def test_evaluate_prints_each_format(files, mrnn, form, expected):
    (files / "noise.json").rename(files / "no_noise.json")
    paths = [files / name for name in ("better.json", "no_noise.json", "references.jsonl")]
    run = mrnn("evaluate", *paths, "--format", form)
    assert run.returncode == 0, run.stderr
    assert all(text in run.stdout for text in expected), run.stdout
    notes = run.stdout if form == "table" else run.stderr
    assert "30 images scored, 1 with references only" in notes
    assert ("images scored" in run.stdout) == (form == "table")
    assert "|images:30|references:90|" in run.stdout.splitlines()[-1]


def test_json_and_format_exclude_each_other(files, mrnn):
    run = mrnn("evaluate", files / "better.json", files / "references.jsonl", "--json", "--format", "latex")
    assert run.returncode == 2
    assert "--json" in run.stderr


def test_images_of_one_file_are_counted_and_named(files):
    foreign = [{"image_id": name, "caption": "a dog"} for name in ("x", "y", "z", "w")]
    (files / "more.json").write_text(json.dumps(read(files / "better.json") + foreign))
    (sheet,) = evaluate_files([files / "more.json"], files / "references.jsonl")
    (without,) = evaluate_files([files / "better.json"], files / "references.jsonl")
    assert (sheet.n, sheet.metrics) == (30, without.metrics)
    assert sheet.ignored == [
        f"4 images of {files / 'more.json'} without references: x, y, z, ...",
        f"1 image of {files / 'references.jsonl'} without a caption: 99",
    ]


def test_files_without_common_images_are_refused(files):
    (files / "foreign.json").write_text('[{"image_id": "x", "caption": "a dog"}]')
    with pytest.raises(InputError, match=r"its ids look like 0, 1, 2, \.\.\., those of .*foreign.json like x"):
        evaluate_files([files / "foreign.json"], files / "references.jsonl")


def test_captions_without_a_token_are_counted(files, mrnn):
    records = [
        {**each, "caption": "..." if each["image_id"] < 2 else each["caption"]} for each in read(files / "noise.json")
    ]
    (files / "empty.json").write_text(json.dumps(records))
    run = mrnn("evaluate", files / "better.json", files / "empty.json", files / "references.jsonl")
    assert "Warning: 2 captions of empty.json without a token, of 30." in run.stdout


def test_captions_after_the_first_are_counted(files):
    lines = [
        {"image_id": each["image_id"], "captions": [each["caption"], "x", "y"]} for each in read(files / "better.json")
    ]
    (files / "wide.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (sheet,) = evaluate_files([files / "wide.jsonl"], files / "references.jsonl")
    assert f"60 captions of {files / 'wide.jsonl'} after the first of an image" in sheet.ignored
    assert sheet.metrics == evaluate_files([files / "better.json"], files / "references.jsonl")[0].metrics


@pytest.mark.parametrize(
    "form",
    [
        "{:012}",
        "COCO_val2014_{:012}.jpg",
        "val2014/COCO_val2014_{:012}.jpg",
        r"C:\images\COCO_val2014_{:012}.jpg",
        "{}.jpg",
        "/data/Images/{}.PNG",
    ],
)
def test_ids_are_matched_whatever_their_form(files, form):
    records = read(files / "better.json")
    expected = evaluate_files([files / "better.json"], files / "references.jsonl")[0]
    (files / "other.json").write_text(
        json.dumps([{**each, "image_id": form.format(each["image_id"])} for each in records])
    )
    found = evaluate_files([files / "other.json"], files / "references.jsonl")[0]
    assert (found.metrics, found.signature) == (expected.metrics, expected.signature)
    # And the reverse.
    references = [json.loads(line) for line in (files / "references.jsonl").read_text().splitlines()]
    (files / "padded.jsonl").write_text(
        "".join(json.dumps({**each, "image_id": form.format(int(each["image_id"]))}) + "\n" for each in references)
    )
    found = evaluate_files([files / "better.json"], files / "padded.jsonl")[0]
    assert (found.metrics, found.signature) == (expected.metrics, expected.signature)


def test_ids_may_be_the_file_names_of_the_references(tmp_path):
    content = {
        "images": [{"id": number, "file_name": f"val/p{9 - number}.jpg"} for number in range(10)],
        "annotations": [{"image_id": number, "caption": f"caption {number} here"} for number in range(10)],
    }
    (tmp_path / "references.json").write_text(json.dumps(content))
    for name in ("val/p{}.jpg", "p{}.jpg", "p{}", "/data/val/p{}.jpg"):
        records = [{"image_id": name.format(9 - number), "caption": f"caption {number} here"} for number in range(10)]
        (tmp_path / "results.json").write_text(json.dumps(records))
        (sheet,) = evaluate_files([tmp_path / "results.json"], tmp_path / "references.json")
        assert (sheet.n, sheet.metrics["BLEU-1"]) == (10, pytest.approx(1.0))


@pytest.mark.parametrize("other", ["000000000007", "COCO_val2014_000000000007.jpg", "7.png"])
def test_two_ids_of_one_image_are_refused(files, other):
    records = [*read(files / "better.json"), {"image_id": other, "caption": "a dog"}]
    (files / "twice.json").write_text(json.dumps(records))
    with pytest.raises(InputError, match=f"7 and {other} are both image 7"):
        evaluate_files([files / "twice.json"], files / "references.jsonl")


def test_ambiguous_id_is_refused(files):
    (files / "two.jsonl").write_text(
        '{"image_id": "a/1.jpg", "caption": "x"}\n{"image_id": "b/1.jpg", "caption": "y"}\n'
    )
    (files / "one.json").write_text('{"1": "x"}')
    with pytest.raises(InputError, match=r"Image 1 of .* may be a/1.jpg or b/1.jpg"):
        evaluate_files([files / "one.json"], files / "two.jsonl")


def test_signature_depends_on_the_scored_references(files):
    def signature(references):
        (files / "given.jsonl").write_text("".join(json.dumps(each) + "\n" for each in references))
        return evaluate_files([files / "better.json"], files / "given.jsonl")[0].signature

    references = [json.loads(line) for line in (files / "references.jsonl").read_text().splitlines()]
    first = signature(references)
    assert signature(references[::-1]) == first
    assert signature(references[:-1]) == first  # the last image has no caption
    references[3] = {**references[3], "captions": [*references[3]["captions"][1:], "another reference"]}
    assert signature(references) != first


def test_chinese_is_scored_by_character_on_request(tmp_path, mrnn):
    (tmp_path / "references.json").write_text(json.dumps({"1": ["一只狗在草地上跑。"], "2": ["两只猫。"]}), "utf-8")
    (tmp_path / "results.json").write_text(json.dumps({"1": "一只狗在跑。", "2": "一只猫"}), "utf-8")
    paths = [tmp_path / "results.json", tmp_path / "references.json"]
    by_word = mrnn("evaluate", *paths)
    assert "--by-character" in by_word.stdout
    assert "tok:corenlp-3.4.1|" in by_word.stdout
    by_character = mrnn("evaluate", *paths, "--by-character", "--json")
    sheet = json.loads(by_character.stdout)
    # 7 of 8 characters are in the references, which have 11.
    assert sheet["metrics"]["BLEU-1"] == pytest.approx(7 / 8 * math.exp(1 - 11 / 8), abs=1e-6)
    assert not any("by-character" in warning for warning in sheet["warnings"])
    assert "tok:corenlp-3.4.1-by-character|" in sheet["signature"]


def test_missing_metric_is_reported_with_the_reason(files, mrnn):
    run = mrnn("evaluate", files / "better.json", files / "references.jsonl", "--metric", "spice", PATH="")
    assert run.returncode == 0, run.stderr
    assert "SPICE left out: no Java runtime was found" in run.stdout
