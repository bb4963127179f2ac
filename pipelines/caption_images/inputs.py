"""Images that a path or a pattern names."""

import glob
from pathlib import Path

from model.backbones.images import image_suffixes
from pipelines.features.images import ImageSource
from schemas.errors import InputError
from schemas.text import printable


def find_images(path: str) -> list[ImageSource]:
    """Finds the image at `path`, the images in a folder and below it, or those that match a pattern.

    In a folder, a file counts if its name ends like that of a readable format and is not hidden. A file that is named
    itself counts whatever its name.

    Args:
        path: A file, a folder or a pattern such as `holiday/*.jpg`.

    Returns:
        The images in the order of their names, which are their ids (escaped by `printable`).

    Raises:
        InputError: There is no such file, or no image in the folder.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        found = {file.relative_to(given): file for file in given.rglob("*") if _is_image_name(file, given)}
    elif given.exists():
        found = {given: given} if given.is_file() else {}
    else:  # checked first, because a file name may contain the characters of a pattern
        names = glob.glob(str(given), recursive=True)  # noqa: PTH207  (a pattern may be absolute)
        found = {Path(name): Path(name) for name in names if Path(name).is_file()}
    if not found:
        raise InputError(f"There is no image at {printable(path)}; name a file, a folder or a pattern like 'a/*.jpg'.")
    return [ImageSource(printable(str(name)), str(found[name].absolute())) for name in sorted(found)]


def _is_image_name(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.suffix.lower() in image_suffixes() and file.is_file()
