"""Partitions: contradictory lists are refused, random splits are stable."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.data.dataset import Dataset, Problems
from pipelines.data.splits import assign_splits, digest_partition, draw_splits, read_name_lists
from schemas.annotations import Record
from schemas.errors import ConfigurationError, InputError


class Empty(Dataset):
    """A dataset without records of its own."""

    title, homepage, license, citation = "Empty", "", "", ""

    def records(self, root, problems):
        return iter(())


def record(file, split="", captions=("a cat",)):
    return Record(Path(file).stem, file, split, captions)


FILES = ["a/1.jpg", "a/2.jpg", "b/3.png", "b/4.png"]


def write_lists(folder, **names):
    for split, listed in names.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in listed), encoding="utf-8")


def assign(root, partition, records=None):
    problems = Problems()
    records = [record(file) for file in FILES] if records is None else records
    assigned = assign_splits(Empty(), records, root, partition, problems)
    return {each.file: each.split for each in assigned}, problems.findings


def test_split_list_accepts_ids_names_and_paths(tmp_path):
    write_lists(tmp_path, train=["1", "a/2.jpg"], val=["3.png"], test=["b/4"])
    splits, problems = assign(tmp_path, "lists")
    assert splits == {"a/1.jpg": "train", "a/2.jpg": "train", "b/3.png": "val", "b/4.png": "test"}
    assert problems == []


def test_lists_match_backslashes_compositions_and_byte_order_marks(tmp_path):
    records = [record("a/cafe\u0301.jpg"), record("b/2.jpg"), record("c/3.jpg")]
    write_lists(tmp_path, train=["caf\u00e9.jpg"], val=["b\\2.jpg"], test=["3"])
    (tmp_path / "train.txt").write_text("caf\u00e9.jpg\r\n", encoding="utf-8-sig")
    splits, _ = assign(tmp_path, "lists", records)
    assert list(splits.values()) == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"train": ["1", "2"], "val": ["2"], "test": []}, r"val\.txt, line 1: 2 is in the train list already"),
        ({"train": ["1", "1"], "val": [], "test": []}, r"train\.txt, line 2: 1 is in the train list already"),
        ({"train": ["1"], "val": ["1.jpg"], "test": []}, r"has a/1\.jpg twice, also as 1\.jpg"),
        ({"train": ["1", "7", "8"], "val": [], "test": ["9"]}, r"names 3 images .* such as 7, 8, 9"),
    ],
)
def test_contradictory_captions_are_named(tmp_path, names, message):
    write_lists(tmp_path, **names)
    with pytest.raises(InputError, match=message):
        assign(tmp_path, "lists")


def test_ambiguous_name_is_an_error(tmp_path):
    write_lists(tmp_path, train=["1.jpg"], val=[], test=[])
    records = [Record("x", "a/1.jpg", "", ("a",)), Record("y", "b/1.jpg", "", ("a",))]
    with pytest.raises(InputError, match=r"has 1\.jpg, which matches a/1\.jpg, b/1\.jpg; list paths"):
        assign(tmp_path, "lists", records)


@given(
    st.dictionaries(
        st.from_regex(r"[^\s\ufeff\0]([^\r\n\0]*[^\s\0])?", fullmatch=True), st.sampled_from(["train", "test"])
    )
)
def test_lists_read_back(tmp_path_factory, split_of):
    folder = tmp_path_factory.mktemp("lists")
    write_lists(folder, **{s: [name for name in split_of if split_of[name] == s] for s in ("train", "test")})
    assert read_name_lists({split: folder / f"{split}.txt" for split in ("train", "test")}) == split_of


IDS = st.sets(st.text(max_size=4), min_size=4, max_size=40)


@given(IDS, st.integers(0, 2), st.integers(0, 2), st.integers(0, 3))
def test_random_split_sizes_are_independent_of_the_order(image_ids, val, test, seed):
    drawn = draw_splits(sorted(image_ids), val, test, seed)
    counts = Counter(drawn.values())
    assert (counts["val"], counts["test"]) == (val, test)
    assert drawn == draw_splits(sorted(image_ids, reverse=True), val, test, seed)


@given(IDS, st.text(max_size=4), st.integers(0, 3))
def test_added_image_moves_at_most_one_image_per_split(image_ids, added, seed):
    before, after = draw_splits(image_ids, 2, 2, seed), draw_splits(image_ids | {added}, 2, 2, seed)
    moved = Counter(
        (before[image_id], after[image_id]) for image_id in image_ids if before[image_id] != after[image_id]
    )
    assert set(moved) <= {("val", "train"), ("test", "train")}
    assert max(moved.values(), default=0) <= 1


def test_another_seed_draws_others():
    names = [str(number) for number in range(100)]
    assert draw_splits(names, 10, 10, 0) != draw_splits(names, 10, 10, 1)


def test_random_split_keeps_published_test_images(tmp_path):
    records = [
        *(record(f"{n}.jpg", "train") for n in range(5)),
        record("t.jpg", "test"),
        record("u.jpg", "unlabeled", ()),
    ]
    splits, _ = assign(tmp_path, "random:2:0:0", records)
    assert Counter(splits.values()) == {"train": 3, "val": 2, "test": 1, "unlabeled": 1}
    assert (splits["t.jpg"], splits["u.jpg"]) == ("test", "unlabeled")
    splits, _ = assign(tmp_path, "random:0:2:0", [*records, record("v.jpg", "val")])
    assert Counter(splits.values()) == {"train": 4, "val": 1, "test": 2, "unlabeled": 1}
    assert splits["v.jpg"] == "val"
    splits, _ = assign(tmp_path, "random:1:2:0", records)
    assert Counter(splits.values()) == {"train": 3, "val": 1, "test": 2, "unlabeled": 1}


def test_random_split_without_training_images_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="requests 4 of the 4 captioned images"):
        assign(tmp_path, "random:2:2:0")


@pytest.mark.parametrize("partition", ["", "mine", "random:1:2", "random:1:-2:0", "published:x"])
def test_unknown_split_is_refused_with_the_available_ones(tmp_path, partition):
    with pytest.raises(ConfigurationError, match=r"set it to published, lists, lists:DIR"):
        assign(tmp_path, partition)


def test_split_digest_depends_on_list_content(tmp_path):
    write_lists(tmp_path, train=["1"], val=["2"], test=["3"])
    before = digest_partition(f"lists:{tmp_path}")
    write_lists(tmp_path, train=["2"], val=["1"])
    assert digest_partition(f"lists:{tmp_path}") != before
    assert digest_partition("random:1:1:0") is None
