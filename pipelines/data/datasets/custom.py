"""Custom: a directory of images with their captions in any of the formats of `pipelines.data.caption_files`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from model.backbones.images import describe_unread, image_suffixes
from pipelines.data.caption_files import CaptionFile, find_caption_files, folder_split, read_captions
from pipelines.data.dataset import Dataset, Problems
from pipelines.data.files import ImageIndex, describe_skipped, list_files
from schemas.annotations import Record


class Custom(Dataset):
    """Images anywhere below a directory, which `source` of DownloadDataset names; nothing is downloaded.

    Where the captions have no splits, set `partition`, for example to random:1000:1000:0.
    """

    title = "Custom images"
    homepage = ""
    license = "Not stated; ask whoever collected the images."
    citation = "Not stated."

    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yield the captioned images in the order in which they are first named.

        Captions of an image that is missing are invalid; an image that is named ambiguously is an error.
        """
        paths = list_files(root)
        suffixes = image_suffixes()
        images = [path for path in paths if PurePosixPath(path).suffix.lower() in suffixes]
        index = ImageIndex(images)
        others = ImageIndex(path for path in paths if PurePosixPath(path).suffix.lower() not in suffixes)
        files = find_caption_files(root, list(map(PurePosixPath, paths)))
        gathered: dict[str, list[Record]] = {}
        for file, record in read_captions(files, problems):
            found = _find(record, file, root, index, others, problems)
            if found is not None:
                gathered.setdefault(found, []).append(record)
        split_of = _splits_by_folder(gathered)
        id_of = _image_ids(gathered, problems)
        for path, records in gathered.items():
            yield _merge(id_of[path], path, split_of.get(path, ""), records, problems)
        if problems.of_level("error"):
            return  # what is unused may be so because of them
        unused = [path for path in images if path not in gathered]
        if unused:
            problems.remark(
                "images without captions",
                f"{len(unused)} of {len(images)} images have no usable caption, such as {unused[0]}.",
            )
        taken = {file.path.relative_to(root).as_posix() for file in files}
        skipped = [path for path in paths if path not in taken and PurePosixPath(path).suffix.lower() not in suffixes]
        if skipped:
            problems.remark(
                "other files", f"Neither images that can be read nor captions: {describe_skipped(skipped)}."
            )


def _find(
    record: Record, file: CaptionFile, root: Path, images: ImageIndex, others: ImageIndex, problems: Problems
) -> str | None:
    """Return the image that a record names: relative to the captions file, to the root, or by the end of its path.

    Of several, the one in the directory of the record's split is meant.
    """
    folder = file.path.parent.relative_to(root)
    beside = images.find((folder / record.file).as_posix()) if folder.parts else []
    found = beside if len(beside) == 1 else images.find(record.file)
    if len(found) > 1 and record.split:
        found = [path for path in found if folder_split(PurePosixPath(path)) == record.split] or found
    if len(found) == 1:
        return found[0]
    if found:
        problems.error(
            "ambiguous names of images",
            f"{record.place(0)}: {record.file} may be {found[0]} or {found[1]}; give a path below the directory, with "
            "its extension.",
        )
        return None
    unread = others.find(record.file)
    for number in range(len(record.captions)):
        if unread:
            problems.invalid(
                "captions of files that are no images",
                f"{record.place(number)}: {unread[0]} {describe_unread(unread[0])}.",
            )
        else:
            problems.invalid(
                "captions of missing images",
                f"{record.place(number)}: there is no image {record.file}; add it or remove its captions.",
            )
    return None


def _splits_by_folder(gathered: dict[str, list[Record]]) -> dict[str, str]:
    """Return the split of each image by its directory, if no record has a split and the directories name several."""
    split_of = {path: folder_split(PurePosixPath(path)) for path in gathered}
    splits = set(split_of.values())
    is_given = any(record.split for records in gathered.values() for record in records)
    return split_of if "train" in splits and len(splits) > 1 and "" not in splits and not is_given else {}


def _image_ids(gathered: dict[str, list[Record]], problems: Problems) -> dict[str, str]:
    """Return the ids of the captions files, or else paths without endings.

    Of two files that differ in their endings only, the endings belong to the ids.
    """
    given = {path: records[0].image_id for path, records in gathered.items()}
    repeated = [image_id for image_id, count in Counter(filter(None, given.values())).items() if count > 1]
    if repeated:
        problems.remark(
            "repeated image ids",
            f"{len(repeated)} image ids, such as {repeated[0]}, belong to several images; paths are used instead.",
        )
        given = dict.fromkeys(given, "")
    stems = Counter(PurePosixPath(path).with_suffix("") for path in gathered)
    names = {path: PurePosixPath(path).with_suffix("") for path in gathered}
    return {
        path: image_id or normalize("NFC", path if stems[names[path]] > 1 else str(names[path]))
        for path, image_id in given.items()
    }


def _merge(image_id: str, path: str, split: str, records: Sequence[Record], problems: Problems) -> Record:
    """Return one record of an image from those of its captions."""
    first = records[0]
    for record in records[1:]:
        if record.split != first.split:
            problems.error(
                "images in two splits",
                f"{record.place(0)}: {path} is in the split {record.split!r} here and in {first.split!r} at "
                f"{first.place(0)}; choose one.",
            )
    return replace(
        first,
        image_id=image_id,
        file=path,
        split=first.split or split,
        captions=tuple(caption for record in records for caption in record.captions),
        places=tuple(place for record in records for place in record.places[: len(record.captions)]),
    )
