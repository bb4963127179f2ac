"""MS COCO 2014: photographs of everyday scenes, five captions each; those of the test images are not public."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from pipelines.data.dataset import Archive, Dataset, Problems
from pipelines.data.files import index_files, required_file
from schemas.annotations import UNLABELED, Record
from schemas.errors import InputError
from schemas.interop.captions import read_coco_captions

ANNOTATIONS_ARCHIVE = "annotations_trainval2014.zip"
CAPTIONS = {"train2014": "captions_train2014.json", "val2014": "captions_val2014.json"}
TEST_IMAGES = "image_info_test2014.json"
_HOST = "http://images.cocodataset.org/"
_EXTRAS = ("license", "flickr_url")


class Coco2014(Dataset):
    """82,783 images of train2014, 40,504 of val2014 and 40,775 of test2014, which have no public captions.

    COCO's own partition has no captioned test images; papers divide val2014 anew. Set `partition` to `lists` for
    m-RNN's (118,286 / 4,000 / 1,000; image 167126, a partly broken file, is in none of its lists) or to `karpathy`
    (113,287 / 5,000 / 5,000).
    """

    title = "MS COCO 2014"
    homepage = "https://cocodataset.org"
    license = (
        "Annotations: Creative Commons Attribution 4.0. Each photograph is under the license that its record names and "
        "under Flickr's terms of use."
    )
    citation = (
        "T.-Y. Lin, M. Maire, S. Belongie, J. Hays, P. Perona, D. Ramanan, P. Dollár and C. L. Zitnick (2014). "
        "Microsoft COCO: Common Objects in Context. ECCV. Captions: X. Chen, H. Fang, T.-Y. Lin, R. Vedantam, "
        "S. Gupta, P. Dollár and C. L. Zitnick (2015). Microsoft COCO Captions: Data Collection and Evaluation Server. "
        "arXiv 1504.00325."
    )
    karpathy_file = "dataset_coco.json"
    test_captions_public = False  # test2014's are kept by the evaluation server; COCO itself publishes val2014's
    # Sizes and digests as in the checksums of TensorFlow Datasets.
    archives = (
        Archive(
            ANNOTATIONS_ARCHIVE,
            (f"{_HOST}annotations/{ANNOTATIONS_ARCHIVE}",),
            252872794,
            "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
        ),
        Archive(
            "image_info_test2014.zip",
            (f"{_HOST}annotations/image_info_test2014.zip",),
            763464,
            "7cecc66f6b09c1671c1896a1bcc1f35eb09b7fcf00a5c18420a5f0f5983dc8c9",
        ),
        Archive(
            "caption_datasets.zip",
            ("https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",),
            36745453,
            "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
        ),
        Archive(
            "train2014.zip",
            (f"{_HOST}zips/train2014.zip",),
            13510573713,
            "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
        ),
        Archive(
            "val2014.zip",
            (f"{_HOST}zips/val2014.zip",),
            6645013297,
            "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
        ),
        Archive(
            "test2014.zip",
            (f"{_HOST}zips/test2014.zip",),
            6660437059,
            "ead40c62230cb2cf70ff4c8b4c70abdc260a7556e77b3282621d06d8e2e35bdf",
        ),
    )

    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yield train2014, val2014 and, where it is there, test2014, each in the order of its JSON file."""
        files = index_files(root)
        for folder, split in (("train2014", "train"), ("val2014", "val")):
            images = read_coco_captions(
                required_file(root, files, CAPTIONS[folder], ANNOTATIONS_ARCHIVE),
                partial(problems.invalid, "captions that are no text or of no image"),
            )
            if not any(PurePosixPath(image.file).name in files for image in images):
                raise InputError(f"None of the {len(images)} images is below {root}; unpack {folder}.zip there.")
            yield from (_record(image, folder, split, files) for image in images)
        if TEST_IMAGES in files:
            images = read_coco_captions(root / files[TEST_IMAGES])
            if any(PurePosixPath(image.file).name in files for image in images):
                yield from (_record(image, "test2014", UNLABELED, files) for image in images)
            else:
                problems.remark(
                    "listed images that are missing",
                    f"{TEST_IMAGES} lists {len(images)} images, none of which exists.",
                )


def _record(image: Record, folder: str, split: str, files: dict[str, str]) -> Record:
    name = PurePosixPath(image.file).name
    extras = {key: image.extras[key] for key in _EXTRAS if key in image.extras}
    file = files.get(name, f"{folder}/{name}")
    return Record(image.image_id, file, split, image.captions, extras, places=image.places)
