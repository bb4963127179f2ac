"""Custom datasets: every format gives the same records, and every fault is named with file and line."""

import csv
import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.backbones.images import image_suffixes
from pipelines.data.dataset import Problems
from pipelines.data.datasets import find_dataset
from pipelines.data.prepare_annotations import keep_usable
from schemas.errors import InputError

CAPTIONS = {"a.jpg": ["A cat; it sits, says “miau”.", "Eine Katze"], "b.png": ["犬が走る", "🐶 runs"]}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in CAPTIONS:
        Image.new("L", (3, 2)).save(tmp_path / "photos" / name)
    return tmp_path


def read(root):
    """Records and messages by level; invalid captions are left out."""
    problems = Problems(collect_errors=True)
    records = keep_usable(list(find_dataset("custom").records(root, problems)), root, problems)
    return records, {
        level: [finding.message for finding in problems.of_level(level)] for level in ("error", "invalid", "remark")
    }


def read_strictly(root):
    return list(find_dataset("custom").records(root, Problems()))


def as_coco(root, encoding="utf-8"):
    images = [{"id": number, "file_name": name, "width": 3, "height": 2} for number, name in enumerate(CAPTIONS)]
    annotations = [
        {"id": 0, "image_id": number, "caption": caption}
        for number, captions in enumerate(CAPTIONS.values())
        for caption in captions
    ]
    (root / "coco.json").write_text(json.dumps({"annotations": annotations, "images": images}), encoding)


def as_karpathy(root, encoding="utf-8"):
    images = [
        {"filename": name, "filepath": "photos", "split": "train", "sentences": [{"raw": each} for each in captions]}
        for name, captions in CAPTIONS.items()
    ]
    (root / "dataset_mine.json").write_text(json.dumps({"images": images, "dataset": "mine"}, indent=1), encoding)


def as_token(root, encoding="utf-8"):
    lines = [f"{name}#{k}\t{caption}" for name, captions in CAPTIONS.items() for k, caption in enumerate(captions)]
    (root / "results.token").write_text("\n".join(lines), encoding)


def as_table(name, delimiter, header, prefix="photos/"):
    def write(root, encoding="utf-8"):
        with open(root / name, "w", encoding=encoding, newline="") as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerow(header)
            writer.writerows([prefix + file, each] for file, captions in CAPTIONS.items() for each in captions)

    return write


def as_lists_in_cells(write_list):
    def write(root, encoding="utf-8"):
        with open(root / "annotations.csv", "w", encoding=encoding, newline="") as stream:
            writer = csv.writer(stream)
            writer.writerows([["raw", "filename"], *([write_list(texts), name] for name, texts in CAPTIONS.items())])

    return write


def as_json_lines(image_key, caption_key, prefix="", name="captions.jsonl"):
    def write(root, encoding="utf-8"):
        lines = [
            {image_key: prefix + name, caption_key: caption}
            for name, captions in CAPTIONS.items()
            for caption in captions
        ]
        (root / name).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding)

    return write


def as_json(build):
    def write(root, encoding="utf-8"):
        (root / "captions.json").write_text(json.dumps(build()), encoding)

    return write


