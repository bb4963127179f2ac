"""Optional formats of a release, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipelines.data.dataset import Dataset
from pipelines.release.features import split_blocks
from schemas.annotations import AnnotatedImage, splits_of
from schemas.errors import ConfigurationError
from schemas.features import FeatureFile
from schemas.interop.captions import write_anno_list, write_coco_captions, write_karpathy
from schemas.interop.features import write_dictionary, write_npy
from schemas.io.files import read_json_lines
from schemas.provenance import read_provenance


@dataclass(frozen=True)
class _Released:
    """Inputs of the formats; `words` contains the tokens of each publishable caption."""

    dataset: str
    features: dict[str, FeatureFile]
    dtype: str
    images: list[AnnotatedImage]
    words: dict[str, list[str]]

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with images."""
        return splits_of(image.split for image in self.images)

    def of_split(self, split: str) -> list[AnnotatedImage]:
        return [image for image in self.images if image.split == split]


def write_formats(
    directory: Path,
    names: Sequence[str],
    dataset: Dataset,
    sources: dict[str, Path],
    images: Sequence[AnnotatedImage],
    dtype: str,
) -> None:
    """Write each format to a directory of its name below `directory`.

    Test captions that the dataset does not publish are left out: `anno_list` and COCO files then list only the test
    images, like the originals.

    Args:
        directory: Directory of the release.
        names: Names of formats, keys of `FORMATS`.
        dataset: The dataset.
        sources: Artifacts of the release by name.
        images: Annotated images.
        dtype: Data type of the features, `float16` or `float32`.

    Raises:
        ConfigurationError: There is no such format; lists the formats.
    """
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise ConfigurationError(f"There is no format {unknown[0]!r}; set formats to some of {', '.join(FORMATS)}.")
    if not names:
        return
    tokens = read_json_lines(sources["captions"] / "tokens.jsonl")
    released = _Released(
        read_provenance(sources["annotations"]).dataset,
        {kind: FeatureFile(sources[kind] / "features.h5") for kind in ("original", "refined")},
        dtype,
        [_published(image, dataset) for image in images],
        {
            caption: words
            for image, record in zip(images, tokens, strict=True)
            for caption, words in zip(image.captions, record["tokens"], strict=True)
        },
    )
    for name in names:
        FORMATS[name](directory / name, released)


def _published(image: AnnotatedImage, dataset: Dataset) -> AnnotatedImage:
    may = dataset.test_captions_public or image.split != "test"
    return msgspec.structs.replace(image, captions=image.captions if may else (), extras={})


def _each_feature_file(path_of: Callable[[str, str], Path], write: Callable[..., None], released: _Released) -> None:
    for kind, features in released.features.items():
        for split in released.splits:
            ids = [image.image_id for image in released.of_split(split) if image.image_id in features]
            if ids:
                write(path_of(kind, split), ids, split_blocks(features, ids, released.dtype))


def _mrnn(folder: Path, released: _Released) -> None:
    _each_feature_file(lambda kind, split: folder / f"feat_{kind}_dct_{split}.npy", write_dictionary, released)
    for split in released.splits:
        write_anno_list(folder / f"anno_list_{split}.npy", released.of_split(split), released.words.__getitem__)


def _npy(folder: Path, released: _Released) -> None:
    _each_feature_file(lambda kind, split: folder / f"{kind}_{split}.npy", write_npy, released)


def _coco(folder: Path, released: _Released) -> None:
    for split in released.splits:
        write_coco_captions(folder / f"captions_{split}.json", released.of_split(split))


def _karpathy(folder: Path, released: _Released) -> None:
    path = folder / f"dataset_{released.dataset}.json"
    write_karpathy(path, released.dataset, released.images, released.words.__getitem__)


FORMATS: dict[str, Callable[[Path, _Released], None]] = {
    "mrnn": _mrnn,
    "npy": _npy,
    "coco": _coco,
    "karpathy": _karpathy,
}
