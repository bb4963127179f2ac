"""How captions are searched and ordered. Loads nothing: who only passes the settings on need not wait."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CaptionSettings:
    """beam_width: of the search without reranking; wide_beam_width: of that with it; max_length: words at most; the
    others are the parameters of RerankCaptions."""

    beam_width: int
    wide_beam_width: int
    max_length: int
    similarity: str
    against: str
    feature_kind: str
    metric: str
    k: int
    m: int
