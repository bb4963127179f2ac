"""Evaluation of captions in files of any origin."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from model.backbones.images import decode_image
from model.metrics import clip_score
from model.metrics.bootstrap import SAMPLES
from model.metrics.captions import Scores, compare_captions, score_systems
from model.metrics.clip_score import ClipModel
from model.metrics.java import ScorerMissing
from model.metrics.scorers import versions
from model.metrics.text_statistics import text_statistics
from model.metrics.tokenized import split_tokens
from model.text.characters import CHARACTER_TOKENIZER, character_tokens
from model.text.ptb import SCORING_TOKENIZER, ptb_tokens
from pipelines.data.files import ImageIndex, list_files
from pipelines.html.csv import write_csv
from schemas import __version__
from schemas.errors import InputError
from schemas.interop.caption_files import References, read_generated, read_references
from schemas.io.files import canonical_json
from schemas.scores import FileScores, in_order, write_file_scores
from schemas.text import quantity

_NAMED = 3  # images in a message


@dataclass(frozen=True)
class _System:
    """Captions of one file.

    Attributes:
        path: The file.
        captions: Image id of the references -> first caption.
        ignored: Parts of the file that are not scored, one sentence each.
    """

    path: Path
    captions: dict[str, str]
    ignored: list[str]


@dataclass(frozen=True)
class Clip:
    """Inputs of CLIPScore.

    Attributes:
        model: Directory of the CLIP model, see `ClipModel`, or None.
        images: Directory of the images, or None.
    """

    model: Path | None
    images: Path | None


def evaluate_files(
    results: Sequence[Path],
    references: Path,
    *,
    baseline: Path | None = None,
    by_character: bool = False,
    java_metrics: Collection[str] = (),
    clip: Clip | None = None,
    out: Path | None = None,
) -> list[FileScores]:
    """Score the first caption of each image of one or more systems.

    Image ids of both sides are matched as `ImageIndex` does, also by the file names of the references. Images of
    `results` without references are ignored, and so are images of `references` without captions.

    Args:
        results: Captions of each system.
        references: Reference captions.
        baseline: Captions of the system that all others are compared with, in pairs of images.
        by_character: Whether scripts without blanks between words are scored by character.
        java_metrics: METEOR and SPICE, where wanted.
        clip: Adds CLIPScore and RefCLIPScore, where given.
        out: Directory for `scores.json` and `per_image.csv`.

    Returns:
        A score sheet of each of `results` and, where these are several, of the baseline.

    Raises:
        InputError: A file is malformed or given twice, an image has captions twice, no image has references, or the
            systems captioned different images.
    """
    if [baseline] == [*results]:
        raise InputError(f"{baseline} is its own baseline; give the captions of another system.")
    files = [*results, *([baseline] if baseline and baseline not in results else [])]
    labels = _labels(files)
    known = read_references(references)
    systems = {label: _read_system(path, references, known) for label, path in zip(labels, files, strict=True)}
    first = systems[labels[0]]
    for system in systems.values():
        if odd := sorted(system.captions.keys() ^ first.captions.keys()):
            raise InputError(
                f"Image {odd[0]} is in only one of {first.path} and {system.path}; give captions of the same images."
            )
    truth = {image_id: known.captions[image_id] for image_id in first.captions}
    scored = score_systems(
        # In the order of the first system: images are drawn in pairs.
        {label: {each: system.captions[each] for each in truth} for label, system in systems.items()},
        truth,
        java_metrics,
        character_tokens if by_character else ptb_tokens,
    )
    clip_version = _add_clip_scores(scored, clip, systems, known) if clip else ""
    not_captioned = [image_id for image_id in known.captions if image_id not in truth]
    of_baseline = labels[files.index(baseline)] if baseline else None
    sheets = [
        FileScores(
            results=label,
            references=references.name,
            signature=_signature(truth, scored[label], clip_version, by_character),
            n=len(truth),
            not_captioned=len(not_captioned),
            ignored=[*systems[label].ignored, *_not_captioned(not_captioned, references)],
            tokenizer=CHARACTER_TOKENIZER if by_character else SCORING_TOKENIZER,
            document_frequencies=f"references of the {len(truth)} scored images, as in the COCO evaluation",
            metrics=scored[label].corpus,
            intervals=scored[label].intervals(),
            left_out=scored[label].left_out,
            warnings=[*scored[label].warnings, *_empty_captions(label, scored[label].tokenized.captions)],
            statistics=text_statistics(
                [split_tokens(text) for text in scored[label].tokenized.captions],
                [[split_tokens(text) for text in texts] for texts in scored[label].tokenized.references],
            ),
            baseline=of_baseline if label != of_baseline else None,
            differences=_differences(scored[label], scored[of_baseline])
            if of_baseline and label != of_baseline
            else {},
        )
        for label in (labels if len(results) > 1 else labels[:1])
    ]
    if out is not None:
        write_file_scores(out, sheets)
        shown = {sheet.results: scored[sheet.results] for sheet in sheets}
        _write_per_image(out / "per_image.csv", {label: systems[label].captions for label in shown}, shown)
    return sheets


def _add_clip_scores(scored: dict[str, Scores], clip: Clip, systems: Mapping[str, _System], known: References) -> str:
    """Add CLIPScore and RefCLIPScore to the scores of all systems, or the reason why they are missing.

    Returns:
        The version of the model, empty where the scores are missing.

    Raises:
        InputError: A file of `clip.images` is not an image.
    """
    image_ids = [*next(iter(systems.values())).captions]
    truth = [known.captions[image_id] for image_id in image_ids]
    try:
        if not clip.model or not clip.images:
            raise ScorerMissing("they need a CLIP model in ONNX and the images; give --clip-model and --images.")
        model = ClipModel(clip.model)
        images = model.embed_images(_images(clip.images, image_ids, known.files))
        references = model.embed_texts([text for texts in truth for text in texts])
        owners = np.repeat(np.arange(len(truth)), [len(texts) for texts in truth])
        for label, system in systems.items():
            captions = model.embed_texts([system.captions[image_id] for image_id in image_ids])
            found = clip_score.score(images, captions, references, owners)
            scored[label] = replace(scored[label], statistics={**scored[label].statistics, **found})
    except ScorerMissing as reason:
        for label, scores in scored.items():
            missing = dict.fromkeys(clip_score.NAMES, str(reason))
            scored[label] = replace(scores, left_out={**scores.left_out, **missing})
        return ""
    return model.version


def _images(folder: Path, image_ids: Sequence[str], files: Mapping[str, str]) -> Iterator[Image.Image]:
    """Yield the images, found by the file names of the references or by their ids.

    Raises:
        ScorerMissing: An image is not in the folder.
        InputError: A file is not an image.
    """
    index = ImageIndex(list_files(folder))
    for image_id in image_ids:
        found = index.find(files.get(image_id, image_id)) or index.find(image_id)
        if len(found) != 1:
            problem = f"has {found[0]} and {found[1]}, which both may be" if found else "has no file of"
            raise ScorerMissing(f"{folder} {problem} image {image_id}.")
        path = folder / found[0]
        try:
            yield decode_image(path.read_bytes())
        except InputError as error:
            raise InputError(f"{path}: {error}; replace the file.") from error


def _labels(files: Sequence[Path]) -> list[str]:
    """Return a distinct name of each file: its name, or its path where several have that name."""
    for path in files:
        if files.count(path) > 1:
            raise InputError(f"{path} is given twice; give each file of captions once.")
    names = [path.name for path in files]
    return [path.name if names.count(path.name) == 1 else str(path) for path in files]


def _read_system(path: Path, references: Path, known: References) -> _System:
    generated = read_generated(path, unique=True)
    image_of = _match(path, references, list(generated), known)
    if not image_of:
        raise InputError(
            f"{references} has no captions of the images of {path}: its ids look like {_some(known.captions)}, those "
            f"of {path} like {_some(generated)}; give the references of the same images."
        )
    ignored = []
    unknown = [image_id for image_id in generated if image_id not in image_of]
    if unknown:
        ignored.append(f"{quantity(len(unknown), 'image')} of {path} without references: {_some(unknown)}")
    further = sum(len(generated[image_id]) - 1 for image_id in image_of)
    if further:
        ignored.append(f"{quantity(further, 'caption')} of {path} after the first of an image")
    captions = {image_id: generated[given][0] for given, image_id in image_of.items()}
    return _System(path, captions, ignored)


def _match(path: Path, references: Path, image_ids: Sequence[str], known: References) -> dict[str, str]:
    """Map the image ids of a file to those of the references, where these have them.

    Raises:
        InputError: An id may be one of several images, or two ids are one image.
    """
    image_of = {image_id: image_id for image_id in image_ids if image_id in known.captions}
    unmatched = [image_id for image_id in image_ids if image_id not in image_of]
    if unmatched:
        ids, image_with = ImageIndex(known.captions), {file: image_id for image_id, file in known.files.items()}
        files = ImageIndex(image_with)
    for image_id in unmatched:
        by_file = [image_with[file] for file in files.find_id(image_id)]
        found = by_file or ids.find_id(image_id)
        if len(found) > 1:
            raise InputError(
                f"Image {image_id} of {path} may be {found[0]} or {found[1]} of {references}; use its ids."
            )
        if found:
            image_of[image_id] = found[0]
    given: dict[str, str] = {}
    for image_id, image in image_of.items():
        if image in given:
            raise InputError(
                f"{path}: {given[image]} and {image_id} are both image {image} of {references}; keep one of them."
            )
        given[image] = image_id
    return {image_id: image_of[image_id] for image_id in image_ids if image_id in image_of}


def _not_captioned(image_ids: Sequence[str], references: Path) -> list[str]:
    if not image_ids:
        return []
    return [f"{quantity(len(image_ids), 'image')} of {references} without a caption: {_some(image_ids)}"]


def _empty_captions(label: str, captions: Sequence[str]) -> list[str]:
    """Return a warning of captions that are empty, or punctuation only."""
    count = sum(not text for text in captions)
    return [f"{quantity(count, 'caption')} of {label} without a token, of {len(captions):,}."] if count else []


def _some(image_ids: Collection[str]) -> str:
    """Return the first image ids as a text."""
    named = ", ".join([*image_ids][:_NAMED])
    return f"{named}, ..." if len(image_ids) > _NAMED else named


def _differences(ours: Scores, theirs: Scores) -> dict[str, dict[str, float]]:
    return {metric: asdict(difference) for metric, difference in compare_captions(ours, theirs).items()}


def _signature(truth: Mapping[str, Sequence[str]], scores: Scores, clip_version: str, by_character: bool) -> str:
    """Return the signature of scores, which makes them comparable, as one line for a paper.

    The digest depends on the references of the scored images, not on image ids nor on the order.
    """
    digest = hashlib.sha256(canonical_json(sorted(sorted(texts) for texts in truth.values())).encode("utf-8"))
    scorers = versions(scores.corpus) | ({"+".join(clip_score.NAMES): clip_version} if clip_version else {})
    fields = {
        "metrics": ",".join(f"{scorer}={version}" for scorer, version in scorers.items()),
        "tok": "corenlp-3.4.1-by-character" if by_character else "corenlp-3.4.1",
        "images": len(truth),
        "references": sum(map(len, truth.values())),
        "references-sha256": digest.hexdigest()[:16],
        "bootstrap": SAMPLES,
        "version": f"m-rnn-{__version__}",
    }
    return "|".join(f"{name}:{value}" for name, value in fields.items())


def _write_per_image(path: Path, captions: Mapping[str, Mapping[str, str]], scored: Mapping[str, Scores]) -> None:
    """Write one row per system and image."""
    metrics = in_order({metric for scores in scored.values() for metric in scores.per_image})
    write_csv(
        path,
        ["system", "image_id", "caption", *metrics],
        (
            [system, image_id, captions[system][image_id], *(scores.per_image[metric][row] for metric in metrics)]
            for system, scores in scored.items()
            for row, image_id in enumerate(captions[next(iter(captions))])
        ),
    )
