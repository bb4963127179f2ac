"""Evaluation of one caption an image: from hypotheses to results JSON to the score sheet."""

import math
from collections.abc import Callable
from pathlib import Path

from model.metrics.captions import score_captions
from model.metrics.text_statistics import text_statistics
from model.mrnn.likelihood import perplexity
from model.mrnn.network import load_network
from model.text.detokenize import join_words
from model.text.ptb import SCORING_TOKENIZER, ptb_words
from pipelines.training.data import read_training_data
from schemas.annotations import read_annotations
from schemas.checkpoint import read_checkpoint
from schemas.errors import ArtifactError
from schemas.hypotheses import read_hypotheses
from schemas.provenance import Provenance, read_provenance
from schemas.reranking import NO_FEATURES
from schemas.results import read_results, write_results
from schemas.scores import CaptionScores, write_caption_scores

MAX_LENGTH = 1000  # words; references count in full for the perplexity


def evaluate_captions(
    directory: Path,
    *,
    hypotheses: Path,
    annotations: Path,
    captions: Path,
    features: Path,
    model: Path,
    split: str,
    source: str,
    image_input: str,
    progress: Callable[[float, str], None],
) -> CaptionScores:
    """Scores the first hypothesis of each image; the paths are those of the artifacts.

    Writes `results.json`, then `scores.json` and `per_image.jsonl`; returns the scores.
    """
    data = read_training_data(captions, features, split)
    of_split = perplexity(
        load_network(read_checkpoint(model).network),
        data.captions,
        data.features,
        MAX_LENGTH,
        progress=lambda done: progress(0.5 * done, f"perplexity of {len(data.captions)} captions"),
    )
    if not math.isfinite(of_split):
        raise ArtifactError(f"The perplexity of {split} under {model} is no number; train it again.")
    first = {image.image_id: join_words(image.captions[0].tokens) for image in read_hypotheses(hypotheses)}
    write_results(directory / "results.json", first)
    results = read_results(directory / "results.json")
    references = {
        image.image_id: image.captions for image in read_annotations(annotations, split) if image.image_id in results
    }
    progress(0.5, f"scores of {len(results)} captions")
    scores = score_captions(results, references)
    progress(0.8, "intervals and statistics")
    made_by = read_provenance(hypotheses)
    generated_by = made_by if source != "reranked" else _upstream(hypotheses, made_by, "hypotheses")
    sheet = CaptionScores(
        split=split,
        n=len(results),
        captions=source,
        beam_width=generated_by.counts["beam_width"],
        reranking=_reranking(made_by) if source == "reranked" else None,
        image_input=image_input,
        tokenizer=SCORING_TOKENIZER,
        document_frequencies=f"references of the {len(results)} scored images, as in the COCO evaluation",
        metrics=scores.corpus,
        intervals=scores.intervals(),
        left_out=scores.left_out,
        warnings=list(scores.warnings),
        perplexity=of_split,
        statistics=_statistics(results, annotations),
    )
    write_caption_scores(directory, sheet, list(results), scores.per_image)
    return sheet


def _upstream(artifact: Path, provenance: Provenance, name: str) -> Provenance:
    upstream = provenance.upstream[name]
    return read_provenance(artifact.parent.parent / upstream.stage / upstream.key)


def _reranking(made_by: Provenance) -> dict[str, str | int]:
    names = ["similarity", "features"]
    if made_by.counts["features"] != NO_FEATURES:
        names += ["metric", "k", "m"]
    tuned = {"tuned on": "val"} if made_by.parameters["against"] == "tuned" else {}
    return {**{name: made_by.counts[name] for name in names}, **tuned}


def _statistics(results: dict[str, str], annotations: Path) -> dict[str, float]:
    """How the captions are as texts."""
    references, training = {}, set()
    for image in read_annotations(annotations):
        words = [tuple(ptb_words(text)) for text in image.captions]
        if image.image_id in results:
            references[image.image_id] = words
        if image.split == "train":
            training.update(words)
    captions = {image_id: tuple(ptb_words(caption)) for image_id, caption in results.items()}
    return text_statistics(list(captions.values()), [references[image_id] for image_id in captions], training)