FORMATS = [
    as_coco,
    as_karpathy,
    as_token,
    as_table("captions.csv", ",", ["image", "caption"]),
    as_table("CAPTIONS.CSV", ",", ["Image Name", "Comment"]),
    as_table("captions.txt", ",", ["Image", "Caption"]),
    as_table("captions.tsv", "\t", ["file_name", "text"]),
    as_table("captions.tsv", "\t", ["img", "Image-Caption"], "C:\\data\\photos\\"),
    as_table("results.csv", "|", ["image_name", " comment"], "./photos/"),
    as_table("results.csv", ";", ["filepath", "sentence"], "/home/me/photos/"),
    as_lists_in_cells(json.dumps),
    as_lists_in_cells(str),
    as_json_lines("image", "caption"),
    as_json_lines("Image", "Text", "photos\\"),
    as_json_lines("imagePath", "sentence", "https://example.org/photos/", "x.ndjson"),
    as_json(lambda: [{"file": f"photos/{name}", "captions": texts} for name, texts in CAPTIONS.items()]),
    as_json(lambda: {"data": [{"img": name, "captions": texts} for name, texts in CAPTIONS.items()]}),
    as_json(lambda: CAPTIONS),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("write", FORMATS)
def test_custom_reads_every_format_with_and_without_byte_order_mark(root, write, encoding):
    write(root, encoding)
    records, found = read(root)
    assert {record.file: list(record.captions) for record in records} == {
        f"photos/{name}": captions for name, captions in CAPTIONS.items()
    }
    assert found == {"error": [], "invalid": [], "remark": []}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("write", FORMATS)
def test_custom_names_other_unicode_encodings(root, write, encoding):
    write(root, encoding)
    with pytest.raises(InputError, match="UTF-32" if encoding == "utf-32" else "UTF-16") as caught:
        read_strictly(root)
    assert next(path.name for path in root.iterdir() if path.is_file()) in str(caught.value)


@pytest.mark.parametrize("name", ["c.csv", "c.token", "c.jsonl", "c.json", "captions.txt"])
def test_custom_names_the_line_of_another_encoding(root, name):
    lines = {
        "c.csv": ["image,caption", "a.jpg,café"],
        "captions.txt": ["image,caption", "a.jpg,café"],
        "c.token": ["a.jpg#0\tone", "a.jpg#1\tcafé"],
        "c.jsonl": ['{"image": "a.jpg", "caption": "one"}', '{"image": "a.jpg", "caption": "café"}'],
        "c.json": ['[{"image": "a.jpg",', '"caption": "café"}]'],
    }[name]
    (root / name).write_bytes("\r\n".join(lines).encode("cp1252"))
    (root / "readme.txt").write_bytes("Dégâts".encode("iso-8859-1"))
    with pytest.raises(InputError, match=re.escape(f"{root / name}, line 2, is not UTF-8 (byte 0xe9)")):
        read_strictly(root)


ROWS = st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1), min_size=1)


@given(ROWS)
def test_captions_come_back_from_csv_and_json_lines(tmp_path_factory, captions):
    def is_valid(caption):
        return any(unicodedata.category(each)[0] in "LN" or unicodedata.category(each) == "So" for each in caption)

    kept = [caption.strip() for caption in captions if is_valid(caption)]
    for name in ("captions.csv", "captions.jsonl"):
        root = tmp_path_factory.mktemp("custom")
        (root / "a.jpg").touch()
        with open(root / name, "w", encoding="utf-8", newline="") as stream:
            if name.endswith(".csv"):
                csv.writer(stream).writerows([["image", "caption"], *(["a.jpg", caption] for caption in captions)])
            else:
                stream.writelines(json.dumps({"image": "a.jpg", "caption": each}) + "\n" for each in captions)
        records = list(find_dataset("custom").records(root, Problems()))
        usable = [text for record in records for text in record.captions if is_valid(text)]
        assert usable == kept


