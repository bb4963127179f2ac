"""Reads artifacts into `ReportContents`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipelines.data.dataset import Dataset
from pipelines.html.thumbnails import Thumbnails
from pipelines.report.data import (
    DatasetFacts,
    Epoch,
    FeatureFacts,
    ModelFacts,
    RejectedImage,
    ReportContents,
    ScoreRow,
    SplitCounts,
    StageEntry,
)
from pipelines.report.gallery import SEED, collect_gallery
from pipelines.report.neighbors import Nearest, compare_neighbors
from pipelines.report.published_results import published_captions, published_retrieval
from pipelines.report.words import count_words
from schemas.annotations import EVERY_SPLIT, AnnotatedImage, read_annotations
from schemas.captions import read_captions
from schemas.checkpoint import read_checkpoint, read_curve
from schemas.errors import ArtifactError
from schemas.features import FeatureFile, Reject, read_rejects
from schemas.hypotheses import read_hypotheses
from schemas.provenance import is_complete, read_provenance
from schemas.results import read_results
from schemas.scores import read_caption_scores, read_retrieval_scores
from schemas.vocabulary import UNK, Vocabulary


def walk_stages(directories: Iterable[Path]) -> tuple[StageEntry, ...]:
    """The artifacts in `directories` and everything upstream; what an artifact was made from comes before it.

    An upstream artifact that was not given is looked for where the others lie, at
    `<data_dir>/<dataset>/<stage>/<key>`; one that was deleted since is an entry without provenance.

    Raises:
        ArtifactError: one of `directories` is not a complete artifact.
    """
    given: dict[tuple[str, str], Path] = {}
    for directory in directories:
        provenance = read_provenance(directory)
        given[provenance.stage, provenance.key] = directory
    entries: dict[tuple[str, str], StageEntry] = {}

    def visit(stage: str, key: str, directory: Path) -> None:
        if (stage, key) in entries:
            return
        if not is_complete(directory):
            entries[stage, key] = StageEntry(stage, key, provenance=None)
            return
        provenance = read_provenance(directory)
        for _, upstream in sorted(provenance.upstream.items()):
            identity = (upstream.stage, upstream.key)
            visit(*identity, given.get(identity, directory.parent.parent / upstream.stage / upstream.key))
        entries[stage, key] = StageEntry(stage, key, provenance)

    for (stage, key), directory in given.items():
        visit(stage, key, directory)
    return tuple(entries.values())


SHOWN_REJECTS = 100  # the artifact has them all
REJECT_SIDE = 128  # pixels


def collect_contents(
    title: str,
    corpus: Dataset,
    dataset_root: Path,
    annotations: Path,
    captions: Path,
    features: Path,
    model: Path,
    hypotheses: Path,
    reranked: Path,
    neighbors: dict[str, Path],
    scores: dict[str, Path],
    retrieval: Path | None,
    note: str | None,
) -> ReportContents:
    """Reads what the report shows.

    dataset_root: `AnnotatedImage.file` is relative to it; the other paths are artifacts. hypotheses: beam search on the
    test split; reranked: the same reordered, `reranked.jsonl` beside them with a line `{"image_id", "scores", ...}` an
    image whose scores are in the new order; neighbors: by feature kind; scores: by the label of the row; note: what a
    reader must know before all else.

    Raises:
        ArtifactError: an artifact is missing or damaged, or they do not belong together.
    """
    images = {image.image_id: image for image in read_annotations(annotations)}
    thumbnails = Thumbnails(dataset_root, images)
    nearest = {kind: Nearest(neighbors[kind]) for kind in ("original", "refined")}
    rejects = read_rejects(features)
    checkpoint = read_checkpoint(model)
    rows = tuple(
        ScoreRow(label, read_provenance(directory).key, read_caption_scores(directory))
        for label, directory in scores.items()
    )
    main = _main_label(scores, hypotheses, reranked)
    given = [annotations, captions, features, model, hypotheses, reranked, *neighbors.values(), *scores.values()]
    dataset = read_provenance(annotations).dataset
    with FeatureFile(features / "features.h5") as feature_file:
        splits = _count_splits(images, feature_file, rejects, captions, checkpoint.vocabulary, hypotheses)
        feature_facts = FeatureFacts(
            feature_file.description,
            len(feature_file.image_ids),
            feature_file.dimension,
            str(feature_file.dataset.dtype),
        )
    reranking = next(row.scores.reranking for row in rows if row.label == main) or {}
    looked_at = nearest.get(str(reranking.get("features")))
    gallery = collect_gallery(images, thumbnails, scores[main], hypotheses, reranked, looked_at)
    results = read_results(scores[main] / "results.json")
    return ReportContents(
        title=title,
        note=note,
        corpus=DatasetFacts(dataset, corpus.title, corpus.homepage, corpus.license, corpus.citation),
        splits=splits,
        problems=_read_problems(annotations),
        rejects=len(rejects),
        rejected=tuple(_rejected_image(reject, images, thumbnails) for reject in rejects[:SHOWN_REJECTS]),
        features=feature_facts,
        model=ModelFacts(checkpoint.config, len(checkpoint.vocabulary), read_provenance(model)),
        curve=_read_epochs(model),
        stages=walk_stages([*given, retrieval] if retrieval is not None else given),
        rows=rows,
        main_label=main,
        published=published_captions(dataset),
        retrieval=read_retrieval_scores(retrieval) if retrieval is not None else None,
        published_retrieval=published_retrieval(dataset),
        gallery=gallery,
        gallery_seed=SEED,
        neighbors=compare_neighbors(
            nearest, [image.picture.image_id for image in gallery if "random" in image.groups], thumbnails
        ),
        words=count_words(results, {image_id: images[image_id].captions for image_id in results}),
    )


def _main_label(scores: Mapping[str, Path], hypotheses: Path, reranked: Path) -> str:
    """The row of `reranked`, or else the row of `hypotheses`: by what its artifact was made from."""
    made_from = {each.key: label for label, path in scores.items() for each in read_provenance(path).upstream.values()}
    for source in (reranked, hypotheses):
        label = made_from.get(read_provenance(source).key)
        if label is not None:
            return label
    raise ArtifactError(f"No score row is of the captions in {reranked} or {hypotheses}; give one that is.")


def _count_splits(
    images: Mapping[str, AnnotatedImage],
    features: FeatureFile,
    rejects: list[Reject],
    captions: Path,
    vocabulary: Vocabulary,
    hypotheses: Path,
) -> tuple[SplitCounts, ...]:
    rejected = {reject.image_id for reject in rejects}
    captioned: Counter[str] = Counter()
    for each in read_hypotheses(hypotheses):
        if each.image_id not in images:
            raise ArtifactError(f"{hypotheses} has captions of image {each.image_id}, which is not annotated.")
        captioned[images[each.image_id].split] += 1
    counts = []
    for split in EVERY_SPLIT:
        ids = [image.image_id for image in images.values() if image.split == split]
        if not ids:
            continue
        tokenized = read_captions(captions / "captions.h5", split, vocabulary)
        counts.append(
            SplitCounts(
                name=split,
                images=len(ids),
                with_features=sum(image_id in features for image_id in ids),
                rejected=sum(image_id in rejected for image_id in ids),
                captioned=captioned.get(split),
                captions=len(tokenized),
                words=len(tokenized.tokens),
                unknown_words=int(np.count_nonzero(tokenized.tokens == UNK)),
            )
        )
    return tuple(counts)


def _rejected_image(reject: Reject, images: Mapping[str, AnnotatedImage], thumbnails: Thumbnails) -> RejectedImage:
    image = images.get(reject.image_id)
    if image is None:
        raise ArtifactError(f"Image {reject.image_id} was rejected but is not annotated; run ExtractFeatures again.")
    return RejectedImage(
        thumbnails.picture(reject.image_id, REJECT_SIDE), image.file, image.split, reject.stage, reject.error
    )


def _read_problems(annotations: Path) -> tuple[str, ...]:
    path = annotations / "problems.txt"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); run PrepareAnnotations again.") from error
    return tuple(line for line in lines if line)


def _read_epochs(model: Path) -> tuple[Epoch, ...]:
    try:
        return tuple(
            Epoch(
                record["epoch"],
                record["cost"],
                record["train_perplexity"],
                record["val_perplexity"],
                record["val_cider"],
                record["score"],
            )
            for record in read_curve(model)
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"The training curve of {model} is damaged ({error!r}); run TrainModel again.") from error
