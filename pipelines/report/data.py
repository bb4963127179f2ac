"""What the report shows, as plain data: `collect` fills it from artifacts, `render` writes it down."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.report.published_results import PublishedCaptions, PublishedRetrieval
from schemas.features import FeatureDescription
from schemas.provenance import Provenance
from schemas.scores import CaptionScores, RetrievalScores

GROUPS = ("best", "worst", "random")  # of the gallery


@dataclass(frozen=True)
class DatasetFacts:
    """Where the captioned images come from. `homepage` is empty where there is none."""

    name: str
    title: str
    homepage: str
    license: str
    citation: str


@dataclass(frozen=True)
class SplitCounts:
    """One split in numbers. captioned: images that captions were generated of, None where that was not asked for;
    unknown_words: words of the captions that are outside the vocabulary."""

    name: str
    images: int
    with_features: int
    rejected: int
    captioned: int | None
    captions: int
    words: int
    unknown_words: int

    @property
    def unaccounted(self) -> int:
        """Images in, less images out, less rejected ones: 0 if no image was lost or counted twice."""
        return self.images - self.with_features - self.rejected

    @property
    def not_captioned(self) -> int:
        """Images with features but without captions, in a split that was captioned."""
        return 0 if self.captioned is None else self.with_features - self.captioned


@dataclass(frozen=True)
class FeatureFacts:
    """The image features that the model was trained on."""

    description: FeatureDescription
    images: int
    dimension: int
    dtype: str


@dataclass(frozen=True)
class ModelFacts:
    """The trained model: its configuration, its size, and how it was made."""

    config: dict[str, Any]
    vocabulary_size: int
    made: Provenance


@dataclass(frozen=True)
class StageEntry:
    """An artifact that went into the report; `provenance` is None if it is no longer there."""

    stage: str
    key: str
    provenance: Provenance | None

    @property
    def seconds(self) -> float:
        """The time it took; 0 if that is no longer known."""
        return self.provenance.seconds if self.provenance else 0.0

    @property
    def size(self) -> int:
        """Its bytes on disk; 0 if it is no longer there."""
        return sum(file["size"] for file in self.provenance.files.values()) if self.provenance else 0


@dataclass(frozen=True)
class Epoch:
    """One point of the training curves. train_cost: bits a word plus weight decay; score: the higher, the better."""

    number: int
    train_cost: float
    train_perplexity: float
    val_perplexity: float
    val_cider: float
    score: float

    @property
    def val_cost(self) -> float:
        """Bits a word of the validation captions."""
        return math.log2(self.val_perplexity)


@dataclass(frozen=True)
class ScoreRow:
    """A row of the score table."""

    label: str
    key: str
    scores: CaptionScores


@dataclass(frozen=True)
class Picture:
    """A small copy of an image. data_uri: JPEG, or None where the image could not be read, for `problem`."""

    image_id: str
    caption: str
    data_uri: str | None
    width: int
    height: int
    problem: str


@dataclass(frozen=True)
class ShownHypothesis:
    """A generated caption: its rank by likelihood (from 1), ln P(caption | image) in nats and its consensus score."""

    text: str
    beam_rank: int
    log_prob: float
    consensus: float


@dataclass(frozen=True)
class GalleryImage:
    """A test image. groups: which of `GROUPS` it was chosen for; cider: CIDEr-D of `caption`; hypotheses: best first by
    consensus; nearest: the nearest training images by the features that reranking used, nearest first."""

    picture: Picture
    groups: tuple[str, ...]
    caption: str
    cider: float
    hypotheses: tuple[ShownHypothesis, ...]
    references: tuple[str, ...]
    nearest: tuple[Picture, ...]

    @property
    def most_likely(self) -> ShownHypothesis:
        """What would have been shown without reranking."""
        return min(self.hypotheses, key=lambda each: each.beam_rank)


@dataclass(frozen=True)
class NeighborPanel:
    """A test image, and by feature kind its nearest training images, nearest first."""

    picture: Picture
    nearest: Mapping[str, tuple[Picture, ...]]


@dataclass(frozen=True)
class NeighborComparison:
    """What two kinds of features find near.

    shared: which part of an image's `depth` nearest by the one kind is among its `depth` nearest by the other, 0 to 1;
    the mean over all test images.
    """

    panels: tuple[NeighborPanel, ...]
    depth: int
    shared: float


@dataclass(frozen=True)
class RejectedImage:
    """An image without features; its picture is there if the file can be read all the same."""

    picture: Picture
    file: str
    split: str
    stage: str
    error: str


@dataclass(frozen=True)
class WordShare:
    """A word, and how many in a thousand words it is of the generated captions and of their references."""

    word: str
    generated: float
    references: float


@dataclass(frozen=True)
class WordStatistics:
    """The words of the main row's captions beside those of the same images' references, as they are scored.

    lengths: words of a caption -> share of (generated captions, references); frequent: the most frequent words of the
    references; overused: words whose share is larger in the captions, by the difference; missing: frequent words of the
    references that no caption has; words: different words of (captions, references).
    """

    lengths: Mapping[int, tuple[float, float]]
    frequent: tuple[WordShare, ...]
    overused: tuple[WordShare, ...]
    missing: tuple[WordShare, ...]
    words: tuple[int, int]


@dataclass(frozen=True)
class ReportContents:
    """All that the report shows.

    main_label: the score row that the headline and the gallery are about; rejects: how many images were rejected, of
    which `rejected` shows the first.
    """

    title: str
    note: str | None
    corpus: DatasetFacts
    splits: tuple[SplitCounts, ...]
    problems: tuple[str, ...]
    rejects: int
    rejected: tuple[RejectedImage, ...]
    features: FeatureFacts
    model: ModelFacts
    curve: tuple[Epoch, ...]
    stages: tuple[StageEntry, ...]
    rows: tuple[ScoreRow, ...]
    main_label: str
    published: tuple[PublishedCaptions, ...]
    retrieval: RetrievalScores | None
    published_retrieval: tuple[PublishedRetrieval, ...]
    gallery: tuple[GalleryImage, ...]
    gallery_seed: int
    neighbors: NeighborComparison
    words: WordStatistics

    @property
    def main_row(self) -> ScoreRow:
        """The score row called `main_label`."""
        return next(row for row in self.rows if row.label == self.main_label)

    @property
    def gallery_sizes(self) -> dict[str, int]:
        """Images of each of the gallery's groups."""
        return {name: sum(name in image.groups for image in self.gallery) for name in GROUPS}
