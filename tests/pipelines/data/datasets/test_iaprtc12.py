"""A small imitation of the IAPR TC-12 archives, with the dirt of the real ones."""

import io
import tarfile

import pytest

from pipelines.data.dataset import Problems
from pipelines.data.datasets import find_dataset
from pipelines.data.download.unpack import unpack
from pipelines.data.prepare_annotations import annotate
from schemas.annotations import Record
from schemas.errors import InputError

XML = """{declaration}<DOC>
<DOCNO>annotations/{path}.eng</DOCNO>
<TITLE>{title}</TITLE>
<DESCRIPTION>{description}</DESCRIPTION>
<NOTES></NOTES>
<LOCATION>Tucumán, Argentina</LOCATION>
<DATE>January 2002</DATE>
<IMAGE>images/{path}.jpg</IMAGE>
<THUMBNAIL>thumbnails/{path}.jpg</THUMBNAIL>
</DOC>
"""
DESCRIPTIONS = {
    "00/25": "a man on a dry slope with a few dry tussocks; a lake and a brown, bald mountain\n landscape behind;",
    "00/60": "a café in São Paulo;",
    "01/1000": "a bed & breakfast;; a boy;",
    "40/40499": "",
    "02/2808": "a wooden desk; ",
}


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def document(path, description, declaration=""):
    text = XML.format(path=path, title="In Tafí del Valle", description=description, declaration=declaration)
    return text.encode("iso-8859-1")


def make_archives(folder, **documents):
    with tarfile.open(folder / "iaprtc12.tgz", "w:gz") as archive:
        for number, (path, description) in enumerate(DESCRIPTIONS.items()):
            declaration = '<?xml version="1.0" encoding="ISO-8859-1"?>\n' if number % 2 else ""
            add(archive, f"iaprtc12/annotations_complete_eng/{path}.eng", document(path, description, declaration))
            add(archive, f"iaprtc12/annotations_complete_ger/{path}.ger", document(path, "ein Mann;"))
            add(archive, f"iaprtc12/annotations/{path}.eng", document(path, "not the complete one;"))
            add(archive, f"iaprtc12/images/{path}.jpg", b"\xff\xd8")
            add(archive, f"iaprtc12/thumbnails/{path}.jpg", b"\xff\xd8")
        add(archive, "iaprtc12/images/39/39999.jpg", b"\xff\xd8")
    with tarfile.open(folder / "iaprtc12.20091111.tar.bz2", "w:bz2") as archive:
        add(archive, "iaprtc12_train_list.txt", b"00/25\n00/60\n02/2808\n40/40499\n03/3000\n")
        add(archive, "iaprtc12_test_list.txt", b"01/1000\n")
        add(archive, "iaprtc12_dictionary.txt", b"man\nsky\n")


@pytest.fixture
def root(tmp_path):
    make_archives(tmp_path)
    for archive in find_dataset("iaprtc12").archives:
        unpack(tmp_path / archive.name, tmp_path / "root", lambda fraction, message: None)
    return tmp_path / "root"


def read(root):
    problems = Problems()
    return list(find_dataset("iaprtc12").records(root, problems)), [finding.message for finding in problems.findings]


def test_sentences_are_captions(root):
    records, problems = read(root)
    assert records == [
        Record(
            "25",
            "iaprtc12/images/00/25.jpg",
            "train",
            ("a man on a dry slope with a few dry tussocks", "a lake and a brown, bald mountain landscape behind"),
        ),
        Record("60", "iaprtc12/images/00/60.jpg", "train", ("a café in São Paulo",)),
        Record("1000", "iaprtc12/images/01/1000.jpg", "test", ("a bed & breakfast", "a boy")),
        Record("2808", "iaprtc12/images/02/2808.jpg", "train", ("a wooden desk",)),
        Record("40499", "iaprtc12/images/40/40499.jpg", "train", ()),
    ]
    assert problems == [
        "iaprtc12_train_list.txt lists image 3000, but there is no description of it.",
        "1 of 6 images have no description.",
    ]


def test_validation_images_are_drawn_from_those_to_train(root):
    images, problems = annotate(find_dataset("iaprtc12"), root, lambda fraction, message: None, "random:1:0:0")
    splits = {image.image_id: image.split for image in images}
    assert splits["1000"] == "test"
    assert sorted(splits.values()) == ["test", "train", "train", "val"]
    assert problems[-1].message == "Image 40499 is left out: it has no caption."


def test_described_images_in_neither_list_are_counted(root):
    (root / "iaprtc12_train_list.txt").write_text("00/25\n")
    records, problems = read(root)
    assert [record.image_id for record in records] == ["25", "1000"]
    assert problems[-1] == "3 described images, such as 60, are in neither list."


def test_images_without_lists_have_no_split(root):
    for path in root.glob("*_list.txt"):
        path.unlink()
    assert {record.split for record in read(root)[0]} == {""}


@pytest.mark.parametrize(
    "content",
    [
        b"<DOC><DESCRIPTION>unclosed</DOC>",
        b"",
        b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><DOC><DESCRIPTION>&b;</DESCRIPTION></DOC>',
        b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/hostname">]><DOC><DESCRIPTION>&a;</DESCRIPTION></DOC>',
    ],
)
def test_malformed_and_malicious_xml_names_the_file(root, content):
    (root / "iaprtc12/annotations_complete_eng/00/60.eng").write_bytes(content)
    records, problems = read(root)
    assert [record.captions for record in records if record.image_id == "60"] == [()]
    assert sum("60.eng is not the XML of IAPR TC-12" in problem for problem in problems) == 1


def test_missing_descriptions_are_named(root):
    (root / "iaprtc12/annotations_complete_eng").rename(root.parent / "elsewhere")
    with pytest.raises(InputError, match=r"no annotations_complete_eng/NN/N\.eng .* unpack iaprtc12\.tgz"):
        read(root)
