"""Consensus similarity: whole matrices against the pairwise algorithm of mRNN-CR, which makes both vectors anew."""

import numpy as np

from benchmarks.timing import compare, seconds
from model.consensus import CiderSimilarity, DocumentFrequencies, bleu_similarity

HYPOTHESES, REFERENCES, PAIRWISE_REFERENCES = 10, 300, 30


def run() -> None:
    """Compares both similarities for images of 10 hypotheses and 300 references."""
    random = np.random.default_rng(0)
    words = [f"w{index}" for index in range(400)]
    weights = 1.0 / np.arange(1, 401)

    def sentences(count: int) -> list[list[str]]:
        lengths = random.integers(7, 15, count)
        return [list(random.choice(words, length, p=weights / weights.sum())) for length in lengths]

    images = [(sentences(HYPOTHESES), sentences(REFERENCES)) for _ in range(20)]
    frequencies = DocumentFrequencies.of([references[:5] for _, references in images])
    for name, make in (("CIDEr", lambda: CiderSimilarity(frequencies)), ("BLEU", lambda: bleu_similarity)):
        matrices = make()
        ours = seconds(lambda: [matrices(*image) for image in images])  # noqa: B023  (called at once)

        def pairwise() -> None:
            hypotheses, references = images[0]
            for hypothesis in hypotheses:
                for reference in references[:PAIRWISE_REFERENCES]:
                    make()([hypothesis], [reference])  # noqa: B023

        pairs = REFERENCES / PAIRWISE_REFERENCES * seconds(pairwise)
        compare(f"reranking, {name}", len(images) / ours, 1.0 / pairs, "images/s", "matrices", "pairwise")
