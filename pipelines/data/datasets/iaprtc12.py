"""IAPR TC-12: 20,000 photographs from all over the world, described in English sentences by one person."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from pipelines.data.dataset import Archive, Dataset, Problems
from pipelines.data.files import list_files
from pipelines.data.splits import read_name_lists
from schemas.annotations import Record
from schemas.errors import InputError

ARCHIVE = "iaprtc12.tgz"
LISTS_ARCHIVE = "iaprtc12.20091111.tar.bz2"
ANNOTATIONS = "annotations_complete_eng"
LISTS = {"train": "iaprtc12_train_list.txt", "test": "iaprtc12_test_list.txt"}
_DECLARATION = re.compile(r"^\s*<\?xml.*?\?>", re.DOTALL)
_BARE_AMPERSAND = re.compile(r"&(?!(#\d+|#x[0-9a-fA-F]+|\w+);)")


class IaprTc12(Dataset):
    """The dataset with the standard partition: 17,665 images to train, 1,962 to test, none to validate.

    A caption is a sentence; the description of an image has 1.7 of them on average, with semicolons between. Take the
    images to validate from those to train: set `partition` to random:1000:0:0.
    """

    title = "IAPR TC-12"
    homepage = "https://www.imageclef.org/photodata"
    license = "Free of charge and without copyright restrictions, according to its publishers."
    citation = (
        "M. Grubinger, P. Clough, H. Müller and T. Deselaers (2006). The IAPR TC-12 Benchmark: A New Evaluation "
        "Resource for Visual Information Systems. OntoImage. Partition: M. Guillaumin, T. Mensink, J. Verbeek and "
        "C. Schmid (2009). TagProp: Discriminative Metric Learning in Nearest Neighbor Models for Image "
        "Auto-Annotation. ICCV."
    )
    archives = (
        Archive(LISTS_ARCHIVE, (f"https://lear.inrialpes.fr/people/guillaumin/data/iccv09/{LISTS_ARCHIVE}",)),
        Archive(ARCHIVE, (f"http://www-i6.informatik.rwth-aachen.de/imageclef/resources/{ARCHIVE}",)),
    )

    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yield the described images by number; without the lists they are in no split."""
        files = [PurePosixPath(path) for path in list_files(root)]
        described = {
            path.stem: path for path in files if path.suffix == ".eng" and path.parent.parent.name == ANNOTATIONS
        }
        if not described:
            raise InputError(f"There is no {ANNOTATIONS}/NN/N.eng below {root}; unpack {ARCHIVE} there.")
        images = {path.stem: path for path in files if path.suffix == ".jpg" and path.parent.parent.name == "images"}
        lists = {split: next((path for path in files if path.name == name), None) for split, name in LISTS.items()}
        listed = read_name_lists({split: root / path for split, path in lists.items() if path is not None})
        split_of = {PurePosixPath(name).name: split for name, split in listed.items()}  # they hold FOLDER/NUMBER

        for number in sorted(split_of.keys() - described.keys(), key=_by_number):
            problems.remark(
                "images without captions",
                f"{LISTS[split_of[number]]} lists image {number}, but there is no description of it.",
            )
        undescribed = images.keys() - described.keys()
        if undescribed:
            problems.remark(
                "images without captions", f"{len(undescribed)} of {len(images)} images have no description."
            )
        unlisted = []
        for number in sorted(described, key=_by_number):
            if number not in images:
                problems.remark(
                    "captions of missing images", f"{described[number]} describes an image that is not there."
                )
            elif split_of and number not in split_of:
                unlisted.append(number)
            else:
                path = root / described[number]
                sentences = _read_sentences(path, problems)
                places = tuple(f"{path}, sentence {count}" for count in range(len(sentences)))
                yield Record(number, str(images[number]), split_of.get(number, ""), sentences, places=places)
        if unlisted:
            problems.remark(
                "images in no split",
                f"{len(unlisted)} described images, such as {unlisted[0]}, are in neither list.",
            )


def _read_sentences(path: Path, problems: Problems) -> tuple[str, ...]:
    """Return the sentences of the description in one annotation file."""
    text = _DECLARATION.sub("", path.read_bytes().decode("iso-8859-1"))
    try:
        document = SafeElementTree.fromstring(_BARE_AMPERSAND.sub("&amp;", text), forbid_dtd=True)
    except (SafeElementTree.ParseError, DefusedXmlException) as error:
        problems.invalid(
            "descriptions that are no XML", f"{path} is not the XML of IAPR TC-12 ({error}); unpack {ARCHIVE} again."
        )
        return ()
    description = " ".join((document.findtext("DESCRIPTION") or "").split())
    return tuple(sentence.strip() for sentence in description.split(";") if sentence.strip())


def _by_number(stem: str) -> tuple[int, str]:
    return (int(stem), stem) if stem.isdecimal() else (0, stem)
