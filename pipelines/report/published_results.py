"""Published m-RNN results, each with a mark for how reliable its transcription is; results are never shown without it.

Values are strings, so that a report shows exactly the digits that were published.
"""

from dataclasses import dataclass

MARKS = {
    "read": "Read in the source named with the number.",
    "memory-high": "Quoted from memory, not looked up; very probably correct.",
    "memory-mid": "Quoted from memory, not looked up; single digits may be wrong.",
}


@dataclass(frozen=True)
class PublishedCaptions:
    """Published scores of generated captions.

    Attributes:
        model: Name of the model.
        setting: Dataset and split, or evaluation server.
        mark: Key of `MARKS`.
        values: Published digits by metric of `schemas.scores.METRICS` or `perplexity`.
        remark: A remark on the source.
    """

    model: str
    setting: str
    mark: str
    values: dict[str, str]
    remark: str = ""


@dataclass(frozen=True)
class PublishedRetrieval:
    """Published retrieval scores.

    Attributes:
        model: Name of the model.
        setting: Dataset or split.
        mark: Key of `MARKS`.
        sentence: R@1, R@5 and R@10 in percent and the median rank of sentence retrieval.
        image: The same of image retrieval.
        remark: A remark on the source.
    """

    model: str
    setting: str
    mark: str
    sentence: tuple[str, str, str, str]
    image: tuple[str, str, str, str]
    remark: str = ""


def published_captions(dataset: str) -> tuple[PublishedCaptions, ...]:
    """Return the published caption scores of a dataset; empty for a dataset that the paper did not use."""
    return _CAPTIONS.get(dataset, ())


def published_retrieval(dataset: str) -> tuple[PublishedRetrieval, ...]:
    """Return the published retrieval scores of a dataset; empty for a dataset that the paper did not use."""
    return _RETRIEVAL.get(dataset, ())


def _values(digits: str, columns: str = "perplexity BLEU-1 BLEU-2 BLEU-3 BLEU-4") -> dict[str, str]:
    return dict(zip(columns.split(), digits.split(), strict=True))


def _coco(digits: str) -> dict[str, str]:
    return _values(digits, "BLEU-1 BLEU-2 BLEU-3 BLEU-4 CIDEr-D ROUGE-L METEOR")


def _recall(digits: str) -> tuple[str, str, str, str]:
    r1, r5, r10, median_rank = digits.split()
    return r1, r5, r10, median_rank


_SERVER = "COCO evaluation server, 5 references"
_CRVAL = "1,000 images of val2014 (crVal)"
_LEADERBOARD = "Read on the official leaderboard; the similarity of each entry is quoted from memory (memory-high)."
_LISTING = "R@1 was also read in a third-party listing."

PUBLISHED_GAIN = PublishedCaptions(
    "m-RNN-shared-NNref-CIDEr, minus m-RNN-shared",
    _SERVER,
    "memory-high",
    {"BLEU-4": "+0.020", "CIDEr-D": "+0.098"},
)
"""Gain by consensus reranking that the authors report."""

_CAPTIONS = {
    "iaprtc12": (
        PublishedCaptions("RNN-Base (no image)", "IAPR TC-12", "memory-mid", _values("7.77 0.307 0.177 0.096 0.043")),
        PublishedCaptions("m-RNN-AlexNet", "IAPR TC-12", "memory-high", _values("6.92 0.482 0.357 0.269 0.208")),
    ),
    "flickr8k": (
        PublishedCaptions("m-RNN-AlexNet", "Flickr8K", "memory-mid", _values("24.39 0.565 0.386 0.256 0.170")),
    ),
    "flickr30k": (
        PublishedCaptions("m-RNN-AlexNet", "Flickr30K", "memory-mid", _values("35.11 0.54 0.36 0.23 0.15")),
        PublishedCaptions("m-RNN-VggNet", "Flickr30K", "memory-high", _values("20.72 0.60 0.41 0.28 0.19")),
    ),
    "coco2014": (
        PublishedCaptions(
            "m-RNN-VggNet", "own 1,000 images of val2014", "memory-high", _values("13.60 0.67 0.49 0.35 0.25")
        ),
        PublishedCaptions("m-RNN, greedy", _SERVER, "memory-mid", _coco("0.668 0.488 0.342 0.239 0.729 0.489 0.221")),
        PublishedCaptions(
            "m-RNN, beam search",
            _SERVER,
            "memory-high",
            _coco("0.680 0.506 0.369 0.272 0.791 0.499 0.225"),
            "CIDEr was also read, as 79, in a third-party listing.",
        ),
        PublishedCaptions("m-RNN-shared", _SERVER, "memory-high", _coco("0.685 0.512 0.376 0.279 0.819 0.504 0.229")),
        PublishedCaptions(
            "m-RNN-shared-NNref-BLEU", _SERVER, "read", _coco("0.720 0.553 0.410 0.302 0.886 0.524 0.238"), _LEADERBOARD
        ),
        PublishedCaptions(
            "m-RNN-shared-NNref-CIDEr",
            _SERVER,
            "read",
            _coco("0.716 0.545 0.404 0.299 0.917 0.521 0.242"),
            _LEADERBOARD,
        ),
        PublishedCaptions("m-RNN-shared", _CRVAL, "memory-high", _coco("0.686 0.511 0.375 0.280 0.842 0.500 0.228")),
        PublishedCaptions(
            "m-RNN-shared-NNref-BLEU", _CRVAL, "memory-high", _coco("0.718 0.550 0.409 0.305 0.909 0.519 0.235")
        ),
        PublishedCaptions(
            "m-RNN-shared-NNref-CIDEr", _CRVAL, "memory-high", _coco("0.714 0.543 0.406 0.304 0.938 0.519 0.239")
        ),
        PublishedCaptions(
            "TF-mRNN (Inception-v3)",
            _CRVAL,
            "read",
            _values("0.282 0.890", "BLEU-4 CIDEr-D"),
            "Read in the README of TF-mRNN; without reranking.",
        ),
    ),
}

_RETRIEVAL = {
    "iaprtc12": (
        PublishedRetrieval(
            "m-RNN-AlexNet", "IAPR TC-12", "memory-high", _recall("20.9 43.8 54.4 8"), _recall("13.2 31.2 40.8 21")
        ),
    ),
    "flickr8k": (
        PublishedRetrieval(
            "m-RNN-AlexNet",
            "Flickr8K",
            "memory-high",
            _recall("14.5 37.2 48.5 11"),
            _recall("11.5 31.0 42.4 15"),
            "R@1 of sentence retrieval was also read in a third-party listing.",
        ),
    ),
    "flickr30k": (
        PublishedRetrieval(
            "m-RNN-AlexNet",
            "Flickr30K",
            "memory-high",
            _recall("18.4 40.2 50.9 10"),
            _recall("12.6 31.2 41.5 16"),
            _LISTING,
        ),
        PublishedRetrieval(
            "m-RNN-VggNet",
            "Flickr30K",
            "memory-high",
            _recall("35.4 63.8 73.7 3"),
            _recall("22.8 50.7 63.1 5"),
            _LISTING,
        ),
    ),
    "coco2014": (
        PublishedRetrieval(
            "m-RNN-VggNet",
            "1,000 test images",
            "memory-high",
            _recall("41.0 73.0 83.5 2"),
            _recall("29.0 42.2 77.0 3"),
            _LISTING + " R@5 of image retrieval, 42.2, is implausible between 29.0 and 77.0; probably a misprint.",
        ),
    ),
}
