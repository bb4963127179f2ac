"""One's own images: every format gives the same records, and every fault is named with file and line."""

import csv
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.data.dataset import Problems
from pipelines.data.datasets import find_dataset
from schemas.errors import InputError

CAPTIONS = {"a.jpg": ["A cat; it sits, says “miau”.", "Eine Katze"], "b.png": ["犬が走る", "🐶 runs"]}


class Collected(Problems):
    """Errors are gathered instead of raised."""

    def __init__(self):
        self.errors = []

    def error(self, sentence):
        self.errors.append(sentence)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in CAPTIONS:
        Image.new("L", (3, 2)).save(tmp_path / "pictures" / name)
    return tmp_path


def read(root):
    problems = Collected()
    return list(find_dataset("custom").records(root, problems)), problems


def as_coco(root):
    images = [{"id": number, "file_name": name, "width": 3, "height": 2} for number, name in enumerate(CAPTIONS)]
    annotations = [
        {"id": 0, "image_id": number, "caption": caption}
        for number, captions in enumerate(CAPTIONS.values())
        for caption in captions
    ]
    (root / "coco.json").write_text(json.dumps({"annotations": annotations, "images": images}))


def as_karpathy(root):
    images = [
        {"filename": name, "filepath": "pictures", "split": "train", "sentences": [{"raw": each} for each in captions]}
        for name, captions in CAPTIONS.items()
    ]
    (root / "dataset_mine.json").write_text(json.dumps({"images": images, "dataset": "mine"}, indent=1))


def as_token(root):
    lines = [f"{name}#{k}\t{caption}" for name, captions in CAPTIONS.items() for k, caption in enumerate(captions)]
    (root / "results.token").write_text("\n".join(lines), encoding="utf-8")


