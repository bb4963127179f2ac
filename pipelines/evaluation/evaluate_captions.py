"""EvaluateCaptions: scores of one caption per image."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from model.metrics.captions import score_captions
from model.metrics.text_statistics import text_statistics
from model.metrics.tokenized import split_tokens
from model.text.detokenize import join_words
from model.text.ptb import SCORING_TOKENIZER, ptb_tokens
from schemas.annotations import read_annotations
from schemas.hypotheses import read_hypotheses, read_search
from schemas.reranking import read_setting
from schemas.results import read_results, write_results
from schemas.scores import CaptionScores, read_perplexity, write_caption_scores


@dataclass(frozen=True)
class EvaluateCaptionsInputs:
    """Artifacts that EvaluateCaptions reads.

    Attributes:
        hypotheses: Hypotheses of GenerateCaptions or RerankCaptions.
        annotations: Reference captions.
        perplexity: Perplexity of the split under the model that generated the captions.
    """

    hypotheses: Path
    annotations: Path
    perplexity: Path


def evaluate_captions(
    inputs: EvaluateCaptionsInputs,
    directory: Path,
    *,
    split: str,
    source: str,
    image_input: str,
    java_metrics: Collection[str],
    progress: Callable[[float, str], None],
) -> CaptionScores:
    """Score the first hypothesis of each image.

    Writes `results.json`, then `scores.json` and `per_image.jsonl`. TensorFlow is not loaded.

    Args:
        inputs: Artifacts to read.
        directory: Artifact to write.
        split: Split of the images.
        source: `greedy`, `beam`, `n-best` or `reranked`.
        image_input: `own`, or `shuffled` for the image-blind control.
        java_metrics: METEOR and SPICE, where wanted.
        progress: Receives the finished fraction and a message.

    Returns:
        The score sheet.

    Raises:
        ArtifactError: An input is missing or corrupted.
    """
    first = {image.image_id: join_words(image.captions[0].tokens) for image in read_hypotheses(inputs.hypotheses)}
    write_results(directory / "results.json", first)
    results = read_results(directory / "results.json")
    references = {
        image.image_id: image.captions
        for image in read_annotations(inputs.annotations, split)
        if image.image_id in results
    }
    progress(0.0, f"scores of {len(results)} captions")
    scores = score_captions(results, references, java_metrics)
    progress(0.8, "intervals and statistics")
    sheet = CaptionScores(
        split=split,
        n=len(results),
        captions=source,
        beam_width=read_search(inputs.hypotheses).width,
        reranking=read_setting(inputs.hypotheses).summary() if source == "reranked" else None,
        image_input=image_input,
        tokenizer=SCORING_TOKENIZER,
        document_frequencies=f"references of the {len(results)} scored images, as in the COCO evaluation",
        metrics=scores.corpus,
        intervals=scores.intervals(),
        left_out=scores.left_out,
        warnings=list(scores.warnings),
        perplexity=read_perplexity(inputs.perplexity).perplexity,
        statistics=text_statistics(
            [split_tokens(text) for text in scores.tokenized.captions],
            [[split_tokens(text) for text in texts] for texts in scores.tokenized.references],
            _training_captions(inputs.annotations),
        ),
    )
    write_caption_scores(directory, sheet, list(results), scores.per_image)
    return sheet


def _training_captions(annotations: Path) -> set[tuple[str, ...]]:
    """Return the tokens of all training captions, against which novelty is measured."""
    return {
        tuple(ptb_tokens(text))
        for image in read_annotations(annotations)
        if image.split == "train"
        for text in image.captions
    }
