"""FineTuneBackbone: the last blocks of a backbone, trained jointly with the m-RNN."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from model.backbones import load_backbone
from model.backbones.augmentation import augment, can_be_mirrored
from model.backbones.base import Backbone
from model.backbones.images import CROPS, cut_crops
from model.backbones.spec import BackboneSpec
from model.mrnn.network import load_network
from model.training.config import FineTuneBackboneConfig
from model.training.fine_tuning import JointCrossEntropy
from model.training.history import TrainingData
from pipelines.engines.shards import ImageSource
from pipelines.features.images import Cut, ShardCounts, read_ahead
from pipelines.training.data import TrainingInputs
from pipelines.training.train_model import Report, fit_objective, write_trained_model
from schemas.annotations import read_annotations
from schemas.captions import Captions
from schemas.checkpoint import read_checkpoint, write_backbone
from schemas.errors import ConfigurationError, InputError
from schemas.features import FeatureDescription, FeatureFile, Reject, create_features
from schemas.provenance import read_provenance
from schemas.vocabulary import Vocabulary

BATCH_SIZE = 32  # images per batch of the frozen blocks


@dataclass(frozen=True)
class FineTuningInputs:
    """Artifacts that fine-tuning reads.

    Attributes:
        annotations: Artifact of PrepareAnnotations.
        dataset_root: Directory of the image files.
        training: Captions, and the features of ExtractFeatures. The parameters of the latter select the backbone and
            the crops, its rows the images that can be read.
        model: Artifact of the m-RNN that was trained on these features.
    """

    annotations: Path
    dataset_root: Path
    training: TrainingInputs
    model: Path


def fine_tune(
    directory: Path, scratch: Path, inputs: FineTuningInputs, config: FineTuneBackboneConfig, progress: Report
) -> dict[str, Any]:
    """Fine-tune m-RNN and backbone; write the m-RNN's checkpoint, and the backbone's weights for feature extraction.

    Activations of the frozen blocks, also of augmented views, are computed once and stored in `scratch`. It must run in
    a process of its own, because it changes the weights of the backbone that `load_backbone` caches.

    Args:
        directory: Directory of the artifact.
        scratch: Directory for the activations.
        inputs: Artifacts to read.
        config: Options.
        progress: Called with a fraction and a message.

    Returns:
        Counts for the provenance.

    Raises:
        ConfigurationError: The backbone is a SavedModel, or has fewer blocks.
        InputError: An image has become unreadable.
        TrainingError: Training diverged.
    """
    made = read_provenance(inputs.training.features)
    extraction = {**made.parameters, **made.operational}  # the latter contain the location of a weights file
    spec = BackboneSpec(
        extraction["backbone"], extraction["weights"], extraction["input_size"], pool=extraction["pool"]
    )
    backbone = load_backbone(spec)
    if backbone.network is None:
        raise ConfigurationError(
            f"{spec.name} has no accessible blocks to fine-tune; set backbone to an efficientnet-lite, vgg, alexnet or "
            "keras: network."
        )
    split = backbone.network.split(config.backbone.blocks)
    checkpoint = read_checkpoint(inputs.model)
    network = load_network(checkpoint.network)
    captions = [data.captions for data in inputs.training.read(config.fit.training.seed)]
    wanted = {image_id for of_split in captions for image_id in of_split.image_ids}
    images = [
        ImageSource(image.image_id, str(inputs.dataset_root / image.file))
        for image in read_annotations(inputs.annotations)
        if image.image_id in wanted
    ]
    crop, threads = extraction["crop"], config.backbone.decode_threads

    def cut(_: ImageSource, image: Image.Image) -> NDArray[np.uint8]:
        return cut_crops(image, backbone.input_size, crop)

    rows = scratch / "lower.h5"
    if not rows.exists():
        _write_lower_rows(rows, images, backbone, split.frozen, cut, CROPS[crop], threads, progress)
    train, val = (TrainingData(of_split, FeatureFile(rows).rows(of_split.image_ids)) for of_split in captions)
    views = None
    if count := config.backbone.augmented_views:
        file = scratch / "views.h5"
        if not file.exists():
            of_training, cut_views = _views(train.captions, checkpoint.vocabulary, images, count, cut)
            _write_lower_rows(
                file, of_training, backbone, split.frozen, cut_views, count * CROPS[crop], threads, progress
            )
        views = FeatureFile(file).rows(train.captions.image_ids)
    objective = JointCrossEntropy(
        split,
        network,
        train,
        config.fit.training,
        config.backbone.backbone_learning_rate,
        config.cross_entropy.label_smoothing,
        views,
    )
    curve = fit_objective(directory, objective, checkpoint.vocabulary, val, config.fit, progress)
    write_backbone(directory, backbone.network.save_weights)
    counts = write_trained_model(directory, network, checkpoint.vocabulary, train, curve)
    return {**counts, "backbone_parameters": sum(int(np.prod(variable.shape)) for variable in split.variables)}


def _views(
    captions: Captions, vocabulary: Vocabulary, images: list[ImageSource], count: int, cut: Cut
) -> tuple[list[ImageSource], Cut]:
    """Return the training images and the function that cuts the crops of `count` views, the same in every run."""
    position = {image_id: place for place, image_id in enumerate(captions.image_ids)}
    captions_of = captions.by_image

    def cut_views(source: ImageSource, image: Image.Image) -> NDArray[np.uint8]:
        place = position[source.image_id]
        random = np.random.default_rng(place)
        mirror = can_be_mirrored(vocabulary.decode(captions[own]) for own in captions_of[place])
        return np.concatenate([cut(source, augment(image, random, mirror)) for _ in range(count)])

    return [image for image in images if image.image_id in position], cut_views


def _write_lower_rows(
    path: Path,
    images: list[ImageSource],
    backbone: Backbone,
    lower: keras.Model,
    cut: Cut,
    crops: int,
    decode_threads: int,
    progress: Report,
) -> None:
    """Write a feature file of activations at the split point, float32 (images, crops * size)."""
    assert backbone.network is not None
    preprocess = backbone.network.preprocess
    forward = tf.function(lambda pixels: lower(preprocess(pixels), training=False), reduce_retracing=True)
    dimension = crops * int(np.prod(lower.output_shape[1:]))
    description = FeatureDescription("lower", backbone.preprocessing, backbone.weights_digest, "")
    images_ahead = read_ahead(images, cut, decode_threads, 2 * BATCH_SIZE, ShardCounts())
    with create_features(path, [image.image_id for image in images], dimension, "float32", description) as rows:
        start = 0
        while batch := [*islice(images_ahead, BATCH_SIZE)]:
            for source, pixels in batch:
                if isinstance(pixels, Reject):
                    raise InputError(f"{source.path} was readable before and is not now ({pixels.error}); restore it.")
            computed = forward(tf.constant(np.concatenate([pixels for _, pixels in batch]))).numpy()
            rows[start : start + len(batch)] = computed.reshape(len(batch), dimension)
            start += len(batch)
            progress(0.0, f"{start} of {len(images)} images through the frozen blocks")
