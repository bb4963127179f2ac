"""Options of the search for captions."""

from dataclasses import dataclass

from schemas.options import check_choices, option
from schemas.vocabulary import PAD, SPECIAL_WORDS, UNK

SEARCHES = ("greedy", "beam", "n-best", "sample")


@dataclass(frozen=True)
class DecodingConfig:
    """Search for the captions of an image; `model.decoding.strategies.make_search` builds it.

    Each search reads the options that concern it, as their help states.
    """

    search: str = option(
        "beam",
        "Search: greedy, beam (one caption), n-best (hypotheses for reranking) or sample (random captions).",
        choices=SEARCHES,
    )
    beam_width: int = option(3, "Beam width of beam (TF-mRNN: 3).")
    n_best: int = option(10, "Beam width of n-best, or number of captions of sample (the paper, Section 8: 10).")
    temperature: float = option(1.0, "Temperature of sample: log-probabilities are divided by it.")
    top_k: int = option(0, "Number of most probable tokens that sample chooses from (0 = all).")
    top_p: float = option(1.0, "Probability of the most probable tokens that sample chooses from (1 = all).")
    seed: int = option(0, "Random seed of sample.")
    min_length: int = option(0, "Minimum caption length in tokens.")
    max_length: int = option(29, "Maximum caption length in tokens.")
    forbidden: tuple[str, ...] = option(
        (SPECIAL_WORDS[PAD], SPECIAL_WORDS[UNK]), "Tokens of the vocabulary that are never generated."
    )
    no_repeat_ngram: int = option(0, "Block repeated n-grams of this size (0 = off).")
    length_penalty: float = option(
        0.0, "Length penalty of beam and n-best: alpha of ln P / ((5 + length) / 6)^alpha (the paper: 0)."
    )
    groups: int = option(1, "Number of groups of diverse beam search, with n-best (1 = off).")
    diversity: float = option(
        0.5, "Diversity penalty of n-best in groups, in nats per earlier use of a token by another group."
    )

    def __post_init__(self) -> None:
        check_choices(self)

    @property
    def width(self) -> int:
        """Width of the beam, or number of sampled captions."""
        return {"greedy": 1, "beam": self.beam_width, "n-best": self.n_best, "sample": self.n_best}[self.search]
