"""Writer of releases; checksums are written last."""

import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.data.dataset import Dataset
from pipelines.release.cards import dataset_card, model_card
from pipelines.release.croissant import croissant
from pipelines.release.features import describe_layout, write_split
from pipelines.release.formats import write_formats
from pipelines.release.layout import CROISSANT, IMAGES, INDEX, KINDS, SUMS, released_files
from schemas.annotations import AnnotatedImage, read_annotations, splits_of
from schemas.checkpoint import BACKBONE_WEIGHTS, MODEL_FILES
from schemas.features import FeatureFile
from schemas.hypotheses import read_hypotheses
from schemas.io.files import atomic_path, digest_file, write_json, write_json_lines, write_text
from schemas.provenance import read_provenance
from schemas.results import write_results

SCRIPT = "download.sh"
# Fields of a provenance that differ between two runs of the same stage; counts contain times.
_OF_ONE_RUN = ("started", "seconds", "peak_memory_bytes", "host", "operational", "counts", "beside")


@dataclass(frozen=True)
class ReleaseOptions:
    """Options of a release.

    Attributes:
        dtype: Type of the features, `float16` or `float32`.
        formats: Names of `pipelines.release.formats` to write in addition to HDF5.
        base_url: URL that the release will be downloaded from; may be empty.
        date: Date of publication, ISO 8601; may be empty.
    """

    dtype: str
    formats: Sequence[str]
    base_url: str
    date: str


def write_release(
    directory: Path,
    dataset: Dataset,
    sources: dict[str, Path],
    options: ReleaseOptions,
    progress: Callable[[float, str], None],
) -> dict[str, int]:
    """Write a release; the same artifacts give the same bytes.

    Args:
        directory: Directory of the release.
        dataset: Description of the dataset.
        sources: The artifacts `annotations`, `captions`, `original`, `refined`, `model`, and, of the test split,
            `hypotheses`, `reranked`, `neighbors_original` and `neighbors_refined`; also `image_network` if the backbone
            was fine-tuned with the model.
        options: Options of the release.
        progress: Called with the completed fraction and the name of the current file.

    Returns:
        Counts for the provenance.

    Raises:
        InputError: A feature overflows the dtype.
        ConfigurationError: A format is unknown.
    """
    images = list(read_annotations(sources["annotations"]))
    write_formats(directory / "formats", options.formats, dataset, sources, images, options.dtype)
    splits = splits_of(image.split for image in images)
    _copy_files(directory, sources, splits)
    write_json_lines(
        directory / IMAGES,
        ({"image_id": image.image_id, "file": image.file, "split": image.split} for image in images),
    )
    for name, artifact in sources.items():
        write_provenance(directory, name, artifact)
    reranked = {image.image_id: " ".join(image.captions[0].tokens) for image in read_hypotheses(sources["reranked"])}
    write_results(directory / "captions" / "reranked_test" / "results.json", reranked)
    features = _write_features(directory, sources, images, options.dtype, progress)

    index = {
        "dataset": read_provenance(sources["refined"]).dataset,
        "key": read_provenance(sources["refined"]).key,
        "images": {split: sum(image.split == split for image in images) for split in splits},
        "captioned": len(reranked),
        "features": features,
        "backbone": asdict(FeatureFile(sources["original"] / "features.h5").description),
    }
    write_json(directory / INDEX, index)
    write_text(directory / "README.md", dataset_card(dataset, index, sources))
    write_text(directory / "model" / "README.md", model_card(dataset, sources))
    script = Path(__file__).with_name(SCRIPT).read_text(encoding="utf-8")
    write_text(directory / SCRIPT, script.replace("@BASE_URL@", shlex.quote(options.base_url)))
    described = _digests(directory)
    write_json(directory / CROISSANT, croissant(dataset, index, described, options.base_url, options.date))
    sums = {**{name: each["sha256"] for name, each in described.items()}, CROISSANT: digest_file(directory / CROISSANT)}
    write_text(directory / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))
    return {"files": len(sums) + 1, "images": len(images)}


def write_provenance(directory: Path, name: str, artifact: Path) -> None:
    """Write an artifact's provenance, without what differs between runs, to `provenance/NAME.json`.

    Args:
        directory: Directory of the release.
        name: Name of the artifact in the release.
        artifact: Directory of the artifact.
    """
    record = {key: value for key, value in asdict(read_provenance(artifact)).items() if key not in _OF_ONE_RUN}
    write_json(directory / "provenance" / f"{name}.json", record)


def _copy_files(directory: Path, sources: dict[str, Path], splits: Sequence[str]) -> None:
    copies = {
        **{f"model/{name}": sources["model"] / name for name in MODEL_FILES},
        **{f"splits/{split}.txt": sources["annotations"] / f"{split}.txt" for split in splits},
        **{f"neighbors/{kind}_test.h5": sources[f"neighbors_{kind}"] / "neighbors.h5" for kind in KINDS},
        "captions/generated_test/hypotheses.jsonl": sources["hypotheses"] / "hypotheses.jsonl",
        **{
            f"captions/reranked_test/{name}.jsonl": sources["reranked"] / f"{name}.jsonl"
            for name in ("hypotheses", "reranked")
        },
    }
    if tuned := sources.get("image_network"):
        copies[f"model/{BACKBONE_WEIGHTS}"] = tuned / BACKBONE_WEIGHTS
    for name, source in copies.items():
        with atomic_path(directory / name) as temporary:
            shutil.copyfile(source, temporary)


def _write_features(
    directory: Path,
    sources: dict[str, Path],
    images: Sequence[AnnotatedImage],
    dtype: str,
    progress: Callable[[float, str], None],
) -> dict[str, Any]:
    """Write one file per kind and split; return the layout of its arrays by file name."""
    layouts = {}
    splits = splits_of(image.split for image in images)
    for number, (kind, split) in enumerate((kind, split) for kind in KINDS for split in splits):
        name = f"features/{kind}_{split}.h5"
        progress(number / (len(KINDS) * len(splits)), name)
        source = FeatureFile(sources[kind] / "features.h5")
        write_split(directory / name, source, [image.image_id for image in images if image.split == split], dtype)
        layouts[name] = describe_layout(directory / name)
    return layouts


def _digests(directory: Path) -> dict[str, dict[str, Any]]:
    """Return digest and size of each file except the metadata, which contains these digests."""
    return {
        name: {"sha256": digest_file(path), "size": path.stat().st_size}
        for name, path in released_files(directory)
        if name != CROISSANT
    }
