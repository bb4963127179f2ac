"""Flickr8k: 8,000 photographs of people and animals doing things, five captions each."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipelines.datasets.base import Archive, Corpus, Record
from schemas.errors import InputError

IMAGES_ARCHIVE = "Flickr8k_Dataset.zip"
TEXT_ARCHIVE = "Flickr8k_text.zip"
TOKENS = "Flickr8k.token.txt"
LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
_HOSTS = (
    "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/",
    "http://nlp.cs.illinois.edu/HockenmaierGroup/Framing_Image_Description/",
)


class Flickr8k(Corpus):
    """The corpus with its published split: 6,000 images to train, 1,000 to validate, 1,000 to test."""

    title = "Flickr8k"
    homepage = "https://hockenmaier.cs.illinois.edu/8k-pictures.html"
    licence = (
        "For non-commercial research and educational use only; each photograph belongs to its photographer and is "
        "under Flickr's terms of use."
    )
    citation = (
        "M. Hodosh, P. Young and J. Hockenmaier (2013). Framing Image Description as a Ranking Task: Data, Models and "
        "Evaluation Metrics. Journal of Artificial Intelligence Research, 47, 853-899."
    )
    archives = tuple(Archive(name, tuple(host + name for host in _HOSTS)) for name in (IMAGES_ARCHIVE, TEXT_ARCHIVE))

    def records(self, root: Path, problems: list[str]) -> Iterator[Record]:
        """Yields the listed images, split by split, in the order of the published lists."""
        files = index_files(root)
        captions = read_token_file(_required(root, files, TOKENS))
        listed = _read_lists({split: _required(root, files, name) for split, name in LISTS.items()})

        if listed and not listed.keys() & files.keys():
            raise InputError(f"There is none of the {len(listed)} images below {root}; unpack {IMAGES_ARCHIVE} there.")
        for name in sorted(captions.keys() - files.keys() - listed.keys()):
            problems.append(f"{TOKENS} has {len(captions[name])} captions of {name}, but there is no such image.")
        for name, split in listed.items():
            if name not in files:
                problems.append(f"{LISTS[split]} lists {name}, but there is no such image.")
            elif name not in captions:
                problems.append(f"{LISTS[split]} lists {name}, but {TOKENS} has no caption of it.")
            else:
                yield Record(name.removesuffix(".jpg"), files[name], split, captions[name])
        images = [name for name in files if name.endswith(".jpg")]
        unlisted = sum(1 for name in images if name not in listed)
        if unlisted:
            problems.append(f"{unlisted} of {len(images)} images are in no split list.")


def index_files(root: Path) -> dict[str, str]:
    """Where the files below `root` lie: name -> path relative to `root`, with `/`.

    Of files that have one name, the least deep is kept, then the first by path; what macOS adds is passed over.
    """
    paths = []
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = [name for name in subdirectories if name != "__MACOSX"]
        folder = PurePosixPath(Path(directory).relative_to(root).as_posix())
        paths += [folder / name for name in names if not name.startswith("._")]
    index: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        index.setdefault(path.name, str(path))
    return index


def read_token_file(path: Path) -> dict[str, tuple[str, ...]]:
    """Captions by image name, in the order of their numbers, from lines `NAME.jpg#K<TAB>caption`.

    Raises:
        InputError: a line is malformed or gives a caption's number twice.
    """
    numbered: dict[str, dict[int, str]] = defaultdict(dict)
    for number, line in _lines(path):
        key, tab, caption = line.partition("\t")
        name, hash_sign, index = key.rpartition("#")
        if not (tab and hash_sign and name and caption.strip() and index.isdecimal()):
            raise InputError(
                f"{path}, line {number}, is not `NAME.jpg#K<TAB>caption` but {line[:80]!r}; "
                "mend the line or unpack the archive again."
            )
        if int(index) in numbered[name]:
            raise InputError(f"{path}, line {number}, gives caption {key} for the second time; remove one of them.")
        numbered[name][int(index)] = caption.strip()
    return {name: tuple(captions[index] for index in sorted(captions)) for name, captions in numbered.items()}


def _read_lists(paths: dict[str, Path]) -> dict[str, str]:
    """Split by image name, in the order of the lists; an image may be listed once only, or splits would overlap."""
    split_of: dict[str, str] = {}
    for split, path in paths.items():
        for number, name in _lines(path):
            if not name.endswith(".jpg") or "/" in name:
                raise InputError(
                    f"{path}, line {number}, is not the name of a .jpg file but {name[:80]!r}; mend the line."
                )
            if name in split_of:
                raise InputError(
                    f"{path}, line {number}: {name} is in the {split_of[name]} list already; remove one of the two."
                )
            split_of[name] = split
    return split_of


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of UTF-8 text, stripped; empty ones are passed over."""
    try:
        # Not splitlines(): captions may hold characters that it takes for line ends.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text ({error}); unpack the archive again.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line.strip()


def _required(root: Path, files: dict[str, str], name: str) -> Path:
    if name not in files:
        raise InputError(f"There is no {name} below {root}; unpack {TEXT_ARCHIVE} there.")
    return root / files[name]


CORPUS = Flickr8k()
