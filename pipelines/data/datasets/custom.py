"""Custom: a folder of one's own images, with their captions in any of the formats of `pipelines.data.caption_files`."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pipelines.data.caption_files import CaptionedRow, find_caption_files, read_captions
from pipelines.data.dataset import Dataset, Problems, Record
from pipelines.data.files import IMAGE_SUFFIXES, list_files


class Custom(Dataset):
    """Images anywhere below the folder; nothing is downloaded, `source` of DownloadDataset names the folder.

    Where the captions come without splits, set `partition`, for example to random:1000:1000:0.
    """

    title = "Own images"
    homepage = ""
    license = "Not stated; it is that of whoever gathered the images."
    citation = "Not stated."

    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yields the captioned images in the order in which they are first named.

        An image that is not there, is named ambiguously, or whose captions are empty, is an error of `problems`.
        """
        paths = [PurePosixPath(path) for path in list_files(root)]
        images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
        by_name: dict[str, list[PurePosixPath]] = {}
        for path in images:
            by_name.setdefault(path.name, []).append(path)
        known = frozenset(images)
        gathered: dict[PurePosixPath, list[CaptionedRow]] = {}
        for row in read_captions(root, find_caption_files(root, paths), problems):
            found = _find(row, known, by_name, problems)
            if found is not None:
                gathered.setdefault(found, []).append(row)
        for path, rows in gathered.items():
            yield _record(path, rows, problems)
        left = [path for path in images if path not in gathered]
        if left:
            problems.append(f"{len(left)} of {len(images)} images have no caption, such as {left[0]}.")


def _find(
    row: CaptionedRow,
    known: frozenset[PurePosixPath],
    by_name: dict[str, list[PurePosixPath]],
    problems: Problems,
) -> PurePosixPath | None:
    path = PurePosixPath(row.file)
    if path in known:
        return path
    found = by_name.get(path.name, [])
    # The path may be given from another folder: its end decides.
    ends = [each for each in found if each.parts[-len(path.parts) :] == path.parts] or found
    if len(ends) == 1:
        return ends[0]
    if ends:
        problems.error(f"{row.place}: {row.file} may be {ends[0]} or {ends[1]}; give the path below the folder.")
    else:
        problems.error(f"{row.place}: there is no image {row.file}; add it or remove its captions.")
    return None


def _record(path: PurePosixPath, rows: Sequence[CaptionedRow], problems: Problems) -> Record:
    first = rows[0]
    for row in rows[1:]:
        if row.split != first.split:
            problems.error(
                f"{row.place}: {path} is in the split {row.split!r} here and in {first.split!r} at {first.place}; "
                "choose one."
            )
    captions = tuple(caption for row in rows for caption in row.captions)
    return Record(first.image_id or str(path.with_suffix("")), str(path), first.split, captions, dict(first.extras))
