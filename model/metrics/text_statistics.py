"""What captions are like as texts, beside how good they are."""

from collections.abc import Collection, Sequence

from model.text.ngrams import ngrams

Words = tuple[str, ...]


def text_statistics(
    captions: Sequence[Words], references: Sequence[Sequence[Words]], training: Collection[Words] | None = None
) -> dict[str, float]:
    """Statistics of one caption an image, against its references and the captions that were trained on.

    mean_length: in words; length_ratio: to the closest reference, summed over images as BLEU does; distinct_captions;
    words_used: different words; distinct_1 and distinct_2: different n-grams by all n-grams (Li et al. 2016);
    share_in_training: captions that stand in the training set word for word (only where `training` is given).
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
