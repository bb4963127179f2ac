"""Validation: findings, limits of the pipeline, and statistics of a dataset."""

import re
import shlex
import shutil

import pytest
from PIL import Image

from pipelines.data.datasets import find_dataset
from pipelines.data.datasets.shapes import Shapes
from pipelines.data.prepare_annotations import annotate
from pipelines.data.validate_dataset import Demands, validate
from schemas.errors import MRNNError

SMALL = Demands(neighbors=5, similarities=10, batch_size=8)


def look(root, partition="", max_images=0, demands=SMALL):
    return validate(
        "custom",
        find_dataset("custom"),
        root,
        lambda fraction, message: None,
        partition=partition,
        max_images=max_images,
        demands=demands,
    )


@pytest.fixture
def root(tmp_path):
    Shapes().generate(tmp_path, seed=0, images=24, progress=lambda fraction, message: None)
    return tmp_path


def add_line(root, line):
    with open(root / "captions.jsonl", "a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def test_clean_dataset_has_no_findings(root):
    report = look(root)
    assert report.findings == report.limits == []
    assert report.partition == "published"
    assert "train: 18 images, 90 captions" in report.facts
    assert "captions per image: 5 to 5, mean 5.0, median 5" in report.facts
    assert "width: 96 to 96, mean 96.0, median 96 pixels; height: 96 to 96, mean 96.0, median 96 pixels" in report.facts


def test_every_finding_is_reported(root):
    add_line(root, '{"image": "gone.png", "caption": "x", "split": "train"}')
    add_line(root, '{"image": "images/shapes_00000.png"')
    (root / "images" / "shapes_00005.png").write_bytes(b"no image")
    (root / "images" / "shapes_00006.png").write_bytes(b"")
    report = look(root)
    by_kind = {group.kind: group.messages for group in report.groups()}
    assert "captions.jsonl, line 25: there is no image gone.png" in by_kind["captions of missing images"][0]
    assert "captions.jsonl, line 26, is not JSON" in by_kind["lines that are no JSON"][0]
    assert sorted(message.partition(": ")[2] for message in by_kind["unreadable images"]) == [
        "the file is empty; replace the file or remove its captions.",
        "the file is not an image in a known format; replace the file or remove its captions.",
    ]
    assert "2 of 122 captions are invalid, more than max_invalid_fraction = 0.01" in report.errors[0]
    assert "2 of 24 images cannot be read, more than max_reject_fraction = 0.01" in report.errors[1]
    assert len(report.errors) == 2


def test_few_invalid_captions_are_no_error(root):
    split = next(record.split for record in find_dataset("shapes").records(root, []))
    add_line(root, f'{{"image": "images/shapes_00000.png", "caption": ".", "split": "{split}"}}')
    (root / "images" / "shapes_00005.png").write_bytes(b"no image")
    report = look(root, demands=Demands(5, 10, 8, max_invalid_fraction=0.1, max_reject_fraction=0.1))
    assert report.errors == []
    assert any("the caption '.'" in remark for remark in report.remarks)


def test_findings_are_counted_by_kind_with_three_examples(root):
    for number in range(5):
        add_line(root, f'{{"image": "gone{number}.png", "caption": "x", "split": "train"}}')
    report = look(root)
    lines = list(report.lines())
    first = lines.index("left out: captions of missing images: 5")
    assert [line.partition("image ")[2].split(";")[0] for line in lines[first + 1 : first + 4]] == [
        "gone0.png",
        "gone1.png",
        "gone2.png",
    ]
    assert lines[first + 4] == "  ... and 2 more"
    assert sum("there is no image gone" in line for line in report.lines(examples=None)) == 6  # five and the error


def test_small_dataset_is_warned_about_limits(root):
    report = look(root, demands=Demands())
    assert report.errors == []
    assert report.limits == [
        "Reranking uses the captions of all 18 training images instead of the k = 60 nearest.",
        "Reranking sums at most 90 similarities instead of m = 125: the nearest images have no more captions.",
    ]
    assert all(f"limit: {sentence}" in report.lines() for sentence in report.limits)
    assert (
        "A training batch has 90 captions instead of batch_size = 100."
        in look(root, demands=Demands(batch_size=100)).limits
    )
    assert any("min_count = 1000" in sentence for sentence in look(root, demands=Demands(min_count=1000)).limits)


def test_next_command_is_quoted_for_the_shell(root):
    (root / "it's mine").mkdir()
    for name in ("images", "captions.jsonl"):
        (root / name).rename(root / "it's mine" / name)
    words = shlex.split(look(root / "it's mine").next_command())
    assert words[:2] == ["mrnn", "run"]
    assert f"DownloadDataset.source={root / chr(39).join(['it', 's mine'])}" in words
    assert "PrepareAnnotations.partition=published" in words


def test_duplicate_across_splits_is_reported(root):
    split = next(record.split for record in find_dataset("shapes").records(root, []))
    shutil.copy(root / "images" / "shapes_00000.png", root / "images" / "copy.png")
    other = "val" if split != "val" else "test"
    add_line(root, f'{{"image": "images/copy.png", "caption": "a thing", "split": "{other}"}}')
    report = look(root)
    assert report.errors == []
    (remark,) = report.remarks
    assert f"images/copy.png ({other})" in remark
    assert f"images/shapes_00000.png ({split})" in remark
    assert "look alike: 0 of 64 bits" in remark


def test_repeated_captions_and_images_without_are_remarked(root):
    split = [record.split for record in find_dataset("shapes").records(root, [])][1]
    add_line(root, f'{{"image": "images/shapes_00001.png", "captions": ["so", "so"], "split": "{split}"}}')
    shutil.copy(root / "images" / "shapes_00000.png", root / "images" / "extra.png")
    remarks = "\n".join(look(root).remarks)
    assert "has the caption 'so' more than once" in remarks
    assert "1 of 25 images have no usable caption, such as images/extra.png." in remarks


def test_missing_splits_are_drawn_as_tenths(root):
    lines = (root / "captions.jsonl").read_text().replace('"split"', '"was"')
    (root / "captions.jsonl").write_text(lines)
    report = look(root)
    assert report.errors == []
    assert report.partition == "random:2:2:0"
    assert "val: 2 images, 10 captions" in report.facts


@pytest.mark.parametrize(("missing", "partition"), [("test", "random:0:2:0"), ("val", "random:2:0:0")])
def test_missing_split_is_drawn_from_training(root, missing, partition):
    lines = (root / "captions.jsonl").read_text().replace(f'"split":"{missing}"', '"split":"train"')
    (root / "captions.jsonl").write_text(lines)
    report = look(root)
    assert (report.errors, report.partition) == ([], partition)
    assert look(root, "published").errors == [
        f"The dataset has no image in the split {missing!r}; check its files, or set `partition` of PrepareAnnotations."
    ]


def test_image_checks_are_bounded_and_start_with_small_splits(root):
    validated = next(each.file for each in find_dataset("shapes").records(root, []) if each.split == "val")
    (root / validated).write_bytes(b"x")
    report = look(root, max_images=6)
    assert "1 of 6 images cannot be read" in report.errors[0]
    assert "6 of 24 images were opened; --max-images 0 opens all" in report.facts


def test_draw_that_empties_training_is_an_error(root):
    assert "leaves none for training" in look(root, "random:20:20:0").errors[0]


def test_directory_without_captions_is_one_error(tmp_path):
    assert [error.partition(" below ")[0] for error in look(tmp_path).errors] == ["There are no captions"]


CAUSES = {
    "image,caption\na.png,one, two\nb.png,one, two\n": "2 of 2 captions are invalid, .* line 2, has 3 columns",
    "image,caption\n": "captions files without a caption",
    "image,caption\nb.png,one\n": "1 captioned images .* add images, at least one for each split",
}


@pytest.mark.parametrize("text", CAUSES)
def test_cause_is_the_only_error(tmp_path, text):
    for name in ("a.png", "b.png"):
        Image.new("L", (3, 2)).save(tmp_path / name)
    (tmp_path / "captions.csv").write_text(text)
    (error,) = look(tmp_path).errors
    assert re.search(CAUSES[text], error)
    with pytest.raises(MRNNError, match=CAUSES[text]):
        annotate(find_dataset("custom"), tmp_path, lambda fraction, message: None, "random:1:1:0")
