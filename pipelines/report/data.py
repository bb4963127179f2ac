"""Content of the report as plain data: `collect` fills it from artifacts, `render` turns it into HTML."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.metrics.bootstrap import Difference
from pipelines.data.dataset import Dataset
from pipelines.html.thumbnails import Thumbnail
from pipelines.report.published_results import PublishedCaptions, PublishedRetrieval
from schemas.features import FeatureDescription
from schemas.provenance import Provenance
from schemas.scores import CaptionScores, RetrievalScores

GROUPS = ("best", "worst", "random")  # of the gallery


@dataclass(frozen=True)
class ReportInputs:
    """Inputs of the report; all paths but `image_root` are artifacts.

    Attributes:
        title: Heading of the report.
        dataset: The dataset.
        image_root: Directory that `AnnotatedImage.file` is relative to.
        annotations: Artifact of `PrepareAnnotations`.
        captions: Artifact of `TokenizeCaptions`.
        features: Artifact with the original features.
        model: Artifact with the trained model.
        hypotheses: Beam search on the test split.
        reranked: The same hypotheses, reranked.
        neighbors: Nearest training images of the test images, by feature kind (`original`, `refined`).
        scores: Score artifacts by the label of their row.
        retrieval: Artifact of `EvaluateRetrieval`.
        note: A caveat that the report starts with, or None.
        claim: Labels of two rows whose difference tests the paper's claim about reranking: the hypotheses after
            consensus reranking, and the first of the same hypotheses; None if there are no such rows.
    """

    title: str
    dataset: Dataset
    image_root: Path
    annotations: Path
    captions: Path
    features: Path
    model: Path
    hypotheses: Path
    reranked: Path
    neighbors: Mapping[str, Path]
    scores: Mapping[str, Path]
    retrieval: Path
    note: str | None
    claim: tuple[str, str] | None = None


@dataclass(frozen=True)
class DatasetFacts:
    """Source and terms of the dataset.

    Attributes:
        name: Name in configurations.
        title: Full name.
        homepage: URL of its home page; empty if there is none.
        license: Terms of use.
        citation: Publications to cite.
    """

    name: str
    title: str
    homepage: str
    license: str
    citation: str


@dataclass(frozen=True)
class SplitCounts:
    """Counts of one split.

    Attributes:
        name: Name of the split.
        images: Annotated images.
        with_features: Images with features.
        rejected: Images that could not be read.
        captioned: Images with generated captions; None if captions of this split were not generated.
        captions: Reference captions.
        tokens: Tokens of the reference captions.
        unknown_tokens: Tokens outside the vocabulary.
    """

    name: str
    images: int
    with_features: int
    rejected: int
    captioned: int | None
    captions: int
    tokens: int
    unknown_tokens: int

    @property
    def unaccounted(self) -> int:
        """Images that neither have features nor were rejected: 0 if none was lost or counted twice."""
        return self.images - self.with_features - self.rejected

    @property
    def not_captioned(self) -> int:
        """Images with features but without captions, in a split whose captions were generated."""
        return 0 if self.captioned is None else self.with_features - self.captioned


@dataclass(frozen=True)
class FeatureFacts:
    """Image features that the model was trained on.

    Attributes:
        description: Origin of the features.
        images: Number of images with features.
        dimension: Length of a feature vector.
        dtype: Data type of the stored features.
    """

    description: FeatureDescription
    images: int
    dimension: int
    dtype: str


@dataclass(frozen=True)
class ModelFacts:
    """The trained model.

    Attributes:
        config: Its configuration.
        vocabulary_size: Number of tokens of its vocabulary.
        provenance: Its provenance.
    """

    config: dict[str, Any]
    vocabulary_size: int
    provenance: Provenance


@dataclass(frozen=True)
class StageEntry:
    """An artifact that the report depends on.

    Attributes:
        stage: Its stage.
        key: Its key.
        provenance: Its provenance; None if it has been deleted.
    """

    stage: str
    key: str
    provenance: Provenance | None

    @property
    def seconds(self) -> float:
        """Duration in seconds; 0 if the artifact has been deleted."""
        return self.provenance.seconds if self.provenance else 0.0

    @property
    def size(self) -> int:
        """Size on disk in bytes; 0 if the artifact has been deleted."""
        return sum(file["size"] for file in self.provenance.files.values()) if self.provenance else 0


@dataclass(frozen=True)
class Epoch:
    """One point of the training curves.

    Attributes:
        number: Number of the epoch, from 1.
        train_loss: Training loss in bits per token, including weight decay.
        train_perplexity: Perplexity on the training captions.
        val_perplexity: Perplexity on the validation captions.
        val_cider: CIDEr-D of generated validation captions.
        score: Selection criterion; higher is better.
    """

    number: int
    train_loss: float
    train_perplexity: float
    val_perplexity: float
    val_cider: float
    score: float

    @property
    def val_loss(self) -> float:
        """Cross-entropy of the validation captions in bits per token."""
        return math.log2(self.val_perplexity)


@dataclass(frozen=True)
class ScoreRow:
    """A row of the score table.

    Attributes:
        label: Label of the row.
        key: Key of the score artifact.
        scores: The score sheet.
    """

    label: str
    key: str
    scores: CaptionScores


@dataclass(frozen=True)
class RerankingGain:
    """Gain by consensus reranking over the first of the same hypotheses, which the paper claims.

    Attributes:
        label: Label of the row with the reranked hypotheses.
        baseline: Label of the row with the first hypotheses.
        differences: Paired difference by metric.
    """

    label: str
    baseline: str
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class ShownHypothesis:
    """A generated caption.

    Attributes:
        text: The detokenized caption.
        beam_rank: Rank before reranking, from 1.
        log_prob: ln P(caption | image) in nats; None if no model has generated it.
        consensus: Consensus score of the reranking.
    """

    text: str
    beam_rank: int
    log_prob: float | None
    consensus: float


@dataclass(frozen=True)
class GalleryImage:
    """A test image of the gallery.

    Attributes:
        thumbnail: The image.
        groups: The members of `GROUPS` that it was chosen for.
        caption: The detokenized caption of the main row.
        cider: CIDEr-D of that caption.
        hypotheses: Hypotheses in the order of reranking.
        references: Reference captions.
        nearest: Nearest training images by the features used for reranking, nearest first.
    """

    thumbnail: Thumbnail
    groups: tuple[str, ...]
    caption: str
    cider: float
    hypotheses: tuple[ShownHypothesis, ...]
    references: tuple[str, ...]
    nearest: tuple[Thumbnail, ...]

    @property
    def most_probable(self) -> ShownHypothesis:
        """The hypothesis that would have been chosen without reranking."""
        return min(self.hypotheses, key=lambda each: each.beam_rank)


@dataclass(frozen=True)
class NeighborPanel:
    """A test image and its nearest training images.

    Attributes:
        thumbnail: The test image.
        nearest: Nearest training images by feature kind, nearest first.
    """

    thumbnail: Thumbnail
    nearest: Mapping[str, tuple[Thumbnail, ...]]


@dataclass(frozen=True)
class NeighborComparison:
    """Comparison of the nearest training images by two kinds of features.

    Attributes:
        panels: Examples.
        depth: Number of nearest images that are compared.
        shared: Mean fraction of the `depth` nearest images that both kinds have in common, over all test images.
    """

    panels: tuple[NeighborPanel, ...]
    depth: int
    shared: float


@dataclass(frozen=True)
class RejectedImage:
    """An image without features.

    Attributes:
        thumbnail: Thumbnail of the image, if the file can be decoded nevertheless.
        file: Path of the image below the dataset's root.
        split: Its split.
        stage: Step that rejected it.
        error: The reason, in one line.
    """

    thumbnail: Thumbnail
    file: str
    split: str
    stage: str
    error: str


@dataclass(frozen=True)
class WordFrequency:
    """Frequency of a word.

    Attributes:
        word: The word.
        generated: Occurrences per thousand words of the generated captions.
        references: Occurrences per thousand words of their references.
    """

    word: str
    generated: float
    references: float


@dataclass(frozen=True)
class WordStatistics:
    """Words of the main row's captions and of the references of the same images, tokenized as for scoring.

    Attributes:
        lengths: Caption length in words -> (fraction of the generated captions, fraction of the references).
        frequent: The most frequent words of the references.
        overused: Words that are more frequent in the captions, by the difference.
        missing: Frequent words of the references that no caption contains.
        distinct: Number of distinct words of (captions, references).
    """

    lengths: Mapping[int, tuple[float, float]]
    frequent: tuple[WordFrequency, ...]
    overused: tuple[WordFrequency, ...]
    missing: tuple[WordFrequency, ...]
    distinct: tuple[int, int]


@dataclass(frozen=True)
class ReportContents:
    """The content of the report.

    Attributes:
        title: Heading of the report.
        note: A sentence that is shown before everything else, if there is one.
        dataset: The dataset.
        splits: Counts of each split.
        problems: Problems found in the annotations.
        rejects: Number of rejected images.
        rejected: The first of the rejected images.
        features: The image features.
        model: The trained model.
        curve: Training curves; empty if there are none.
        stages: All artifacts, each after those that it was made from.
        rows: Score table.
        main_label: Label of the row that the headline and the gallery are about.
        gain: Gain by consensus reranking, if its rows are there.
        published: Published scores of captions.
        retrieval: Retrieval scores, if there are any.
        published_retrieval: Published retrieval scores.
        gallery: Images of the gallery.
        gallery_seed: Seed of the random images of the gallery.
        neighbors: Comparison of the nearest images by original and refined features.
        words: Word statistics.
    """

    title: str
    note: str | None
    dataset: DatasetFacts
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
    gain: RerankingGain | None
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
        """Number of images in each group of the gallery."""
        return {name: sum(name in image.groups for image in self.gallery) for name in GROUPS}
