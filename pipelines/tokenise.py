"""From raw captions to word ids: vocabulary, `captions.h5` and the tokens as JSON lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.tokenisation import TOKENISERS
from schemas.annotations import SPLITS, AnnotatedImage
from schemas.captions import write_captions
from schemas.errors import ConfigurationError, InputError
from schemas.files import write_json_lines
from schemas.vocabulary import Vocabulary


def tokenise(images: Sequence[AnnotatedImage], tokeniser: str, min_count: int, directory: Path) -> dict[str, Any]:
    """Writes `vocabulary.txt` (of the training captions), `captions.h5` and `tokens.jsonl`; returns counts.

    Raises:
        ConfigurationError: there is no such tokeniser.
        InputError: a caption has no word; names the image and the caption.
    """
    if tokeniser not in TOKENISERS:
        raise ConfigurationError(f"There is no tokeniser {tokeniser!r}; set it to one of {', '.join(TOKENISERS)}.")
    words = [[TOKENISERS[tokeniser](caption) for caption in image.captions] for image in images]
    for image, captions in zip(images, words, strict=True):
        for number, caption in enumerate(captions):
            if not caption:
                raise InputError(
                    f"Caption {number} of image {image.image_id}, {image.captions[number]!r}, has no word; remove it "
                    "from the corpus."
                )
    in_training = [
        caption for image, captions in zip(images, words, strict=True) if image.split == "train" for caption in captions
    ]
    vocabulary = Vocabulary.from_captions(in_training, min_count)
    vocabulary.write(directory / "vocabulary.txt")
    write_captions(
        directory / "captions.h5",
        vocabulary,
        [image.image_id for image in images],
        [image.split for image in images],
        words,
    )
    write_json_lines(
        directory / "tokens.jsonl",
        (
            {"image_id": image.image_id, "split": image.split, "tokens": captions}
            for image, captions in zip(images, words, strict=True)
        ),
    )
    return {"vocabulary": len(vocabulary), **_coverage(images, words, vocabulary)}


def _coverage(
    images: Sequence[AnnotatedImage], words: Sequence[Sequence[Sequence[str]]], vocabulary: Vocabulary
) -> dict[str, dict[str, float]]:
    """Per split: captions, words, and the share of words that are outside the vocabulary."""
    counts = {}
    for split in SPLITS:
        captions = [
            caption for image, each in zip(images, words, strict=True) if image.split == split for caption in each
        ]
        total = sum(len(caption) for caption in captions)
        unknown = sum(word not in vocabulary for caption in captions for word in caption)
        counts[split] = {"captions": len(captions), "words": total, "unknown_share": round(unknown / total, 5)}
    return counts
