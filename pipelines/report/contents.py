"""What the report shows, as plain data: `collect` fills it from artifacts, `render` writes it down."""

from dataclasses import dataclass
from typing import Any

from pipelines.report.published import PublishedCaptions, PublishedRetrieval
from schemas.features import FeatureDescription, Reject
from schemas.provenance import Provenance
from schemas.scores import CaptionScores, RetrievalScores

GROUPS = ("best", "worst", "random")  # of the gallery


@dataclass(frozen=True)
class CorpusFacts:
    """Where the captioned images come from. `homepage` is empty where there is none."""

    name: str
    title: str
    homepage: str
    licence: str
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


@dataclass(frozen=True)
class FeatureFacts:
    """The image features that the model was trained on."""

    description: FeatureDescription
    images: int
    dimension: int
    dtype: str


@dataclass(frozen=True)
class ModelFacts:
    """The trained model: its configuration, how it was trained, and what its stage counted."""

    config: dict[str, Any]
    training: dict[str, Any]
    counts: dict[str, Any]
    vocabulary_size: int


@dataclass(frozen=True)
class StageEntry:
    """An artifact that went into the report; `provenance` is None if it is no longer there."""

    stage: str
    key: str
    provenance: Provenance | None


@dataclass(frozen=True)
class Epoch:
    """One point of the training curves; score: the higher, the better the epoch."""

    number: int
    train_perplexity: float
    val_perplexity: float
    val_cider: float
    score: float


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
    """A test image. groups: which of `GROUPS` it was chosen for; cider: CIDEr-D of `caption`;
    hypotheses: best first by consensus; neighbours: feature kind -> nearest training images, nearest first."""

    picture: Picture
    groups: tuple[str, ...]
    caption: str
    cider: float
    hypotheses: tuple[ShownHypothesis, ...]
    references: tuple[str, ...]
    neighbours: dict[str, tuple[Picture, ...]]


@dataclass(frozen=True)
class ReportContents:
    """All that the report shows. main_label: the score row that the headline and the gallery are about."""

    title: str
    note: str | None
    corpus: CorpusFacts
    splits: tuple[SplitCounts, ...]
    problems: tuple[str, ...]
    rejects: tuple[Reject, ...]
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

    @property
    def main_row(self) -> ScoreRow:
        """The score row called `main_label`."""
        return next(row for row in self.rows if row.label == self.main_label)

    @property
    def gallery_sizes(self) -> dict[str, int]:
        """Images of each of the gallery's groups."""
        return {name: sum(name in image.groups for image in self.gallery) for name in GROUPS}
