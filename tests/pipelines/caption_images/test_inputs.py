"""Selection of image files, and hostile file names."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.caption_images.inputs import find_images, find_skipped
from schemas.errors import InputError
from schemas.text import printable


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(*paths) -> list[str]:
    return [image.image_id for image in find_images([*map(str, paths)])]


def test_find_images_takes_files_named_like_images_from_a_folder(tmp_path):
    touch(
        tmp_path, "b.JPG", "a.webp", "sub/c.png", "notes.txt", ".hidden.png", ".thumbnails/d.png", "__init__", "x.pdf"
    )
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == ["a.webp", "b.JPG", "sub/c.png"]


def test_find_images_takes_a_named_file_whatever_its_suffix(tmp_path):
    touch(tmp_path, "image")
    assert names(tmp_path / "image") == [str(tmp_path / "image")]


def test_find_images_prefers_a_file_to_a_pattern(tmp_path):
    touch(tmp_path, "[ab].png", "a.png", "deep/er/b.png")
    assert names(tmp_path / "[ab].png") == [str(tmp_path / "[ab].png")]
    assert names(tmp_path / "?.png") == [str(tmp_path / "a.png")]
    assert names(tmp_path / "**" / "*.png") == sorted(str(path) for path in tmp_path.rglob("*.png"))


def test_find_images_takes_several_paths_and_each_image_once(tmp_path):
    touch(tmp_path, "a/x.png", "b/x.png", "b/y.png")
    found = names(tmp_path / "a", tmp_path / "b", tmp_path / "b" / "y.png")
    assert found == [str(tmp_path / "a" / "x.png"), str(tmp_path / "b" / "x.png"), "y.png"]


def test_empty_input_is_one_sentence(tmp_path):
    touch(tmp_path, "notes.txt")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "absent.png", tmp_path / "pipe", tmp_path / "*.gif"):
        with pytest.raises(InputError, match="There is no image at"):
            find_images([str(path)])


def test_unsupported_endings_are_skipped_and_counted(tmp_path):
    touch(tmp_path, "a.png", "b.svg", "sub/c.heic", "d.pdf", ".hidden.txt")
    skipped = find_skipped([str(tmp_path), str(tmp_path / "d.pdf")])
    assert skipped == [str(tmp_path / name) for name in ("b.svg", "d.pdf", "sub/c.heic")]
    touch(tmp_path, "only/e.heic")
    with pytest.raises(
        InputError, match=r'only \(1 file \(1 \.heic, which needs pip install "m-rnn\[heif\]"\), such as'
    ):
        find_images([str(tmp_path / "only")])


def test_hostile_names_are_found_and_shown_as_escapes(tmp_path):
    hostile = [b"\xff.png", b"\x1b[31mred.png", b"line\nbreak.png", "\u202egnp.exe.png".encode(), b"back\\slash.png"]
    for name in hostile:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    images = find_images([str(tmp_path)])
    assert sorted(image.image_id for image in images) == sorted(
        ["\\udcff.png", "\\x1b[31mred.png", "line\\nbreak.png", "\\u202egnp.exe.png", "back\\\\slash.png"]
    )
    assert all(Path(image.path).is_file() for image in images)


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_displayed_names_are_escaped_and_distinct(one, other):
    assert printable(one).isprintable()
    printable(one).encode("utf-8")
    assert (printable(one) == printable(other)) == (one == other)
