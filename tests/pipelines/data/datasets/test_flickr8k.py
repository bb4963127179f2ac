"""A small imitation of the Flickr8k archives, with the dirt of the real ones."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.data.dataset import Problems
from pipelines.data.datasets import find_dataset
from pipelines.data.download.unpack import unpack
from schemas.annotations import Record
from schemas.errors import InputError

SPLITS = {"trainImages": ["30_cc", "10_aa", "20_bb"], "devImages": ["50_ee"], "testImages": ["40_dd"]}
NAMES = [name for names in SPLITS.values() for name in names]


def tokens() -> list[str]:
    lines = [f"{name}.jpg#{k}\tCaption {k} of {name} , with a caf\u00e9 ." for name in sorted(NAMES) for k in range(5)]
    lines[0], lines[3] = lines[3], lines[0]
    lines += [f"2258277193_586949ec62.jpg.1#{k}\tpeople waiting for the subway" for k in range(5)]
    lines += [f"60_ff.jpg#{k}\tIn no list" for k in range(5)]
    return lines


def make_archives(folder: Path, prefix: str = "", lines: list[str] | None = None, missing: str = "") -> None:
    with zipfile.ZipFile(folder / "Flickr8k_Dataset.zip", "w") as archive:
        for name in [*NAMES, "60_ff"]:
            if name != missing:
                archive.writestr(f"Flicker8k_Dataset/{name}.jpg", b"\xff\xd8")
        archive.writestr("__MACOSX/Flicker8k_Dataset/._10_aa.jpg", b"dirt")
    with zipfile.ZipFile(folder / "Flickr8k_text.zip", "w") as archive:
        text = "\n".join(tokens() if lines is None else lines) + "\n"
        archive.writestr(f"{prefix}Flickr8k.token.txt", text)
        for name, images in SPLITS.items():
            archive.writestr(f"{prefix}Flickr_8k.{name}.txt", "".join(f"{image}.jpg\n" for image in images))
        archive.writestr("__MACOSX/Flickr8k.token.txt", b"\x00\x05\x16\x07")
        archive.writestr(f"{prefix}readme.txt", "Please cite")


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[list[Record], list[str]]]:
    def read(**options: object) -> tuple[list[Record], list[str]]:
        make_archives(tmp_path, **options)
        for archive in find_dataset("flickr8k").archives:
            unpack(tmp_path / archive.name, tmp_path / "root", lambda fraction, message: None)
        return read_records(tmp_path / "root")

    return read


def read_records(root: Path) -> tuple[list[Record], list[str]]:
    problems = Problems()
    return list(find_dataset("flickr8k").records(root, problems)), [finding.message for finding in problems.findings]


@pytest.mark.parametrize("prefix", ["", "Flickr8k_text/"])
def test_records_and_known_dirt(read: Callable[..., tuple[list[Record], list[str]]], prefix: str) -> None:
    records, problems = read(prefix=prefix)
    assert [record.image_id for record in records] == NAMES
    assert [record.split for record in records] == ["train", "train", "train", "val", "test"]
    assert records[1] == Record(
        "10_aa",
        "Flicker8k_Dataset/10_aa.jpg",
        "train",
        tuple(f"Caption {k} of 10_aa , with a caf\u00e9 ." for k in range(5)),
    )
    assert problems == [
        "Flickr8k.token.txt has 5 captions of 2258277193_586949ec62.jpg.1, but there is no such image.",
        "1 of 6 images are in no split list.",
    ]


def test_macos_files_are_skipped(read: Callable[..., object], tmp_path: Path) -> None:
    read()
    (tmp_path / "root" / "__MACOSX").mkdir()
    for name in ("__MACOSX/Flickr8k.token.txt", "._Flickr8k.token.txt", "Flicker8k_Dataset/._10_aa.jpg"):
        (tmp_path / "root" / name).write_bytes(b"\x00\x05\x16\x07")
    records, problems = read_records(tmp_path / "root")
    assert len(records) == len(NAMES)
    assert len(problems) == 2


def test_listed_image_without_file(read: Callable[..., tuple[list[Record], list[str]]]) -> None:
    records, problems = read(missing="10_aa")
    assert [record.image_id for record in records] == [name for name in NAMES if name != "10_aa"]
    assert "Flickr_8k.trainImages.txt lists 10_aa.jpg, but there is no such image." in problems


def test_listed_image_without_captions(read: Callable[..., tuple[list[Record], list[str]]]) -> None:
    records, problems = read(lines=[line for line in tokens() if not line.startswith("50_ee")])
    assert "val" not in {record.split for record in records}
    assert "Flickr_8k.devImages.txt lists 50_ee.jpg, but Flickr8k.token.txt has no caption of it." in problems


@pytest.mark.parametrize(
    "line",
    ["10_aa.jpg#7 no tab", "10_aa.jpg\tno number", "10_aa.jpg#x\tno number", "#7\tno name", "#\t"],
)
def test_malformed_caption_line(read: Callable[..., object], line: str) -> None:
    _, problems = read(lines=["10_aa.jpg#0\tfine", line])
    assert "Flickr8k.token.txt, line 2, lacks " in problems[0]


def test_caption_number_twice(read: Callable[..., object]) -> None:
    _, problems = read(lines=["10_aa.jpg#0\tfine", "", "10_aa.jpg#0\tagain"])
    assert "line 3, has caption 10_aa.jpg#0 for the second time" in problems[0]


def test_empty_caption_keeps_its_position(read: Callable[..., object]) -> None:
    records, _ = read(lines=["10_aa.jpg#0\tfine", "10_aa.jpg#1\t "])
    (record,) = [record for record in records if record.image_id == "10_aa"]
    assert record.captions == ("fine", "")
    assert record.place(1).endswith("Flickr8k.token.txt, line 2")


def test_captions_outside_utf8_are_named(read: Callable[..., object], tmp_path: Path) -> None:
    read()
    (tmp_path / "root" / "Flickr8k.token.txt").write_bytes(b"10_aa.jpg#0\tcaf\xe9\n")
    with pytest.raises(InputError, match=r"Flickr8k\.token\.txt, line 1, is not UTF-8"):
        read_records(tmp_path / "root")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("40_dd.jpg\n40_dd.jpg\n", "line 2: 40_dd.jpg is in the test list already"),
        ("40_dd.jpg\n\n10_aa.jpg\n", "line 3: 10_aa.jpg is in the train list already"),
    ],
)
def test_malformed_lists(read: Callable[..., object], tmp_path: Path, text: str, message: str) -> None:
    read()
    (tmp_path / "root" / "Flickr_8k.testImages.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_records(tmp_path / "root")


def test_missing_files_are_named(read: Callable[..., object], tmp_path: Path) -> None:
    read()
    (tmp_path / "root" / "Flicker8k_Dataset").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="None of the 5 images"):
        read_records(tmp_path / "root")
    (tmp_path / "root" / "Flickr_8k.devImages.txt").unlink()
    with pytest.raises(InputError, match=r"no Flickr_8k\.devImages\.txt below .* unpack Flickr8k_text\.zip"):
        read_records(tmp_path / "root")


def test_published_facts() -> None:
    dataset = find_dataset("flickr8k")
    assert [archive.name for archive in dataset.archives] == ["Flickr8k_Dataset.zip", "Flickr8k_text.zip"]
    assert all(url.endswith(f"/{archive.name}") for archive in dataset.archives for url in archive.urls)
    assert "Hodosh" in dataset.citation
    assert dataset.license
    assert dataset.homepage.startswith("https://")
