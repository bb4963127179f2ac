"""FineTuneBackbone: the last blocks of a backbone, trained jointly with the m-RNN."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model.backbones import load_backbone
from model.backbones.base import Backbone
from model.backbones.blocks import split_before_block
from model.backbones.images import CROPS
from model.backbones.spec import BackboneSpec
from model.mrnn.network import load_network
from model.training.config import FineTuneBackboneConfig
from model.training.fine_tuning import JointCrossEntropy
from model.training.history import TrainingData
from pipelines.engines.shards import ImageSource
from pipelines.features.images import ShardCounts, read_ahead
from pipelines.training.data import TrainingInputs
from pipelines.training.train_model import Report, fit_objective, write_trained_model
from schemas.annotations import read_annotations
from schemas.checkpoint import read_checkpoint, write_backbone
from schemas.errors import ConfigurationError, InputError
from schemas.features import FeatureDescription, FeatureFile, Reject, create_features
from schemas.provenance import read_provenance

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

    Activations of the frozen blocks are computed once and stored in `scratch`. It must run in a process of its own,
    because it changes the weights of the backbone that `load_backbone` caches.

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
    split = split_before_block(backbone.network.encoder, config.backbone.blocks)
    checkpoint = read_checkpoint(inputs.model)
    network = load_network(checkpoint.network)
    captions = [data.captions for data in inputs.training.read(config.fit.training.seed)]
    wanted = {image_id for of_split in captions for image_id in of_split.image_ids}
    images = [
        ImageSource(image.image_id, str(inputs.dataset_root / image.file))
        for image in read_annotations(inputs.annotations)
        if image.image_id in wanted
    ]
    rows = scratch / "lower.h5"
    if not rows.exists():
        threads = config.backbone.decode_threads
        _write_lower_rows(rows, images, backbone, split.frozen, extraction["crop"], threads, progress)
    train, val = (TrainingData(of_split, FeatureFile(rows).rows(of_split.image_ids)) for of_split in captions)
    objective = JointCrossEntropy(
        split,
        network,
        train,
        config.fit.training,
        config.backbone.backbone_learning_rate,
        config.cross_entropy.label_smoothing,
    )
    curve = fit_objective(directory, objective, checkpoint.vocabulary, val, config.fit, progress)
    write_backbone(directory, backbone.network.whole.save_weights)
    counts = write_trained_model(directory, network, checkpoint.vocabulary, train, curve)
    return {**counts, "backbone_parameters": sum(int(np.prod(variable.shape)) for variable in split.variables)}


def _write_lower_rows(
    path: Path,
    images: list[ImageSource],
    backbone: Backbone,
    lower: keras.Model,
    crop: str,
    decode_threads: int,
    progress: Report,
) -> None:
    """Write a feature file of activations at the split point, float32 (images, crops * size)."""
    assert backbone.network is not None
    preprocess, crops = backbone.network.preprocess, CROPS[crop]
    forward = tf.function(lambda pixels: lower(preprocess(pixels), training=False), reduce_retracing=True)
    dimension = crops * int(np.prod(lower.output_shape[1:]))
    description = FeatureDescription("lower", backbone.preprocessing, backbone.weights_digest, "")
    images_ahead = read_ahead(images, backbone.input_size, crop, decode_threads, 2 * BATCH_SIZE, ShardCounts())
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
