"""Captions in all supported formats."""

import json

import numpy as np
import pytest

from schemas.errors import InputError
from schemas.hypotheses import Hypothesis, ImageHypotheses, write_hypotheses
from schemas.interop.caption_files import read_generated, read_references

COCO = {
    "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 8, "file_name": "8.jpg"}, {"id": 9, "file_name": "9.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 8, "caption": "A cat."},
        {"id": 2, "image_id": 7, "caption": "A dog."},
        {"id": 3, "image_id": 7, "caption": "The dog runs."},
    ],
}
LINES = [{"image_id": "7", "captions": ["A dog.", "The dog runs."]}, {"image_id": 8, "caption": "A cat."}]
KARPATHY = {
    "images": [
        {"cocoid": 7, "filename": "7.jpg", "split": "test", "sentences": [{"raw": "A dog."}, {"raw": "The dog runs."}]},
        {"cocoid": 8, "filename": "8.jpg", "split": "test", "sentences": [{"raw": "A cat."}]},
    ]
}
EXPECTED = {"7": ("A dog.", "The dog runs."), "8": ("A cat.",)}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("coco.json", COCO),
        ("records.json", [{"image_id": a["image_id"], "caption": a["caption"]} for a in COCO["annotations"]]),
        ("lines.jsonl", "\n".join(map(json.dumps, LINES)) + "\n\n"),
        ("LINES.JSON", "\n".join(map(json.dumps, LINES))),
        ("minimal.json", {**COCO, "images": [{"id": 7}, {"id": 8}]}),
        ("karpathy.json", KARPATHY),
        ("mapping.json", {"7": ["A dog.", "The dog runs."], "8": "A cat."}),
        ("wrapped.json", {"info": {}, "annotations": COCO["annotations"]}),
        ("wrapped.json", {"model": "m", "results": LINES}),
        ("table.csv", 'image_id,caption\n7,A dog.\n7,"The dog runs."\n8,A cat.\n'),
        ("gts.json", {"7": [{"image_id": 7, "caption": text} for text in EXPECTED["7"]], "8": {"caption": "A cat."}}),
        ("lists.jsonl", '{"image": 7, "caption": ["A dog.", "The dog runs."]}\n{"image": 8, "caption": ["A", "cat."]}'),
        ("floats.json", [{"image_id": float(a["image_id"]), "caption": a["caption"]} for a in COCO["annotations"]]),
        ("tokens.token", "7.jpg#0\tA dog.\n7.jpg#1\tThe dog runs.\r\n\n8.jpg#0\tA cat.\n"),
        ("lines.txt", "7\tA dog.\n7\tThe dog runs.\n8\tA cat."),
        ("captions.txt", 'Image,Caption\n7,A dog.\n7,"The dog runs."\n8,A cat.\n'),
        ("excel.csv", "\nsep=;\nimage_id;caption\n7;A dog.\n7;The dog runs.\n8;A cat.\n"),
        ("table.tsv", "\ufeffimage\tcaption\n7\tA dog.\n7\tThe dog runs.\n8\tA cat.\n"),
    ],
)
def test_caption_formats_give_the_same_references(tmp_path, name, content):
    assert read_references(write(tmp_path / name, content)).captions == (
        {f"{image_id}.jpg": texts for image_id, texts in EXPECTED.items()} if name.endswith(".token") else EXPECTED
    )


def test_duplicate_image_is_refused_where_one_is_expected(tmp_path):
    twice = write(tmp_path / "twice.json", [{"image_id": 1, "caption": text} for text in ("a dog", "a cat")])
    assert read_generated(twice) == {"1": ("a dog", "a cat")}
    with pytest.raises(InputError, match="record 1: image 1 has captions twice"):
        read_generated(twice, unique=True)


def test_m_rnn_s_lists(tmp_path):
    record = {"id": 7, "file_name": "7.jpg", "file_path": "val", "sentences": [["a", "dog"], ["the", "dog"]]}
    generated = {**record, "gen_beam_search_10": [["dogs"], ["a", "dog", "runs"]]}
    np.save(tmp_path / "plain.npy", np.array([record], object))
    np.save(tmp_path / "generated.npy", np.array([generated], object))
    assert read_references(tmp_path / "generated.npy").captions == {"7": ("a dog", "the dog")}
    assert read_generated(tmp_path / "generated.npy") == {"7": ("dogs", "a dog runs")}
    with pytest.raises(InputError, match="image 7, has no generated sentences"):
        read_generated(tmp_path / "plain.npy")


def test_our_hypotheses(tmp_path):
    captions = (Hypothesis(("a", "dog"), -1.0), Hypothesis(("dogs",), -2.0))
    write_hypotheses(tmp_path, [ImageHypotheses("7", captions)])
    assert read_generated(tmp_path / "hypotheses.jsonl") == {"7": ("a dog", "dogs")}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[" * 100_000, "is not valid JSON"),
        ("a.json", "[]", "contains no captions"),
        ("a.json", "[7]", "record 0, is not a record"),
        ("a.json", [{"caption": "a"}], "record 0.*image id is None"),
        ("a.json", [{"image_id": 1}], "record 0, has neither"),
        ("a.json", [{"image_id": 1, "caption": 7}], "record 0: the caption is 7"),
        ("a.json", {"images": []}, "contains no captions, only images"),
        ("a.jsonl", '{"image_id": 1, "caption": "a"}\n{', "line 2, is not JSON"),
        ("a.jsonl", "\n7\n", "line 2, is not a record"),
        ("a.json", '{"1": "a", "2": "b", "1": "c"}', "has the key '1' twice"),
        ("a.json", {"train": [{"id": 1, "caption": "a"}], "val": [{"id": 2, "caption": "b"}]}, "the id 1; give COCO"),
        ("a.csv", "image_id,caption\n1,a dog, running\n", "line 2, has more columns than the first line; quote"),
        ("a.csv", "\nsep=,\nimage_id,caption\n1\n", "line 4: the caption is None"),
        ("a.csv", "image_id,caption\n1\n", "line 2: the caption is None"),
        ("a.txt", "1\ta dog\n2 a cat\n", "line 2, has no tab"),
        ("absent.jsonl", None, "cannot be read"),
    ],
)
def test_malformed_captions_are_named(tmp_path, name, content, message):
    if content is not None:
        write(tmp_path / name, content)
    with pytest.raises(InputError, match=message):
        read_references(tmp_path / name)
