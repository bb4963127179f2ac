"""Image files of paths, directories and patterns."""

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from model.backbones.images import image_suffixes
from pipelines.data.files import describe_skipped
from pipelines.engines.shards import ImageSource
from schemas.errors import InputError
from schemas.text import printable


def find_images(paths: Sequence[str]) -> list[ImageSource]:
    """Find the images of the paths, each once.

    In a directory, files are used that are not hidden and have the file extension of a readable format. A file that is
    given itself is used whatever its extension.

    Args:
        paths: Files, directories with all below them, and patterns such as `holiday/*.jpg`.

    Returns:
        The images. The id of an image is its path as given, or its path below the directory; where two have the same,
        the directory as given precedes it. Ids are printable, see `schemas.text.printable`.

    Raises:
        InputError: One of the paths has no image.
    """
    found: dict[Path, tuple[str, str]] = {}  # absolute path -> short and long id
    for path in paths:
        for short, file in sorted(_find(path).items()):
            found.setdefault(file.absolute(), (printable(str(short)), printable(str(file))))
    uses = Counter(short for short, _ in found.values())
    return [ImageSource(short if uses[short] == 1 else long, str(file)) for file, (short, long) in found.items()]


def find_skipped(paths: Sequence[str]) -> list[str]:
    """Return the files in the directories among `paths` that `find_images` skips because of their extensions."""
    folders = [folder for folder in (Path(path).expanduser() for path in paths) if folder.is_dir()]
    return sorted(
        {
            printable(str(file))
            for folder in folders
            for file in folder.rglob("*")
            if file.is_file() and not _is_hidden(file, folder) and not _is_image_name(file, folder)
        }
    )


def _find(path: str) -> dict[Path, Path]:
    """Short name -> file."""
    given = Path(path).expanduser()
    if given.is_dir():
        found = {file.relative_to(given): file for file in given.rglob("*") if _is_image_name(file, given)}
    elif given.exists():
        found = {given: given} if given.is_file() else {}
    else:  # checked last, because a file name may contain the characters of a pattern
        names = glob.glob(str(given), recursive=True)  # noqa: PTH207  (a pattern may be absolute)
        found = {Path(name): Path(name) for name in names if Path(name).is_file()}
    if not found:
        skipped = find_skipped([path])
        seen = f" ({describe_skipped(skipped)})" if skipped else ""
        raise InputError(
            f"There is no image at {printable(path)}{seen}; name a file, a directory or a pattern like 'a/*.jpg'."
        )
    return found


def _is_image_name(file: Path, folder: Path) -> bool:
    return not _is_hidden(file, folder) and file.suffix.lower() in image_suffixes() and file.is_file()


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