def test_splits_and_ids_are_preserved(root):
    lines = [
        {"image": "a.jpg", "caption": "one", "split": "Training", "image_id": 7},
        {"image": "b.png", "caption": "two", "Subset": "dev"},
    ]
    (root / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    records = read_strictly(root)
    assert [(record.image_id, record.split) for record in records] == [("7", "train"), ("photos/b", "val")]


@pytest.mark.parametrize("word", ["val2014", "valid", "Validation", "dev-2"])
def test_captions_file_per_split(root, word):
    (root / "captions_train2014.csv").write_text("image,caption\na.jpg,one\n")
    (root / f"captions_{word}.csv").write_text("image,caption\nb.png,two\n")
    assert {record.split: record.file for record in read_strictly(root)} == {
        "train": "photos/a.jpg",
        "val": "photos/b.png",
    }


@pytest.mark.parametrize("val", ["validation", "valid", "val", "Dev", "val2017"])
@pytest.mark.parametrize("above", ["", "data"])
def test_folders_of_splits_are_relative_to_their_captions_file(tmp_path, val, above):
    for folder in ("train", val, "test"):
        (tmp_path / above / folder).mkdir(parents=True)
        Image.new("L", (3, 2)).save(tmp_path / above / folder / "0.png")
        line = json.dumps({"file_name": "0.png", "text": f"a cat in {folder}"})
        (tmp_path / above / folder / "metadata.jsonl").write_text(line)
    found = {record.split: (record.file, record.captions) for record in read_strictly(tmp_path)}
    prefix = f"{above}/" if above else ""
    folders = {"train": "train", "val": val, "test": "test"}
    assert found == {split: (f"{prefix}{folder}/0.png", (f"a cat in {folder}",)) for split, folder in folders.items()}


def test_splits_of_one_file_follow_the_image_directories(tmp_path):
    for folder in ("train", "valid"):
        (tmp_path / folder).mkdir()
        Image.new("L", (3, 2)).save(tmp_path / folder / "0.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\ntrain/0.png,one\nvalid/0.png,two\n")
    assert [record.split for record in read_strictly(tmp_path)] == ["train", "val"]
    (tmp_path / "metadata.csv").write_text("file_name,text\nvalid/0.png,two\n")
    assert [record.split for record in read_strictly(tmp_path)] == [""]


def test_images_without_captions_are_skipped_and_counted(root):
    as_coco(root)
    coco = json.loads((root / "coco.json").read_text())
    instances = [{"id": 1, "image_id": 0, "category_id": 3, "bbox": [0, 0, 1, 1]}]
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps({**coco, "annotations": instances}))
    (root / "annotations" / "image_info_test.json").write_text(json.dumps({"images": coco["images"]}))
    (root / "metadata.json").write_text("[1, 2, 3]")
    (root / "results.json").write_text('[{"image_id": 1, "caption": "x"}]')
    (root / "classes.csv").write_text("id,name\n1,cat\n")
    (root / "README.txt").write_text("Read me")
    (root / "drawing.svg").write_text("<svg/>")
    records, found = read(root)
    assert len(records) == 2
    assert found["error"] == found["invalid"] == []
    (remark,) = found["remark"]
    assert remark.startswith(
        "Neither images that can be read nor captions: 7 files (4 .json, 1 .txt, 1 .csv, 1 .svg), such as README.txt, "
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.csv", "image,caption\na.jpg,ok\na.jpg,one, two\n", r"c\.csv, line 3, has 3 columns instead of 2"),
        (
            "c.csv",
            "image|caption\na.jpg|ok\na.jpg one\n",
            r"c\.csv, line 3, lacks a separator: .* add the missing '\|'",
        ),
        ("c.tsv", "image\tcaption\na.jpg\tok\na.jpg one\n", r"c\.tsv, line 3, lacks a separator: .* missing tab"),
        ("c.csv", 'image,caption\na.jpg,"two\nlines"\nz.jpg,gone\n', r"c\.csv, line 4: there is no image z\.jpg"),
        (
            "c.csv",
            "image,caption\na.jpg,ok\na.jpg,\n",
            r"c\.csv, line 3: the caption '' of photos/a\.jpg has no word",
        ),
        ("c.csv", "image,caption\na.jpg,ok\na.jpg, . \n", r"c\.csv, line 3: the caption '\.' of .* has no word"),
        ("c.csv", "image,caption\na.jpg,ok\na.jpg,?!\n", r"c\.csv, line 3: the caption '\?!' of .* has no word"),
        ("c.csv", "image,caption\na.jpg,ok\n,two\n", r"c\.csv, line 3, names no image"),
        ("c.jsonl", '{"image": "a.jpg", "caption": "ok"}\n{"image": \n', r"c\.jsonl, line 2, is not JSON"),
        ("c.jsonl", '{"image": "a.jpg", "caption": "ok"}\n{"caption": "one"}\n', r"line 2, names no image"),
        (
            "c.jsonl",
            '{"image": "a.jpg", "caption": "ok"}\n{"image": "a.jpg", "caption": 3}\n',
            r"c\.jsonl, line 2, has no text as caption \(3\)",
        ),
        ("c.jsonl", '{"image": "a.jpg", "captions": ["ok", null]}\n', r"line 1, has no text as caption \(None\)"),
        ("c.jsonl", '{"image": "a.jpg", "caption": "ok"}\n[1]\n', r"c\.jsonl, line 2, is no object"),
        ("c.token", "a.jpg#0\tok\na.jpg#1\t.\n", r"c\.token, line 2: the caption '\.' of photos/a\.jpg has no word"),
        ("c.token", "a.jpg#0\tok\na.jpg#1\t\n", r"c\.token, line 2: the caption '' of photos/a\.jpg has no word"),
        ("c.token", "a.jpg#0\tok\na.jpg#1 nothing\n", r"c\.token, line 2, lacks the tab"),
        ("c.token", "a.jpg#0\tok\na.jpg#0\ttwo\n", r"c\.token, line 2, has caption a\.jpg#0 for the second time"),
        (
            "c.json",
            '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "ok"}, '
            '{"image_id": 1, "caption": null}]}',
            r"c\.json, annotations\[1\]: the caption is None and no text",
        ),
    ],
)
def test_invalid_caption_is_omitted_with_file_and_line(root, name, text, message):
    (root / name).write_text(text)
    (root / "photos" / "b.png").unlink()
    records, found = read(root)
    assert [(record.file, len(record.captions)) for record in records] == [("photos/a.jpg", 1)]
    assert found["error"] == found["remark"] == []
    (invalid,) = found["invalid"]
    assert re.search(message, invalid)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,caption,split\na.jpg,one,evaluation\n", r"c\.csv, line 2: there is no split 'evaluation'"),
        ('image,caption\na.jpg,"one"two\n', r"c\.csv, line 2: the quotes are malformed"),
        ("image,caption,split\na.jpg,one,train\na.jpg,two,test\n", r"line 3: photos/a\.jpg is in the split 'test'"),
    ],
)
def test_error_is_reported_once(root, text, message):
    (root / "c.csv").write_text(text)
    _, found = read(root)
    assert len(found["error"]) == 1
    assert re.search(message, found["error"][0])
    assert found["remark"] == []
    with pytest.raises(InputError, match=message):
        read_strictly(root)


