"""Flickr30k: 31,783 photographs of people and animals doing things, five captions each."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.data.dataset import Archive, Dataset, Problems
from pipelines.data.files import index_files, read_token_file, required_file
from schemas.annotations import Record
from schemas.errors import InputError

IMAGES_ARCHIVE = "flickr30k-images.tar"
CAPTIONS_ARCHIVE = "flickr30k.tar.gz"
TOKENS = "results_20130124.token"
_HOST = "http://shannon.cs.illinois.edu/DenotationGraph/data/"


class Flickr30k(Dataset):
    """The dataset, which was published without splits: set `partition`.

    `lists` reads m-RNN's image name lists (1,000 to validate, 1,000 to test, the rest to train), `karpathy` his split
    (29,000 / 1,014 / 1,000).
    """

    title = "Flickr30k"
    homepage = "https://shannon.cs.illinois.edu/DenotationGraph/"
    license = (
        "For non-commercial research and educational use only; each photograph belongs to its photographer and is "
        "under Flickr's terms of use."
    )
    citation = (
        "P. Young, A. Lai, M. Hodosh and J. Hockenmaier (2014). From image descriptions to visual denotations: New "
        "similarity metrics for semantic inference over event descriptions. Transactions of the Association for "
        "Computational Linguistics, 2, 67-78."
    )
    karpathy_file = "dataset_flickr30k.json"
    archives = (
        Archive(CAPTIONS_ARCHIVE, (_HOST + CAPTIONS_ARCHIVE,)),
        Archive(
            "caption_datasets.zip",
            ("https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",),
            36745453,
            "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
        ),
        Archive(IMAGES_ARCHIVE, (_HOST + IMAGES_ARCHIVE,)),
    )

    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yield the captioned images by name."""
        files = index_files(root)
        captions = read_token_file(required_file(root, files, TOKENS, CAPTIONS_ARCHIVE), problems)
        if captions and not captions.keys() & files.keys():
            raise InputError(f"None of the {len(captions)} images is below {root}; unpack {IMAGES_ARCHIVE} there.")
        for name in sorted(captions):
            if name in files:
                texts = captions[name]
                yield Record(name.removesuffix(".jpg"), files[name], "", tuple(texts.values()), places=tuple(texts))
            else:
                problems.remark(
                    "captions of missing images",
                    f"{TOKENS} has {len(captions[name])} captions of {name}, but there is no such image.",
                )
        for name in sorted(name for name in files if name.endswith(".jpg") and name not in captions):
            problems.remark("images without captions", f"{TOKENS} has no caption of {name}.")
