"""Scores of captions from anybody's files."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from model.metrics.captions import compare_captions, score_systems
from model.metrics.text_statistics import text_statistics
from model.metrics.tokenized import split_tokens
from model.text.ptb import SCORING_TOKENIZER
from schemas.errors import InputError
from schemas.interop.caption_files import read_generated, read_references
from schemas.scores import FileScores, write_caption_scores


def evaluate_file(results: Path, references: Path, out: Path | None, baseline: Path | None) -> FileScores:
    """Score the first caption of each image of `results`; write `scores.json` and `per_image.jsonl` to `out`, if given.

    With `baseline`, captions of the same images by another system, also by how much the first are better, with paired
    bootstrap intervals.

    Raises:
        InputError: a file is malformed, an image has no references, or the two systems captioned different images.
    """
    known = read_references(references)
    captions = _with_ids_of(known, _first(results))
    _check_known(captions, known, results, references)
    systems = {"": captions}
    if baseline is not None:
        of_baseline = _with_ids_of(known, _first(baseline))
        if of_baseline.keys() != captions.keys():
            odd = sorted(of_baseline.keys() ^ captions.keys())[0]
            raise InputError(
                f"Image {odd} is in only one of {results} and {baseline}; give captions of the same images."
            )
        # In the order of ours: images are drawn in pairs.
        systems["baseline"] = {image_id: of_baseline[image_id] for image_id in captions}
    scored = score_systems(systems, {image_id: known[image_id] for image_id in captions})
    scores, theirs = scored[""], scored.get("baseline")
    sheet = FileScores(
        results=results.name,
        references=references.name,
        n=len(captions),
        not_captioned=len(known.keys() - captions.keys()),
        tokenizer=SCORING_TOKENIZER,
        document_frequencies=f"references of the {len(captions)} scored images, as in the COCO evaluation",
        metrics=scores.corpus,
        intervals=scores.intervals(),
        left_out=scores.left_out,
        warnings=list(scores.warnings),
        statistics=text_statistics(
            [split_tokens(text) for text in scores.tokenized.captions],
            [[split_tokens(text) for text in texts] for texts in scores.tokenized.references],
        ),
        baseline=baseline.name if baseline else None,
        differences={
            metric: asdict(difference)
            for metric, difference in (compare_captions(scores, theirs) if theirs else {}).items()
        },
    )
    if out is not None:
        write_caption_scores(out, sheet, list(captions), scores.per_image)
    return sheet


def _first(path: Path) -> dict[str, str]:
    return {image_id: texts[0] for image_id, texts in read_generated(path, unique=True).items()}


def _with_ids_of(known: Collection[str], captions: dict[str, str]) -> dict[str, str]:
    """Return the captions by the ids of the references, where they differ only by leading zeros."""
    by_number = {image_id.lstrip("0"): image_id for image_id in known if image_id.isdecimal()}
    ids = {each: each if each in known else by_number.get(each.lstrip("0"), each) for each in captions}
    return {ids[each]: text for each, text in captions.items()} if len({*ids.values()}) == len(ids) else captions


def _check_known(captions: Collection[str], known: Collection[str], results: Path, references: Path) -> None:
    unknown = [image_id for image_id in captions if image_id not in known]
    if unknown:
        raise InputError(
            f"{references} has no captions of image {unknown[0]} (and {len(unknown) - 1} more), which {results} "
            "captions; give the references of the same images."
        )
