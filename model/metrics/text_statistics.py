"""Length and diversity of captions as texts, whatever their quality."""

from collections.abc import Collection, Sequence

from model.text.ngrams import ngrams

Words = tuple[str, ...]


def text_statistics(
    captions: Sequence[Words], references: Sequence[Sequence[Words]], training: Collection[Words] | None = None
) -> dict[str, float]:
    """Compute statistics of one caption per image.

    Args:
        captions: Tokens of each caption.
        references: Tokens of the references of each image.
        training: Tokens of the training captions, where they are known.

    Returns:
        By name:

        * `mean_length`: mean number of tokens,
        * `length_ratio`: length relative to the closest reference, both summed over images as in BLEU,
        * `distinct_captions`: number of different captions,
        * `words_used`: number of different tokens,
        * `distinct_1`, `distinct_2`: fraction of different unigrams and bigrams (Li et al. 2016),
        * `share_in_training`: fraction of captions that are identical to a training caption; only with `training`.
    """
    closest = [
        min((abs(len(each) - len(caption)), len(each)) for each in own)[1]
        for caption, own in zip(captions, references, strict=True)
    ]
    statistics: dict[str, float] = {
        "mean_length": sum(map(len, captions)) / len(captions),
        "length_ratio": sum(map(len, captions)) / max(1, sum(closest)),
        "distinct_captions": len(set(captions)),
        "words_used": len({word for caption in captions for word in caption}),
    }
    for order in (1, 2):
        grams = [gram for caption in captions for gram in ngrams(caption, order).elements()]
        statistics[f"distinct_{order}"] = len(set(grams)) / max(1, len(grams))
    if training is not None:
        statistics["share_in_training"] = sum(caption in training for caption in captions) / len(captions)
    return statistics
