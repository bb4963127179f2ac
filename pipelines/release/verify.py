"""Verification of a release; it needs nothing but the release itself."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.release.features import describe_layout
from pipelines.release.layout import AGAIN, CROISSANT, IMAGES, INDEX, KINDS, SUMS, read_sums, released_files
from schemas.annotations import EVERY_SPLIT, SPLITS
from schemas.checkpoint import read_checkpoint
from schemas.errors import ArtifactError, MRNNError
from schemas.features import FeatureFile
from schemas.hypotheses import read_hypotheses
from schemas.io.files import digest_file, read_json, read_json_lines
from schemas.neighbors import read_neighbors
from schemas.results import read_results
from schemas.text import quantity


@dataclass(frozen=True)
class _Release:
    directory: Path
    index: dict[str, Any]
    ids: dict[str, list[str]]  # of all images, by split


def verify_release(directory: Path) -> list[str]:
    """Verify digests, shapes, ids and counts. The contents are only checked if all digests match.

    Args:
        directory: The release.

    Returns:
        One sentence per problem; empty if the release is intact.
    """
    problems: list[str] = []
    try:
        problems.extend(_check_digests(directory))
        if problems:
            return problems
        release = _open(directory)
        for check in (_check_images, _check_features, _check_neighbors, _check_captions, _check_model, _check_card):
            problems.extend(check(release))
    except MRNNError as error:
        problems.append(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # JSON of another structure
        problems.append(f"{directory} has an unknown structure ({error!r}); contact its publisher.")
    return problems


def _open(directory: Path) -> _Release:
    records = list(read_json_lines(directory / IMAGES))
    index = read_json(directory / INDEX)
    splits = [split for split in EVERY_SPLIT if split in index["images"]]
    if len(splits) < len(index["images"]) or not {*SPLITS} <= {*splits}:
        raise ArtifactError(f"{directory / INDEX} has unexpected splits: {', '.join(index['images'])}; {AGAIN}.")
    ids = {split: [record["image_id"] for record in records if record["split"] == split] for split in splits}
    return _Release(directory, index, ids)


def _check_digests(directory: Path) -> Iterator[str]:
    sums = read_sums(directory)
    for name, digest in sums.items():
        path = directory / name
        if not path.is_file():
            yield f"{path} is missing; {AGAIN}."
        elif digest_file(path) != digest:
            yield f"{path} is corrupted: its digest differs from {SUMS}; {AGAIN}."
    for name, path in released_files(directory):
        if name not in sums:
            yield f"{path} is not part of the release: {SUMS} does not list it; delete it."


def _check_images(release: _Release) -> Iterator[str]:
    path = release.directory / IMAGES
    every = [image_id for ids in release.ids.values() for image_id in ids]
    if len(set(every)) < len(every):
        yield f"{path} lists an image twice; contact the publisher."
    names: dict[str, list[str]] = {split: [] for split in release.ids}
    for record in read_json_lines(path):
        names[record["split"]].append(record["file"].rsplit("/", 1)[-1])
    for split in release.ids:
        listed = (release.directory / "splits" / f"{split}.txt").read_text(encoding="utf-8").splitlines()
        if listed != names[split]:
            yield f"{release.directory / 'splits' / split}.txt does not list the {split} images of {path}."
        if release.index["images"][split] != len(names[split]):
            yield f"{release.directory / INDEX} counts {release.index['images'][split]} {split} images, {path} has "
            f"{len(names[split])}."


def _check_features(release: _Release) -> Iterator[str]:
    wanted = {f"features/{kind}_{split}.h5" for kind in KINDS for split in release.ids}
    if set(release.index["features"]) != wanted:
        yield f"{release.directory / INDEX} must describe exactly the features {', '.join(sorted(wanted))}."
        return
    for split in release.ids:
        ids = {}
        for kind in KINDS:
            name = f"features/{kind}_{split}.h5"
            path = release.directory / name
            features = FeatureFile(path)
            ids[kind] = features.image_ids
            broken = sum(int((~np.isfinite(block)).any(axis=1).sum()) for block in features.blocks())
            if describe_layout(path) != release.index["features"][name]:
                yield f"{path} differs in shape, type or offset of an array from {INDEX}."
            if broken:
                yield f"{path} has NaN or infinity in the features of {quantity(broken, 'image')}."
            strangers = sorted(set(ids[kind]) - set(release.ids[split]))
            if strangers:
                yield _unexpected(path, strangers, split)
        if ids["original"] != ids["refined"]:
            yield f"{path} and features/original_{split}.h5 contain different images."


def _check_neighbors(release: _Release) -> Iterator[str]:
    for kind in KINDS:
        path = release.directory / "neighbors" / f"{kind}_test.h5"
        found = read_neighbors(path)
        count = found.indices.shape[-1]
        if not found.indices.shape == found.distances.shape == (len(found.target_ids), count):
            yield f"{path} has neighbors of shape {found.indices.shape} for {quantity(len(found.target_ids), 'image')}."
            continue
        for ids, split in ((found.target_ids, "test"), (found.reference_ids, "train")):
            strangers = sorted(set(ids) - set(release.ids[split]))
            if strangers:
                yield _unexpected(path, strangers, split)
        if ((found.indices < 0) | (found.indices >= len(found.reference_ids))).any():
            yield f"{path} has neighbors beyond its {quantity(len(found.reference_ids), 'reference image')}."
        if not (np.diff(found.distances, axis=1) >= 0).all():
            yield f"{path} has distances that are not in ascending order."


def _check_captions(release: _Release) -> Iterator[str]:
    vocabulary = read_checkpoint(release.directory / "model").vocabulary
    captions = {}
    for name in ("generated", "reranked"):
        folder = release.directory / "captions" / f"{name}_test"
        path = folder / "hypotheses.jsonl"
        found = {image.image_id: [each.tokens for each in image.captions] for image in read_hypotheses(folder)}
        if len(found) != release.index["captioned"]:
            yield f"{path} captions {quantity(len(found), 'image')}, {INDEX} counts {release.index['captioned']}."
        strangers = sorted(set(found) - set(release.ids["test"]))
        if strangers:
            yield _unexpected(path, strangers, "test")
        words = {word for of_image in found.values() for tokens in of_image for word in tokens}
        unknown = sorted(word for word in words if word not in vocabulary)
        if unknown:
            yield f"{path} has {quantity(len(unknown), 'token')} outside the vocabulary, such as {unknown[0]!r}."
        captions[name] = found
    if _in_any_order(captions["generated"]) != _in_any_order(captions["reranked"]):
        yield f"{path} differs from the generated captions."
    if read_results(folder / "results.json") != {image: " ".join(each[0]) for image, each in found.items()}:
        yield f"{folder / 'results.json'} does not contain the first caption of each image in {path}."


def _in_any_order(captions: dict[str, list[tuple[str, ...]]]) -> dict[str, list[tuple[str, ...]]]:
    return {image_id: sorted(of_image) for image_id, of_image in captions.items()}


def _unexpected(path: Path, image_ids: Sequence[str], split: str) -> str:
    return f"{path} has {quantity(len(image_ids), 'image')} outside the {split} split, such as {image_ids[0]}."


def _check_model(release: _Release) -> Iterator[str]:
    network = read_checkpoint(release.directory / "model").network
    if not zipfile.is_zipfile(network) or zipfile.ZipFile(network).testzip() is not None:
        yield f"{network} is not a Keras file."


def _check_card(release: _Release) -> Iterator[str]:
    path = release.directory / CROISSANT
    described = {each["contentUrl"]: each["sha256"] for each in read_json(path)["distribution"]}
    if described != {name: digest for name, digest in read_sums(release.directory).items() if name != CROISSANT}:
        yield f"{path} does not describe the files of {SUMS}."
