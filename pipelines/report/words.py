"""Word statistics of generated captions and of the reference captions of the same images."""

from collections import Counter
from collections.abc import Mapping, Sequence

from model.text.ptb import ptb_tokens
from pipelines.report.data import WordFrequency, WordStatistics

SHOWN = 15  # words per list


def count_words(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> WordStatistics:
    """Compare the words of generated captions with those of the references; ties are ordered by word.

    Args:
        captions: The caption of each image by id.
        references: The reference captions of the same images.
    """
    generated = [ptb_tokens(caption) for caption in captions.values()]
    human = [ptb_tokens(reference) for image_id in captions for reference in references[image_id]]
    ours, theirs = (Counter(word for words in texts for word in words) for texts in (generated, human))
    per_mille = [1000 / max(1, counts.total()) for counts in (ours, theirs)]
    frequencies = [
        WordFrequency(word, ours[word] * per_mille[0], theirs[word] * per_mille[1]) for word in sorted(ours | theirs)
    ]
    frequent = sorted(frequencies, key=lambda word: -word.references)
    overused = sorted(frequencies, key=lambda word: word.references - word.generated)
    return WordStatistics(
        lengths=_lengths(generated, human),
        frequent=tuple(frequent[:SHOWN]),
        overused=tuple(word for word in overused[:SHOWN] if word.generated > word.references),
        missing=tuple(word for word in frequent if word.generated == 0)[:SHOWN],
        distinct=(len(ours), len(theirs)),
    )


def _lengths(generated: list[list[str]], human: list[list[str]]) -> dict[int, tuple[float, float]]:
    ours, theirs = (Counter(map(len, texts)) for texts in (generated, human))
    lengths = range(min(ours | theirs), max(ours | theirs) + 1)
    return {length: (ours[length] / len(generated), theirs[length] / len(human)) for length in lengths}
