"""Which words the captions use, beside those that people use of the same images."""

from collections import Counter
from collections.abc import Mapping, Sequence

from model.text.ptb import ptb_words
from pipelines.report.data import WordShare, WordStatistics

SHOWN = 15  # words of each list


def count_words(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> WordStatistics:
    """captions: one of each image; references: the captions of the same images by people. Ties are ordered by word."""
    generated = [ptb_words(caption) for caption in captions.values()]
    human = [ptb_words(reference) for image_id in captions for reference in references[image_id]]
    ours, theirs = (Counter(word for words in texts for word in words) for texts in (generated, human))
    per_mille = [1000 / max(1, counts.total()) for counts in (ours, theirs)]
    shares = [WordShare(word, ours[word] * per_mille[0], theirs[word] * per_mille[1]) for word in sorted(ours | theirs)]
    frequent = sorted(shares, key=lambda share: -share.references)
    overused = sorted(shares, key=lambda share: share.references - share.generated)
    return WordStatistics(
        lengths=_lengths(generated, human),
        frequent=tuple(frequent[:SHOWN]),
        overused=tuple(share for share in overused[:SHOWN] if share.generated > share.references),
        missing=tuple(share for share in frequent if share.generated == 0)[:SHOWN],
        words=(len(ours), len(theirs)),
    )


def _lengths(generated: list[list[str]], human: list[list[str]]) -> dict[int, tuple[float, float]]:
    ours, theirs = (Counter(map(len, texts)) for texts in (generated, human))
    lengths = range(min(ours | theirs), max(ours | theirs) + 1)
    return {length: (ours[length] / len(generated), theirs[length] / len(human)) for length in lengths}
