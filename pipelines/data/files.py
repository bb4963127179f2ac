"""Files of datasets: listing, finding images by the names that captions give them, and shared text formats."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from model.backbones.images import EXTRA, HEIF_SUFFIXES, image_suffixes
from pipelines.data.dataset import Problems
from schemas.errors import InputError
from schemas.io.files import read_text
from schemas.text import quantity

_NAMED = 3  # files in a message
# Also in names of COCO, coco_val2014_000000000042, and as pandas writes a column of numbers with gaps, 42.0.
_NUMBER = re.compile(r"(?:coco_[a-z]+[0-9]+_)?0*([0-9]+)(?:\.0)?")
_KEY = re.compile(r"[^#\s]+#\d+")


def list_files(root: Path) -> list[str]:
    """List the files below `root` as paths relative to it with `/`, shallow ones first, then by path.

    Links are followed and a directory is entered once; hidden files and the additions of macOS are skipped.
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
    """Map file names to paths relative to `root`, with `/`.

    Of several files of one name, the shallowest is kept, then the first by path.
    """
    index: dict[str, str] = {}
    for path in list_files(root):
        index.setdefault(path.rpartition("/")[2], path)
    return index


def required_file(root: Path, files: dict[str, str], name: str, archive: str) -> Path:
    """Return the path of a required file.

    Args:
        root: Directory of the dataset.
        files: Index of `root`, see `index_files`.
        name: Name of the file.
        archive: Archive that contains it, for the message.

    Raises:
        InputError: There is none; names the archive that contains it.
    """
    if name not in files:
        raise InputError(f"There is no {name} below {root}; unpack {archive} there.")
    return root / files[name]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered, stripped lines of a UTF-8 text that are not blank.

    Raises:
        InputError: The file cannot be read or is not UTF-8; names the line.
    """
    # Not splitlines(): captions may contain characters that it treats as line ends.
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def read_token_file(path: Path, problems: Problems) -> dict[str, dict[str, str]]:
    """Read captions from Flickr's lines `NAME.jpg#K<TAB>caption`.

    Returns:
        For each image name its captions by place, in the order of their numbers.
    """
    numbered: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    for line, name, index, caption in read_token_lines(path, problems):
        numbered[name][index] = (f"{path}, line {line}", caption)
    return {name: dict(captions[index] for index in sorted(captions)) for name, captions in numbered.items()}


def read_token_lines(path: Path, problems: Problems) -> Iterator[tuple[int, str, int, str]]:
    """Yield line number, image name, caption number and caption of Flickr's lines; see `read_token_file`.

    A line that is malformed or repeats a caption number is an invalid caption of `problems`.
    """
    seen: set[tuple[str, int]] = set()
    for number, line in read_lines(path):
        key, tab, caption = line.partition("\t")
        name, _, index = key.rpartition("#")
        is_empty = not tab and _KEY.fullmatch(line)  # the tab of an empty caption is stripped with the line
        if not (name and index.isdecimal() and (tab or is_empty)):
            missing = "#K behind the name of the image" if tab else "the tab between NAME.jpg#K and the caption"
            problems.invalid(
                "lines without a separator", f"{path}, line {number}, lacks {missing}: {line[:80]!r}; fix or remove it."
            )
            continue
        if (name, int(index)) in seen:
            problems.invalid(
                "repeated caption numbers",
                f"{path}, line {number}, has caption {key} for the second time; remove one of them.",
            )
        else:
            seen.add((name, int(index)))
            yield number, name, int(index), caption.strip()


def describe_skipped(paths: Sequence[str]) -> str:
    """Describe files by number and file extension, such as `2 files (2 .svg), such as a.svg`.

    For images in a format that needs a further package, the text contains its name.
    """
    kinds = Counter(PurePosixPath(path).suffix.lower() or "no extension" for path in paths)
    counts = ", ".join(
        f"{count} {kind}, which needs {EXTRA}" if kind in HEIF_SUFFIXES else f"{count} {kind}"
        for kind, count in kinds.most_common()
    )
    return f"{quantity(len(paths), 'file')} ({counts}), such as {', '.join(paths[:_NAMED])}"


def has_word(caption: str) -> bool:
    """Return whether a caption has a letter, digit or symbol such as an emoji, from which tokenizers form a token."""
    return any(character.isalnum() or unicodedata.category(character) == "So" for character in caption)


_WITHOUT_ENDING = 2  # first of the forms of a path that lack its file extension


class ImageIndex:
    """Finds images by the names that captions, lists or feature files give them.

    Names are compared as they are, then in Unicode's canonical composition (NFC) with `/` for backslashes, then without
    case. The extension of an image file is ignored if only one of the names has it. Leading zeros of numbers are
    ignored, also in COCO's form `COCO_val2014_000000000042`. Of the directories of a path, counted from its end, as
    many are compared as are needed to distinguish images.
    """

    def __init__(self, paths: Iterable[str]):
        """Index `paths`, which are relative with `/`."""
        self._paths = frozenset(paths)
        self._suffixes = image_suffixes()
        self._levels: list[dict[str, list[str]]] = [defaultdict(list) for _ in range(4)]
        for path in sorted(self._paths):
            for level, key in enumerate(self._keys(path)):
                self._levels[level][PurePosixPath(key).name].append(path)

    def _keys(self, path: str) -> tuple[str, str, str, str]:
        """Return the forms of a path that are compared, from strict to lax."""
        plain = unicodedata.normalize("NFC", str(PurePosixPath(path.replace("\\", "/"))))
        folded = plain.casefold()
        stem = os.path.splitext(folded)[0] if self._has_ending(folded) else folded  # noqa: PTH122
        folder, slash, name = stem.rpartition("/")
        number = _NUMBER.fullmatch(name)
        return plain, folded, stem, f"{folder}{slash}{number[1]}" if number else stem

    def _has_ending(self, name: str) -> bool:
        """Return whether a name has the file extension of an image."""
        return os.path.splitext(name)[1].lower() in self._suffixes  # noqa: PTH122  (of a text, not of a path here)

    def find(self, name: str) -> list[str]:
        """Return the paths that match a name; there are several where it is ambiguous."""
        if name in self._paths:
            return [name]
        has_ending = self._has_ending(name)
        for level, key in enumerate(self._keys(name)):
            candidates = self._levels[level].get(PurePosixPath(key).name, [])
            if level >= _WITHOUT_ENDING:
                candidates = [path for path in candidates if not (has_ending and self._has_ending(path))]
            shared = [_shared_tail(key, self._keys(path)[level]) for path in candidates]
            found = [path for path, parts in zip(candidates, shared, strict=True) if parts == max(shared)]
            if found:
                return found
        return []

    def find_id(self, image_id: str) -> list[str]:
        """Return the paths or ids that match `image_id`; all directories that both have must be equal."""
        return [path for path in self.find(image_id) if _folders_agree(path, image_id)]


def _folders_agree(path: str, other: str) -> bool:
    """Return whether the directories of the shorter path are the last ones of the longer path."""
    folders, others = (PurePosixPath(each.replace("\\", "/").lstrip("/")).parent.parts for each in (path, other))
    shared = min(len(folders), len(others))
    return folders[len(folders) - shared :] == others[len(others) - shared :]


def _shared_tail(path: str, other: str) -> int:
    """Count the parts that two paths have in common, from the end."""
    count = 0
    for part, each in zip(reversed(PurePosixPath(path).parts), reversed(PurePosixPath(other).parts), strict=False):
        if part != each:
            break
        count += 1
    return count