def test_ambiguous_name_is_an_error_unless_the_path_decides(root):
    (root / "more").mkdir()
    Image.new("L", (3, 2)).save(root / "more" / "a.jpg")
    (root / "c.csv").write_text("image,caption\na.jpg,one\n")
    with pytest.raises(InputError, match=r"may be more/a\.jpg or photos/a\.jpg"):
        read_strictly(root)
    for name in ("more/a.jpg", "D:\\x\\more\\a.jpg"):
        (root / "c.csv").write_text(f"image,caption\n{name},one\n")
        assert [record.file for record in read_strictly(root)] == ["more/a.jpg"]


@pytest.mark.parametrize(("on_disk", "written"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_match_across_unicode_composition_if_unambiguous(tmp_path, on_disk, written):
    names = {form: unicodedata.normalize(form, "café größe.jpg") for form in ("NFC", "NFD")}
    Image.new("L", (3, 2)).save(tmp_path / names[on_disk])
    (tmp_path / "c.csv").write_text(f"image,caption\n{names[written]},one\n", encoding="utf-8")
    assert [(each.file, each.image_id) for each in read_strictly(tmp_path)] == [(names[on_disk], names["NFC"][:-4])]
    (tmp_path / "x").mkdir()
    Image.new("L", (3, 2)).save(tmp_path / "x" / names[on_disk])
    with pytest.raises(InputError, match="may be"):
        read_strictly(tmp_path)


def test_ambiguous_name_means_the_image_of_its_split(tmp_path):
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}2017").mkdir()
        Image.new("L", (3, 2)).save(tmp_path / f"{split}2017" / "1.jpg")
        content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": split}]}
        if split != "test":
            (tmp_path / "annotations" / f"captions_{split}2017.json").write_text(json.dumps(content))
    found = {record.file: (record.split, record.captions) for record in read_strictly(tmp_path)}
    assert found == {"train2017/1.jpg": ("train", ("train",)), "val2017/1.jpg": ("val", ("val",))}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("b.HEIC", r'line 2: b\.HEIC is a HEIF image, .* run pip install "m-rnn\[heif\]"'),
        ("b.svg", r"line 2: b\.svg has no file extension of a readable image; convert it"),
    ],
)
def test_unreadable_image_is_distinguished_from_a_missing_one(root, monkeypatch, name, message):
    without_plugin = image_suffixes() - {".heic"}
    monkeypatch.setattr("model.backbones.images.image_suffixes", lambda: without_plugin)
    monkeypatch.setattr("pipelines.data.datasets.custom.image_suffixes", lambda: without_plugin)
    (root / name).write_bytes(b"")
    (root / "c.csv").write_text(f"image,caption\n{name},one\n")
    records, found = read(root)
    assert records == found["error"] == []
    assert re.search(message, found["invalid"][0])
    assert f"1 file (1 {name[1:].lower()}" in found["remark"][-1]


@pytest.mark.parametrize(("before", "line"), [("sep=;\r\n", 4), ("\n \n", 5), ("\r\nsep=;\r\n", 5)])
def test_lines_before_the_header_are_skipped_and_counted(root, before, line):
    (root / "c.csv").write_text(f"\ufeff{before}image;caption\r\na.jpg;one, two\r\nz.jpg;gone\r\n", newline="")
    records, found = read(root)
    assert [record.captions for record in records] == [("one, two",)]
    assert f"c.csv, line {line}: there is no image z.jpg" in found["invalid"][0]


def test_repeated_key_of_json_is_an_error(root):
    (root / "c.json").write_text('{"a.jpg": ["one"], "b.png": ["two"], "a.jpg": ["three"]}')
    with pytest.raises(InputError, match=r"c\.json has the key 'a\.jpg' twice"):
        read_strictly(root)


