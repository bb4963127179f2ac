"""Flickr8k: 8,000 photographs of people and animals doing things, five captions each."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.data.dataset import Archive, Dataset, Problems
from pipelines.data.files import index_files, read_token_file, required_file
from pipelines.data.splits import read_name_lists
from schemas.annotations import Record
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


class Flickr8k(Dataset):
    """The dataset with its published split: 6,000 images to train, 1,000 to validate, 1,000 to test."""

    title = "Flickr8k"
    homepage = "https://hockenmaier.cs.illinois.edu/8k-pictures.html"
    license = (
        "For non-commercial research and educational use only; each photograph belongs to its photographer and is "
        "under Flickr's terms of use."
    )
    citation = (
        "M. Hodosh, P. Young and J. Hockenmaier (2013). Framing Image Description as a Ranking Task: Data, Models and "
        "Evaluation Metrics. Journal of Artificial Intelligence Research, 47, 853-899."
    )
    karpathy_file = "dataset_flickr8k.json"
    archives = tuple(Archive(name, tuple(host + name for host in _HOSTS)) for name in (IMAGES_ARCHIVE, TEXT_ARCHIVE))

    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yield the listed images, split by split, in the order of the published lists."""
        files = index_files(root)
        captions = read_token_file(required_file(root, files, TOKENS, TEXT_ARCHIVE), problems)
        listed = read_name_lists(
            {split: required_file(root, files, name, TEXT_ARCHIVE) for split, name in LISTS.items()}
        )

        if listed and not listed.keys() & files.keys():
            raise InputError(f"None of the {len(listed)} images is below {root}; unpack {IMAGES_ARCHIVE} there.")
        for name in sorted(captions.keys() - files.keys() - listed.keys()):
            problems.remark(
                "captions of missing images",
                f"{TOKENS} has {len(captions[name])} captions of {name}, but there is no such image.",
            )
        for name, split in listed.items():
            if name not in files:
                problems.remark(
                    "listed images that are missing", f"{LISTS[split]} lists {name}, but there is no such image."
                )
            elif name not in captions:
                problems.remark(
                    "images without captions", f"{LISTS[split]} lists {name}, but {TOKENS} has no caption of it."
                )
            else:
                texts = captions[name]
                yield Record(name.removesuffix(".jpg"), files[name], split, tuple(texts.values()), places=tuple(texts))
        images = [name for name in files if name.endswith(".jpg")]
        unlisted = sum(1 for name in images if name not in listed)
        if unlisted:
            problems.remark("images in no split", f"{unlisted} of {len(images)} images are in no split list.")
