"""Which pictures a path means."""

import glob
from pathlib import Path

from model.backbones.images import image_suffixes
from pipelines.features.images import ImageSource
from schemas.errors import InputError
from schemas.text import printable


def find_pictures(path: str) -> list[ImageSource]:
    """The picture at `path`, those in the folder and below it, or those that match the pattern, by name.

    Of a folder, files count whose names end like those of a format that can be read, and that are not hidden. What is
    named otherwise is taken for a picture whatever it is called. Their ids are their names, as `printable` shows them;
    in a folder, those below it.

    Raises:
        InputError: there is no such file, or no picture in the folder.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        found = {file.relative_to(given): file for file in given.rglob("*") if _looks_like_a_picture(file, given)}
    elif given.exists():
        found = {given: given} if given.is_file() else {}
    else:  # only now: a name may hold the signs of a pattern
        names = glob.glob(str(given), recursive=True)  # noqa: PTH207  (it may begin anywhere)
        found = {Path(name): Path(name) for name in names if Path(name).is_file()}
    if not found:
        raise InputError(
            f"There is no picture at {printable(path)}; name a file, a folder or a pattern like 'a/*.jpg'."
        )
    return [ImageSource(printable(str(name)), str(found[name].absolute())) for name in sorted(found)]


def _looks_like_a_picture(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.suffix.lower() in image_suffixes() and file.is_file()