def test_numbers_match_without_leading_zeros_if_unambiguous(tmp_path):
    Image.new("L", (3, 2)).save(tmp_path / "000042.jpg")
    (tmp_path / "c.csv").write_text("image,caption\n42,one\n")
    assert [record.file for record in read_strictly(tmp_path)] == ["000042.jpg"]
    Image.new("L", (3, 2)).save(tmp_path / "0042.jpg")
    with pytest.raises(InputError, match=r"42 may be 000042\.jpg or 0042\.jpg"):
        read_strictly(tmp_path)


def test_names_match_without_case_and_without_ending(tmp_path):
    Image.new("L", (3, 2)).save(tmp_path / "IMG_1.JPG", "JPEG")
    for name in ("img_1.jpg", "IMG_1", "img_1"):
        (tmp_path / "c.csv").write_text(f"image,caption\n{name},one\n")
        assert [record.file for record in read_strictly(tmp_path)] == ["IMG_1.JPG"]


def test_ids_name_images_in_the_absence_of_file_names(tmp_path):
    Image.new("L", (3, 2)).save(tmp_path / "ROCO_00001.jpg")
    (tmp_path / "c.csv").write_text("ID,Caption\nROCO_00001,one\n")
    assert [(each.file, each.image_id) for each in read_strictly(tmp_path)] == [("ROCO_00001.jpg", "ROCO_00001")]


def test_images_with_one_stem_are_distinguished_by_ending(tmp_path):
    for name in ("a.jpg", "a.png", "b.webp"):
        Image.new("L", (3, 2)).save(tmp_path / name)
    (tmp_path / "c.csv").write_text("image,caption\na.jpg,one\na.png,two\nb.webp,three\n")
    assert {each.image_id: each.captions[0] for each in read_strictly(tmp_path)} == {
        "a.jpg": "one",
        "a.png": "two",
        "b": "three",
    }


def test_repeated_ids_are_replaced_by_paths(root):
    for split, name in (("train", "a.jpg"), ("val", "b.png")):
        content = {"images": [{"id": 1, "file_name": name}], "annotations": [{"image_id": 1, "caption": "a cat"}]}
        (root / f"captions_{split}.json").write_text(json.dumps(content))
    records, found = read(root)
    assert [record.image_id for record in records] == ["photos/a", "photos/b"]
    assert "1 image ids, such as 1, belong to several images" in found["remark"][0]


@pytest.mark.parametrize("ending", [".avif", ".jp2", ".jfif", ".mpo", ".ppm", ".tif", ".webp", ".JPE", ".bmp"])
def test_images_of_every_format_are_found(tmp_path, ending):
    (tmp_path / f"a{ending}").write_bytes(b"")
    (tmp_path / "c.csv").write_text(f"image,caption\na{ending},one\n")
    assert [record.file for record in read_strictly(tmp_path)] == [f"a{ending}"]


def test_images_without_captions_are_counted(root):
    (root / "c.csv").write_text("image,caption\na.jpg,one\n")
    assert read(root)[1]["remark"] == ["1 of 2 images have no usable caption, such as photos/b.png."]


def test_other_file_is_refused_with_the_missing_columns(root):
    with pytest.raises(InputError, match=rf"no captions below {re.escape(str(root))}; add a file .* COCO or Karpathy"):
        read_strictly(root)
    for name, text, lack in (
        ("c.csv", "a.jpg,a cat\nb.png,a dog\n", r"c\.csv has no header .* first line is 'a\.jpg,a cat'"),
        ("c.jsonl", '{"caption": "one"}\n', r"c\.jsonl has no key for the image"),
        ("c.json", '[{"image": "a.jpg"}]', r"c\.json has no key for the caption"),
        ("c.json", "3", r"c\.json is no list or object"),
        ("empty.csv", "", r"empty\.csv is empty"),
        ("empty.json", "[]\n", r"empty\.json is empty"),
        ("c.parquet", "PAR1", r"c\.parquet has an unsupported format"),
    ):
        (root / name).write_text(text)
        with pytest.raises(InputError, match=lack):
            read_strictly(root)
        (root / name).unlink()


def test_several_captions_files_are_an_error(root):
    for name in ("one.csv", "two.csv"):
        (root / name).write_text("image,caption\na.jpg,one\n")
    with pytest.raises(InputError, match=r"several captions files below .* \(one\.csv, two\.csv\)"):
        read_strictly(Path(root))
