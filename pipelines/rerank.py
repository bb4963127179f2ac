"""Consensus reranking of a whole split: references looked up by neighbours, hypotheses put into their new order."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from model.consensus import CiderSimilarity, DocumentFrequencies, bleu_similarity, consensus_scores, rerank_order
from schemas.errors import ArtifactError, ConfigurationError
from schemas.files import write_json_lines
from schemas.hypotheses import ImageHypotheses, write_hypotheses
from schemas.neighbours import Neighbours

SHOWN_NEIGHBOURS = 10  # kept in `reranked.jsonl` for the report


def rerank(
    images: Sequence[ImageHypotheses],
    neighbours: Neighbours,
    training_captions: Mapping[str, Sequence[Sequence[str]]],
    similarity: str,
    k: int,
    m: int,
    directory: Path,
    progress: Callable[[float], None],
) -> dict[str, int]:
    """Writes the reordered `hypotheses.jsonl`, and `reranked.jsonl` with consensus scores; returns counts.

    similarity: `cider`, with document frequencies of all training captions, or `bleu`. `training_captions` are the
    tokenised captions by image id.

    Raises:
        ConfigurationError: fewer than k neighbours are known.
        ArtifactError: an image has no neighbours, or a neighbour no captions; the artifacts do not belong together.
    """
    compare = (
        CiderSimilarity(DocumentFrequencies.of(training_captions.values()))
        if similarity == "cider"
        else bleu_similarity
    )
    if k > neighbours.indices.shape[1]:
        raise ConfigurationError(f"k = {k} neighbours are asked for, {neighbours.indices.shape[1]} are known; lower k.")
    row = {image_id: number for number, image_id in enumerate(neighbours.target_ids)}
    reordered, records, changed = [], [], 0
    for number, image in enumerate(images, start=1):
        if image.image_id not in row:
            raise ArtifactError(f"Image {image.image_id} has hypotheses but no neighbours; find its neighbours first.")
        nearest = [neighbours.reference_ids[index] for index in neighbours.indices[row[image.image_id], :k]]
        unknown = [image_id for image_id in nearest if image_id not in training_captions]
        if unknown:
            raise ArtifactError(f"Image {unknown[0]} is a neighbour without captions; the artifacts do not fit.")
        references = [caption for image_id in nearest for caption in training_captions[image_id]]
        scores = consensus_scores(compare([each.tokens for each in image.captions], references), m)
        order = rerank_order(scores)
        changed += int(order[0] != 0)
        reordered.append(ImageHypotheses(image.image_id, tuple(image.captions[index] for index in order)))
        records.append(
            {
                "image_id": image.image_id,
                "scores": [round(float(scores[index]), 6) for index in order],
                "neighbours": nearest[:SHOWN_NEIGHBOURS],
            }
        )
        progress(number / len(images))
    write_hypotheses(directory, reordered)
    write_json_lines(directory / "reranked.jsonl", records)
    return {"images": len(images), "first_changed": changed}