def as_table(name, delimiter, header):
    def write(root):
        with open(root / name, "w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerow(header)
            writer.writerows([f"pictures/{file}", each] for file, captions in CAPTIONS.items() for each in captions)

    return write


def as_json_lines(root):
    lines = [{"image": name, "caption": caption} for name, captions in CAPTIONS.items() for caption in captions]
    (root / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def as_json_list(root):
    records = [{"file": f"pictures/{name}", "captions": captions} for name, captions in CAPTIONS.items()]
    (root / "captions.json").write_text(json.dumps(records))


@pytest.mark.parametrize(
    "write",
    [
        as_coco,
        as_karpathy,
        as_token,
        as_table("captions.csv", ",", ["image", "caption"]),
        as_table("captions.txt", ",", ["Image", "Caption"]),
        as_table("captions.tsv", "\t", ["file_name", "text"]),
        as_table("results.csv", "|", ["image_name", " comment"]),
        as_json_lines,
        as_json_list,
    ],
)
def test_every_format_gives_the_same_captions(root, write):
    write(root)
    records, problems = read(root)
    assert {record.file: list(record.captions) for record in records} == {
        f"pictures/{name}": captions for name, captions in CAPTIONS.items()
    }
    assert problems == problems.errors == []


ROWS = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(lambda t: t.strip(" .")), min_size=1
)


@given(ROWS)
def test_captions_come_back_from_csv_and_json_lines(tmp_path_factory, captions):
    kept = [caption.strip() for caption in captions if any(not c.isspace() and c != "." for c in caption)]
    for name in ("captions.csv", "captions.jsonl"):
        root = tmp_path_factory.mktemp("custom")
        (root / "a.jpg").touch()
        with open(root / name, "w", encoding="utf-8", newline="") as stream:
            if name.endswith(".csv"):
                csv.writer(stream).writerows([["image", "caption"], *(["a.jpg", caption] for caption in captions)])
            else:
                stream.writelines(json.dumps({"image": "a.jpg", "caption": each}) + "\n" for each in captions)
        assert [list(record.captions) for record in read(root)[0]] == [kept]


def test_splits_and_ids_are_taken_over(root):
    lines = [
        {"image": "a.jpg", "caption": "one", "split": "Training", "image_id": 7},
        {"image": "b.png", "caption": "two", "split": "dev"},
    ]
    (root / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    records, _ = read(root)
    assert [(record.image_id, record.split) for record in records] == [("7", "train"), ("pictures/b", "val")]


def test_a_file_for_each_split(root):
    (root / "captions_train2014.csv").write_text("image,caption\na.jpg,one\n")
    (root / "captions_val2014.csv").write_text("image,caption\nb.png,two\n")
    assert [record.split for record in read(root)[0]] == ["train", "val"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.csv", "image,caption\na.jpg,one\n\na.jpg,one, two\n", r"c\.csv, line 4, has 3 columns instead of 2"),
        ("c.csv", 'image,caption\na.jpg,"two\nlines"\nz.jpg,gone\n', r"c\.csv, line 4: there is no image z\.jpg"),
        ("c.csv", "image,caption\na.jpg,\n", r"c\.csv, line 2: the caption '' of a\.jpg has no word"),
        ("c.csv", "image,caption\na.jpg, . \n", r"c\.csv, line 2: the caption '\.' of a\.jpg has no word"),
        ("c.csv", "image,caption,split\na.jpg,one,evaluation\n", r"line 2: there is no split 'evaluation'"),
        ("c.csv", 'image,caption\na.jpg,"one"two\n', r"c\.csv, line 2, is malformed"),
        ("c.jsonl", '{"image": "a.jpg", "caption": "one"}\n{"image": \n', r"c\.jsonl, line 2, is not JSON"),
        ("c.jsonl", '{"caption": "one"}\n', r"c\.jsonl, line 1, names no image"),
        ("c.jsonl", '{"image": "a.jpg", "caption": 3}\n', r"c\.jsonl, line 1, has no text as caption"),
        ("c.jsonl", "[1]\n", r"c\.jsonl, line 1, is no JSON object"),
        ("c.token", "a.jpg#0\tone\na.jpg#1\t.\n", r"c\.token, line 2: the caption '\.' of a\.jpg has no word"),
        ("c.token", "a.jpg#0\tone\nnothing\n", r"c\.token, line 2, is not `NAME"),
    ],
)
def test_a_fault_is_named_with_file_and_line_and_the_rest_is_read(root, name, text, message):
    (root / name).write_text(text)
    _, problems = read(root)
    assert len(problems.errors) == 1
    assert re.search(message, problems.errors[0])
    with pytest.raises(InputError, match=message):
        list(find_dataset("custom").records(root, Problems()))


@pytest.mark.parametrize("name", ["c.csv", "c.token", "c.jsonl", "c.json"])
def test_captions_in_another_encoding_name_the_file(root, name):
    text = {
        "c.csv": "image,caption\na.jpg,café\n",
        "c.token": "a.jpg#0\tcafé\n",
        "c.jsonl": '{"image": "a.jpg", "caption": "café"}',
        "c.json": '[{"image": "a.jpg", "caption": "café"}]',
    }[name]
    (root / name).write_bytes(text.encode("iso-8859-1"))
    (root / "readme.txt").write_bytes("Dégâts".encode("iso-8859-1"))
    with pytest.raises(InputError, match=re.escape(str(root / name))):
        list(find_dataset("custom").records(root, Problems()))


def test_an_image_in_two_splits_is_an_error(root):
    (root / "c.csv").write_text("image,caption,split\na.jpg,one,train\na.jpg,two,test\n")
    with pytest.raises(InputError, match=r"line 3: pictures/a\.jpg is in the split 'test' here and in 'train'"):
        list(find_dataset("custom").records(root, Problems()))


def test_a_name_of_two_images_is_an_error_unless_the_path_tells(root):
    (root / "more").mkdir()
    Image.new("L", (3, 2)).save(root / "more" / "a.jpg")
    (root / "c.csv").write_text("image,caption\na.jpg,one\n")
    assert "may be more/a.jpg or pictures/a.jpg" in read(root)[1].errors[0]
    (root / "c.csv").write_text("image,caption\nmore/a.jpg,one\n")
    assert [record.file for record in read(root)[0]] == ["more/a.jpg"]


def test_images_without_captions_are_counted(root):
    (root / "c.csv").write_text("image,caption\na.jpg,one\n")
    assert list(read(root)[1]) == ["1 of 2 images have no caption, such as pictures/b.png."]


def test_no_captions_and_too_many_are_one_sentence(root):
    with pytest.raises(InputError, match=r"There are no captions below .* COCO or Karpathy JSON"):
        read(root)
    for name in ("one.csv", "two.csv"):
        (root / name).write_text("image,caption\na.jpg,one\n")
    with pytest.raises(InputError, match=r"several files of captions below .* \(one\.csv, two\.csv\)"):
        read(root)
