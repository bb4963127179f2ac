"""Assignment of images to splits: as published, by name lists, by Karpathy's file, or drawn with a seed."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pipelines.data.dataset import Dataset, Problems
from pipelines.data.files import ImageIndex, has_word, index_files, read_lines
from schemas.annotations import EVERY_SPLIT, SPLITS, UNLABELED, Record
from schemas.errors import ConfigurationError, InputError
from schemas.interop.captions import read_anno_list, read_karpathy
from schemas.io.files import digest_file

FORMS = "published, lists, lists:DIR, karpathy, karpathy:FILE or random:VAL:TEST:SEED"
NAMED = 3  # maximum number of images in a message
_KARPATHY_SPLITS = {"train": "train", "restval": "train", "val": "val", "test": "test"}
_ANNO_LIST_PARTS = {"train": "train", "val": "modelVal", "test": "crVal", UNLABELED: "test2014"}


def assign_splits(
    dataset: Dataset, records: Sequence[Record], root: Path, partition: str, problems: Problems
) -> list[Record]:
    """Assign the splits of a partition.

    Partitions are

    * `published`: the splits of the dataset itself,
    * `lists` or `lists:DIR`: name lists `train.txt`, `val.txt` and `test.txt` below `root` or in a directory, with one
      image name per line, or m-RNN's `anno_list_*.npy`,
    * `karpathy` or `karpathy:FILE`: Karpathy's file below `root`, or another file,
    * `random:VAL:TEST:SEED`: random splits, see `draw_splits`.

    Images in none of the lists are left out and reported; unlabeled images stay unlabeled unless they are listed.

    Args:
        dataset: The dataset.
        records: Its records.
        root: Its directory.
        partition: One of the partitions above.
        problems: Receives findings about images that are left out.

    Returns:
        The records with their splits, in their order.

    Raises:
        ConfigurationError: There is no such partition.
        InputError: A list is missing or malformed, lists overlap, or they name an image that the dataset does not have.
    """
    kind, _, argument = partition.partition(":")
    if kind == "published" and not argument:
        return _published(dataset, records)
    if kind == "lists":
        folder = Path(argument) if argument else root
        return _assign(read_name_lists(_find_lists(folder)), f"The lists below {folder}", records, problems)
    if kind == "karpathy":
        path = Path(argument) if argument else _find_karpathy(dataset, root)
        return _assign(_read_karpathy_splits(path), str(path), records, problems)
    if kind == "random" and re.fullmatch(r"\d+:\d+:\d+", argument):
        val, test, seed = map(int, argument.split(":"))
        return _draw(dataset, records, val, test, seed)
    raise ConfigurationError(f"There is no partition {partition!r}; set it to {FORMS}.")


def digest_partition(partition: str) -> str | None:
    """Return the SHA-256 of the files that a partition names, for artifact keys; None if it names none."""
    argument = partition.partition(":")[2]
    path = Path(argument)
    if partition.startswith("random:") or not argument or not path.exists():
        return None
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    digests = [f"{digest_file(file)}  {file.name}\n" for file in files if file.suffix in (".txt", ".npy", ".json")]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def read_name_lists(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return the split by image name, from the list of each split, in the order of the lists.

    Raises:
        InputError: An image is listed twice, in one list or in two: splits would overlap.
    """
    split_of: dict[str, str] = {}
    for split, path in paths.items():
        names: Iterable[tuple[str, str]]
        if path.suffix == ".npy":
            names = (
                (f"record {row}", PurePosixPath(image.file).name) for row, image in enumerate(read_anno_list(path))
            )
        else:
            names = ((f"line {number}", name) for number, name in read_lines(path))
        for place, name in names:
            if name in split_of:
                raise InputError(
                    f"{path}, {place}: {name} is in the {split_of[name]} list already; remove one of the two."
                )
            split_of[name] = split
    return split_of


def draw_splits(image_ids: Iterable[str], val: int, test: int, seed: int) -> dict[str, str]:
    """Assign images to splits at random.

    The images are ordered by the SHA-256 of seed and id; the first are `test` and the last `val`. Adding or removing an
    image moves at most one other image into or out of each of these splits.

    Args:
        image_ids: Ids of the images.
        val: Number of validation images.
        test: Number of test images; all other images are for training.
        seed: Seed of the order.

    Returns:
        Split by image id.
    """
    order = sorted(image_ids, key=lambda image_id: image_order(image_id, seed))
    split_of = dict.fromkeys(order, "train")
    split_of.update(dict.fromkeys(order[:test], "test"))
    split_of.update(dict.fromkeys(order[len(order) - val :], "val"))
    return split_of


def image_order(image_id: str, seed: int) -> bytes:
    """Return the sort key of a random order in which the order of two images never changes."""
    return hashlib.sha256(f"{seed}\n{image_id}".encode()).digest()


