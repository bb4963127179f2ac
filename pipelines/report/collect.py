"""Collection of the report's content from artifacts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from model.metrics.captions import compare_captions, score_systems
from pipelines.html.thumbnails import Thumbnails
from pipelines.report.data import (
    DatasetFacts,
    Epoch,
    FeatureFacts,
    ModelFacts,
    RejectedImage,
    ReportContents,
    ReportInputs,
    RerankingGain,
    ScoreRow,
    SplitCounts,
    StageEntry,
)
from pipelines.report.gallery import SEED, collect_gallery
from pipelines.report.neighbors import compare_neighbors
from pipelines.report.published_results import published_captions, published_retrieval
from pipelines.report.words import count_words
from schemas.annotations import EVERY_SPLIT, AnnotatedImage, read_annotations
from schemas.captions import read_captions
from schemas.checkpoint import read_checkpoint, read_curve
from schemas.errors import ArtifactError
from schemas.features import FeatureFile, Reject, read_rejects
from schemas.hypotheses import read_hypotheses
from schemas.neighbors import read_neighbors
from schemas.provenance import is_complete, read_provenance
from schemas.results import read_results
from schemas.scores import read_caption_scores, read_retrieval_scores
from schemas.vocabulary import UNK, Vocabulary


def walk_stages(directories: Iterable[Path]) -> tuple[StageEntry, ...]:
    """List the artifacts in `directories` and everything upstream of them, each after its inputs.

    An upstream artifact that was not given is looked up at `<data_dir>/<dataset>/<stage>/<key>`; one that has been
    deleted becomes an entry without provenance.

    Args:
        directories: Complete artifacts.

    Raises:
        ArtifactError: One of `directories` is not a complete artifact.
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


SHOWN_REJECTS = 100  # the artifact has all of them
REJECT_SIDE = 128  # pixels


def collect_contents(inputs: ReportInputs) -> ReportContents:
    """Read the content of the report from the artifacts of a run.

    Args:
        inputs: The artifacts.

    Raises:
        ArtifactError: An artifact is missing or corrupted, or the artifacts do not belong together.
    """
    images = {image.image_id: image for image in read_annotations(inputs.annotations)}
    thumbnails = Thumbnails(inputs.image_root, images)
    neighbors = {kind: read_neighbors(inputs.neighbors[kind] / "neighbors.h5") for kind in ("original", "refined")}
    rejects = read_rejects(inputs.features)
    checkpoint = read_checkpoint(inputs.model)
    rows = tuple(
        ScoreRow(label, read_provenance(directory).key, read_caption_scores(directory))
        for label, directory in inputs.scores.items()
    )
    main = _main_label(inputs)
    feature_file = FeatureFile(inputs.features / "features.h5")
    splits = _count_splits(images, feature_file, rejects, inputs, checkpoint.vocabulary)
    feature_facts = FeatureFacts(
        feature_file.description,
        len(feature_file.image_ids),
        feature_file.dimension,
        str(feature_file.features.dtype),
    )
    reranking = next(row.scores.reranking for row in rows if row.label == main) or {}
    gallery = collect_gallery(images, thumbnails, main, inputs, neighbors.get(str(reranking.get("features"))))
    results = read_results(inputs.scores[main] / "results.json")
    dataset, name = inputs.dataset, read_provenance(inputs.annotations).dataset
    return ReportContents(
        title=inputs.title,
        note=inputs.note,
        dataset=DatasetFacts(name, dataset.title, dataset.homepage, dataset.license, dataset.citation),
        splits=splits,
        problems=_read_problems(inputs.annotations),
        rejects=len(rejects),
        rejected=tuple(_rejected_image(reject, images, thumbnails) for reject in rejects[:SHOWN_REJECTS]),
        features=feature_facts,
        model=ModelFacts(checkpoint.config, len(checkpoint.vocabulary), read_provenance(inputs.model)),
        curve=_read_epochs(inputs.model),
        stages=walk_stages(_artifacts(inputs)),
        rows=rows,
        main_label=main,
        gain=_reranking_gain(inputs, images),
        published=published_captions(name),
        retrieval=read_retrieval_scores(inputs.retrieval),
        published_retrieval=published_retrieval(name),
        gallery=gallery,
        gallery_seed=SEED,
        neighbors=compare_neighbors(
            neighbors, [image.thumbnail.image_id for image in gallery if "random" in image.groups], thumbnails
        ),
        words=count_words(results, {image_id: images[image_id].captions for image_id in results}),
    )


