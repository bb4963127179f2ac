"""Tokenization of captions: vocabulary, token ids (`captions.h5`) and tokens as JSON lines."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.text.tokenizers import TOKENIZERS
from schemas.annotations import EVERY_SPLIT, AnnotatedImage
from schemas.captions import write_captions
from schemas.errors import ConfigurationError, InputError
from schemas.io.files import write_json, write_json_lines
from schemas.vocabulary import Vocabulary


def tokenize(images: Sequence[AnnotatedImage], tokenizer: str, min_count: int, directory: Path) -> dict[str, Any]:
    """Write `vocabulary.txt` (of the training captions), `captions.h5`, `tokens.jsonl` and `coverage.json`.

    Args:
        images: Images with their raw captions.
        tokenizer: Name of the tokenizer, a key of `TOKENIZERS`.
        min_count: Occurrences in training captions that make a token known.
        directory: Directory to write to.

    Returns:
        The size of the vocabulary and, for each split, the content of `coverage.json` (see `measure_coverage`).

    Raises:
        ConfigurationError: There is no such tokenizer.
        InputError: A caption has no token; names the image and the caption.
    """
    words = split_words(images, tokenizer)
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
    coverage = measure_coverage(images, words, vocabulary)
    write_json(directory / "coverage.json", coverage)
    return {"vocabulary": len(vocabulary), **coverage}


def split_words(images: Sequence[AnnotatedImage], tokenizer: str) -> list[list[list[str]]]:
    """Return the tokens of each caption of each image; raises the errors of `tokenize`."""
    if tokenizer not in TOKENIZERS:
        raise ConfigurationError(f"There is no tokenizer {tokenizer!r}; set it to one of {', '.join(TOKENIZERS)}.")
    cut = TOKENIZERS[tokenizer]
    # Interning stores each token once.
    words = [[list(map(sys.intern, cut(caption))) for caption in image.captions] for image in images]
    for image, captions in zip(images, words, strict=True):
        for number, caption in enumerate(captions):
            if not caption:
                raise InputError(
                    f"Caption {number} of image {image.image_id}, {image.captions[number]!r}, has no token; remove it "
                    "from the dataset."
                )
    return words


def measure_coverage(
    images: Sequence[AnnotatedImage], words: Sequence[Sequence[Sequence[str]]], vocabulary: Vocabulary
) -> dict[str, dict[str, float]]:
    """Measure the coverage of each split's captions by the vocabulary.

    Args:
        images: Images with their splits.
        words: Tokens of each caption of each image.
        vocabulary: The vocabulary.

    Returns:
        For each split that has captions:

        * `captions`, `words`: numbers of captions and tokens,
        * `unknown_share`: fraction of the tokens that are not in the vocabulary,
        * `distinct_words`: number of different tokens,
        * `distinct_covered`: fraction of the different tokens that are in the vocabulary,
        * `captions_covered`: fraction of the captions without unknown tokens.
    """
    coverage = {}
    for split in EVERY_SPLIT:
        captions = [
            caption for image, each in zip(images, words, strict=True) if image.split == split for caption in each
        ]
        if not captions:
            continue
        counts = Counter(word for caption in captions for word in caption)
        total = counts.total()
        known = [word for word in counts if word in vocabulary]
        unknown = total - sum(counts[word] for word in known)
        covered = sum(all(word in vocabulary for word in caption) for caption in captions)
        coverage[split] = {
            "captions": len(captions),
            "words": total,
            "unknown_share": round(unknown / total, 5),
            "distinct_words": len(counts),
            "distinct_covered": round(len(known) / len(counts), 5),
            "captions_covered": round(covered / len(captions), 5),
        }
    return coverage
