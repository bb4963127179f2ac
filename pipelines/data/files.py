"""The files of corpora: where they lie below a folder, and the text formats that several corpora share."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pipelines.data.dataset import Problems
from schemas.errors import InputError
from schemas.io.files import digest_file

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
TEXT_SUFFIXES = frozenset({".csv", ".eng", ".json", ".jsonl", ".ndjson", ".token", ".tsv", ".txt"})


def list_files(root: Path) -> list[str]:
    """The files below `root`, as paths relative to it with `/`: the least deep first, then by path.

    Links are followed, a folder is entered once; hidden files and what macOS adds are passed over.
    """
    paths = []
    entered: set[str] = set()
    for directory, subdirectories, names in os.walk(root, followlinks=True):
        real = os.path.realpath(directory)
        if real in entered:
            subdirectories.clear()
            continue
        entered.add(real)
        subdirectories[:] = sorted(name for name in subdirectories if name != "__MACOSX")
        folder = Path(directory).relative_to(root).as_posix()
        prefix = "" if folder == "." else f"{folder}/"
        paths += [prefix + name for name in names if not name.startswith(".")]
    return sorted(paths, key=lambda path: (path.count("/"), path))


def index_files(root: Path) -> dict[str, str]:
    """Where the files below `root` lie: name -> path relative to `root`, with `/`.

    Of files that have one name, the least deep is kept, then the first by path.
    """
    index: dict[str, str] = {}
    for path in list_files(root):
        index.setdefault(path.rpartition("/")[2], path)
    return index


def digest_listing(root: Path) -> str:
    """SHA-256 of what lies below `root`: texts count with their content, all other files with name and size.

    So a corrected caption makes another digest, and no image is read.
    """
    digest = hashlib.sha256()
    for path in list_files(root):
        text = Path(path).suffix.lower() in TEXT_SUFFIXES
        content = digest_file(root / path) if text else (root / path).stat().st_size
        digest.update(f"{content}  {path}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def required_file(root: Path, files: dict[str, str], name: str, archive: str) -> Path:
    """The file of that name, from the index of `root`.

    Raises:
        InputError: there is none; names the archive that has it.
    """
    if name not in files:
        raise InputError(f"There is no {name} below {root}; unpack {archive} there.")
    return root / files[name]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of UTF-8 text, stripped; empty ones are passed over.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
    """
    try:
        # Not splitlines(): captions may hold characters that it takes for line ends.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as UTF-8 text ({error}); store it as UTF-8, or unpack the archive again."
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line.strip()


def read_token_file(path: Path, problems: Problems) -> dict[str, tuple[str, ...]]:
    """Captions by image name, in the order of their numbers, from Flickr's lines `NAME.jpg#K<TAB>caption`.

    A line that is malformed, or gives a caption's number twice, is an error of `problems`.
    """
    numbered: dict[str, dict[int, str]] = defaultdict(dict)
    for _, name, index, caption in read_token_lines(path, problems):
        numbered[name][index] = caption
    return {name: tuple(captions[index] for index in sorted(captions)) for name, captions in numbered.items()}


def read_token_lines(path: Path, problems: Problems) -> Iterator[tuple[int, str, int, str]]:
    """Yields line number, image name, the caption's number and the caption; see `read_token_file`."""
    seen: set[tuple[str, int]] = set()
    for number, line in read_lines(path):
        key, tab, caption = line.partition("\t")
        name, hash_sign, index = key.rpartition("#")
        if not (tab and hash_sign and name and caption.strip() and index.isdecimal()):
            problems.error(
                f"{path}, line {number}, is not `NAME.jpg#K<TAB>caption` but {line[:80]!r}; "
                "mend the line or unpack the archive again."
            )
        elif (name, int(index)) in seen:
            problems.error(f"{path}, line {number}, gives caption {key} for the second time; remove one of them.")
        else:
            seen.add((name, int(index)))
            yield number, name, int(index), caption.strip()


def has_word(caption: str) -> bool:
    """Whether a caption has more than blanks and full stops, so that every tokenizer finds a word in it."""
    return any(not character.isspace() and character != "." for character in caption)