def _reranking_gain(inputs: ReportInputs, images: Mapping[str, AnnotatedImage]) -> RerankingGain | None:
    if inputs.claim is None:
        return None
    systems = {label: read_results(inputs.scores[label] / "results.json") for label in inputs.claim}
    label, baseline = inputs.claim
    scores = score_systems(systems, {image_id: images[image_id].captions for image_id in systems[label]})
    return RerankingGain(label, baseline, compare_captions(scores[label], scores[baseline]))


def _artifacts(inputs: ReportInputs) -> list[Path]:
    single = (inputs.annotations, inputs.captions, inputs.features, inputs.model, inputs.hypotheses, inputs.reranked)
    return [*single, *inputs.neighbors.values(), *inputs.scores.values(), inputs.retrieval]


def _main_label(inputs: ReportInputs) -> str:
    """Return the label of the row that scores the reranked captions or, without one, the beam search."""
    labels = {
        upstream.key: label
        for label, path in inputs.scores.items()
        for upstream in read_provenance(path).upstream.values()
    }
    for source in (inputs.reranked, inputs.hypotheses):
        label = labels.get(read_provenance(source).key)
        if label is not None:
            return label
    raise ArtifactError(
        f"No score row belongs to the captions in {inputs.reranked} or {inputs.hypotheses}; add one of them."
    )


def _count_splits(
    images: Mapping[str, AnnotatedImage],
    features: FeatureFile,
    rejects: list[Reject],
    inputs: ReportInputs,
    vocabulary: Vocabulary,
) -> tuple[SplitCounts, ...]:
    rejected = {reject.image_id for reject in rejects}
    captioned: Counter[str] = Counter()
    for each in read_hypotheses(inputs.hypotheses):
        if each.image_id not in images:
            raise ArtifactError(f"{inputs.hypotheses} has captions of image {each.image_id}, which is not annotated.")
        captioned[images[each.image_id].split] += 1
    counts = []
    for split in EVERY_SPLIT:
        ids = [image.image_id for image in images.values() if image.split == split]
        if not ids:
            continue
        tokenized = read_captions(inputs.captions / "captions.h5", split, vocabulary)
        counts.append(
            SplitCounts(
                name=split,
                images=len(ids),
                with_features=sum(image_id in features for image_id in ids),
                rejected=sum(image_id in rejected for image_id in ids),
                captioned=captioned.get(split),
                captions=len(tokenized),
                tokens=len(tokenized.tokens),
                unknown_tokens=int(np.count_nonzero(tokenized.tokens == UNK)),
            )
        )
    return tuple(counts)


def _rejected_image(reject: Reject, images: Mapping[str, AnnotatedImage], thumbnails: Thumbnails) -> RejectedImage:
    image = images.get(reject.image_id)
    if image is None:
        raise ArtifactError(f"Image {reject.image_id} was rejected but is not annotated; run ExtractFeatures again.")
    return RejectedImage(
        thumbnails.thumbnail(reject.image_id, REJECT_SIDE), image.file, image.split, reject.stage, reject.error
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
                record["loss"],
                record["train_perplexity"],
                record["val_perplexity"],
                record["val_cider"],
                record["score"],
            )
            for record in read_curve(model)
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"The training curve of {model} is corrupted ({error!r}); run TrainModel again.") from error