def _published(dataset: Dataset, records: Sequence[Record]) -> list[Record]:
    without = [record.image_id for record in records if not record.split]
    if without:
        raise InputError(
            f"{dataset.title} has {len(without)} images that are in no split, such as {_some(without)}; set "
            f"`partition` of PrepareAnnotations to lists or karpathy, or draw with {suggest_partition(records)}."
        )
    return list(records)


def suggest_partition(records: Sequence[Record]) -> str:
    """Return the partition to use by default: the published one, with a tenth drawn for each split that it lacks."""
    present = {record.split for record in records}
    if "" in present:
        present = set()
    if present.issuperset(SPLITS):
        return "published"
    tenth = max(1, len(records) // 10)
    val, test = (0 if split in present and "train" in present else tenth for split in ("val", "test"))
    return f"random:{val}:{test}:0"


def _draw(dataset: Dataset, records: Sequence[Record], val: int, test: int, seed: int) -> list[Record]:
    """Draw splits; a split of size 0 stays as published. Images without captions are not drawn."""
    kept = {UNLABELED, *(split for split, count in (("val", val), ("test", test)) if count == 0)}

    def fixed(record: Record) -> bool:
        return record.split in kept or not any(map(has_word, record.captions))

    pool = [record.image_id for record in records if not fixed(record)]
    if val + test >= len(pool):
        remedy = "request fewer" if len(pool) >= len(SPLITS) else "add images, at least one for each split"
        raise ConfigurationError(
            f"random:{val}:{test}:{seed} requests {val + test} of the {len(pool)} captioned images of {dataset.title} "
            f"and leaves none for training; {remedy}."
        )
    split_of = draw_splits(pool, val, test, seed)
    return [
        record if fixed(record) and record.split else replace(record, split=split_of.get(record.image_id, "train"))
        for record in records
    ]


def _assign(split_of: Mapping[str, str], source: str, records: Sequence[Record], problems: Problems) -> list[Record]:
    """Assign listed splits; a listed name is an image's id, path or file name, with or without file extension."""
    index = ImageIndex(record.file for record in records)
    row_of_file = {record.file: row for row, record in enumerate(records)}
    row_of_id = {record.image_id: row for row, record in enumerate(records)}
    rows = {
        name: {row_of_file[file] for file in index.find(name)} | ({row_of_id[name]} if name in row_of_id else set())
        for name in split_of
    }
    unknown = [name for name in split_of if not rows[name]]
    if unknown:
        raise InputError(
            f"{source} names {len(unknown)} images that the dataset does not have, such as {_some(unknown)}; "
            "correct the lists or complete the dataset."
        )
    chosen: dict[int, str] = {}
    for name, split in split_of.items():
        if len(rows[name]) > 1:
            files = [records[row].file for row in sorted(rows[name])]
            raise InputError(f"{source} has {name}, which matches {_some(files)}; list paths instead of names.")
        (row,) = rows[name]
        if row in chosen:
            raise InputError(f"{source} has {records[row].file} twice, also as {name}; remove one of the two.")
        chosen[row] = split
    kept = [row for row, record in enumerate(records) if row in chosen or record.split == UNLABELED]
    if len(kept) < len(records):
        taken = set(kept)
        others = [record.image_id for row, record in enumerate(records) if row not in taken]
        problems.remark(
            "images in no split", f"{len(others)} images are left out, such as {_some(others)}: they are in no list."
        )
    return [replace(records[row], split=chosen.get(row, UNLABELED)) for row in kept]


def _find_lists(folder: Path) -> dict[str, Path]:
    """Return the list of each split below `folder`; one of unlabeled images need not be there."""
    files = index_files(folder)
    found = {}
    for split in EVERY_SPLIT:
        pattern = re.compile(rf"anno_list_(.*_)?{_ANNO_LIST_PARTS[split]}(_.*)?\.npy")
        names = [name for name in files if name == f"{split}.txt"] or [
            name for name in files if pattern.fullmatch(name)
        ]
        if names:
            found[split] = folder / files[names[0]]
        elif split in SPLITS:
            raise InputError(
                f"There is no list {split}.txt below {folder}; put the published lists of image names there as "
                "train.txt, val.txt and test.txt, or m-RNN's anno_list_*.npy, or choose another `partition`."
            )
    return found


def _find_karpathy(dataset: Dataset, root: Path) -> Path:
    name = dataset.karpathy_file
    if not name:
        raise ConfigurationError(f"Karpathy published no splits of {dataset.title}; set `partition` to karpathy:FILE.")
    files = index_files(root)
    if name not in files:
        raise InputError(
            f"There is no {name} below {root}; unpack caption_datasets.zip there or name it: karpathy:FILE."
        )
    return root / files[name]


def _read_karpathy_splits(path: Path) -> dict[str, str]:
    split_of = {}
    for image in read_karpathy(path):
        if image.split not in _KARPATHY_SPLITS:
            raise InputError(f"{path} has image {image.image_id} in the split {image.split!r}; get the file again.")
        split_of[PurePosixPath(image.file).name] = _KARPATHY_SPLITS[image.split]
    return split_of


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED])
