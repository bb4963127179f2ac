"""From a corpus's records to annotations: nothing is lost in silence."""

import pytest
from PIL import Image

from pipelines.data.dataset import Dataset, Record
from pipelines.data.prepare_annotations import annotate
from schemas.errors import InputError


class Listed(Dataset):
    """A corpus of the records that it is given."""

    title, homepage, license, citation = "Listed", "", "", ""

    def __init__(self, *records):
        self._records = records

    def records(self, root, problems):
        problems.append("A remark of the corpus.")
        yield from self._records


def record(name, split, captions=("a cat",)):
    return Record(name.split(".")[0], name, split, captions)


WHOLE = (record("a.png", "train"), record("b.png", "val"), record("c.png", "test"))


@pytest.fixture
def root(tmp_path):
    for name in "abc":
        Image.new("L", (30, 20)).save(tmp_path / f"{name}.png")
    return tmp_path


def look(corpus, root):
    return annotate(corpus, root, lambda fraction, message: None)


def test_sizes_are_looked_up(root):
    images, problems = look(Listed(*WHOLE), root)
    assert [(image.image_id, image.width, image.height) for image in images] == [(i, 30, 20) for i in "abc"]
    assert problems == ["A remark of the corpus."]


def test_what_has_no_file_or_no_caption_is_left_out_with_a_sentence(root):
    images, problems = look(Listed(*WHOLE, record("gone.png", "train"), record("d.png", "train", ())), root)
    assert len(images) == 3
    assert problems[1:] == [
        "Image gone is left out: there is no file gone.png.",
        "Image d is left out: there is no file d.png.",
    ]


def test_a_caption_without_a_word_is_left_out_and_not_its_image(root):
    images, problems = look(Listed(*WHOLE[:2], record("c.png", "test", ("a cow", " . ", "..."))), root)
    assert images[-1].captions == ("a cow",)
    assert problems[1:] == ["Image c has 2 captions without a word; they are left out."]


def test_unlabeled_images_need_no_caption(root):
    Image.new("L", (30, 20)).save(root / "u.png")
    images, problems = look(Listed(*WHOLE, record("u.png", "unlabeled", ())), root)
    assert (images[-1].split, images[-1].captions) == ("unlabeled", ())
    assert len(problems) == 1


def test_an_unreadable_image_stays_with_size_zero(root):
    (root / "bad.png").write_bytes(b"no picture")
    images, _ = look(Listed(*WHOLE, record("bad.png", "train")), root)
    assert (images[-1].width, images[-1].height) == (0, 0)


def test_an_id_twice_is_an_error(root):
    with pytest.raises(InputError, match="has image a twice"):
        look(Listed(*WHOLE, record("a.png", "val")), root)


def test_an_empty_split_is_an_error(root):
    with pytest.raises(InputError, match="no image in the split 'test'"):
        look(Listed(*WHOLE[:2]), root)
