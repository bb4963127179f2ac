"""Candidate pools: the hypotheses of several sources, merged image by image."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.text.ngrams import Words
from schemas.captions import read_tokens
from schemas.errors import ConfigurationError
from schemas.hypotheses import (
    Hypothesis,
    ImageHypotheses,
    SearchSetting,
    read_hypotheses,
    write_hypotheses,
    write_search,
)
from schemas.neighbors import Neighbors, read_neighbors

NEIGHBORS = "neighbors"  # origin of the captions of similar training images


@dataclass(frozen=True)
class PoolInputs:
    """Artifacts that PoolCaptions reads.

    Attributes:
        hypotheses: Artifacts with hypotheses of the same images, by the name of the source.
        neighbors: Nearest training images; None to pool no training captions.
        captions: Tokenized training captions.
    """

    hypotheses: Mapping[str, Path]
    neighbors: Path | None
    captions: Path


def pool_captions(inputs: PoolInputs, directory: Path, neighbor_count: int) -> dict[str, int]:
    """Write `hypotheses.jsonl` with all different hypotheses of each image, and `search.json`.

    Args:
        inputs: Artifacts to read.
        directory: Artifact to write.
        neighbor_count: Number of nearest training images whose captions are hypotheses.

    Returns:
        Counts of images and hypotheses, and of the hypotheses that each source contains.

    Raises:
        ArtifactError: An input is missing or corrupted, or an image has no neighbors.
        ConfigurationError: Fewer than `neighbor_count` neighbors are known.
    """
    sources: dict[str, Iterable[ImageHypotheses]] = {
        name: read_hypotheses(path) for name, path in inputs.hypotheses.items()
    }
    if inputs.neighbors:
        first = next(iter(inputs.hypotheses.values()))
        image_ids = [image.image_id for image in read_hypotheses(first)]
        captions = read_tokens(inputs.captions / "tokens.jsonl", "train")
        neighbors = read_neighbors(inputs.neighbors / "neighbors.h5")
        sources[NEIGHBORS] = retrieve_captions(image_ids, neighbors, captions, neighbor_count)
    pooled = merge_hypotheses(sources)
    write_hypotheses(directory, pooled)
    write_search(directory, SearchSetting("pool", max((len(image.captions) for image in pooled), default=0)))
    every = [each for image in pooled for each in image.captions]
    counts = {name: sum(name in each.origins for each in every) for name in sources}
    return {"images": len(pooled), "hypotheses": len(every), **counts}


def merge_hypotheses(sources: Mapping[str, Iterable[ImageHypotheses]]) -> list[ImageHypotheses]:
    """Merge hypotheses of the same images.

    Equal hypotheses of an image become one, whose log-probability is that of the first source that has one.

    Args:
        sources: Images with their hypotheses, by the name of the source.

    Returns:
        The images of all sources in the order in which they appear; the hypotheses of each in the order of the sources.

    Raises:
        ConfigurationError: There is no source.
    """
    if not sources:
        raise ConfigurationError("The candidate pool is empty; set sources of [PoolCaptions].")
    merged: dict[str, dict[tuple[str, ...], Hypothesis]] = {}
    for name, images in sources.items():
        for image in images:
            own = merged.setdefault(image.image_id, {})
            for each in image.captions:
                known = own.get(each.tokens, Hypothesis(each.tokens, None))
                log_prob = each.log_prob if known.log_prob is None else known.log_prob
                origins = known.origins if name in known.origins else (*known.origins, name)
                own[each.tokens] = Hypothesis(each.tokens, log_prob, origins)
    return [ImageHypotheses(image_id, tuple(own.values())) for image_id, own in merged.items()]


def retrieve_captions(
    image_ids: Sequence[str], neighbors: Neighbors, captions: Mapping[str, Sequence[Words]], count: int
) -> Iterator[ImageHypotheses]:
    """Yield the captions of the nearest training images as hypotheses of each image, nearest first.

    Args:
        image_ids: Ids of the images.
        neighbors: Their nearest training images.
        captions: Tokenized training captions by image id.
        count: Number of nearest images.

    Raises:
        ArtifactError: The neighbors of an image are unknown.
        ConfigurationError: Fewer than `count` neighbors are known.
    """
    for image_id in image_ids:
        found = [tuple(words) for each in neighbors.nearest(image_id, count) for words in captions.get(each, ())]
        yield ImageHypotheses(image_id, tuple(Hypothesis(words, None) for words in found if words))
