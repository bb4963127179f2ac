"""Fine-tuning of the image network with the m-RNN: artifacts in, checkpoint and image network's weights out."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model.backbones import load_backbone
from model.backbones.base import Backbone
from model.backbones.blocks import split_before_block
from model.backbones.spec import BackboneSpec
from model.mrnn.network import load_network
from model.training.fine_tuning import FineTuner
from model.training.history import TrainingData, TrainingOptions
from pipelines.features.images import ImageSource, ShardCounts, read_ahead
from pipelines.training.data import read_training_data
from pipelines.training.train_model import write_trained_model
from schemas.annotations import read_annotations
from schemas.checkpoint import read_checkpoint, write_backbone
from schemas.errors import ConfigurationError, InputError
from schemas.features import FeatureDescription, FeatureFile, Reject, create_features
from schemas.provenance import read_provenance

BATCH_SIZE = 32  # images at a time below the cut

Progress = Callable[[float, str], None]


def fine_tune(
    directory: Path,
    scratch: Path,
    *,
    annotations: Path,
    dataset_root: Path,
    captions: Path,
    features: Path,
    model: Path,
    blocks: int,
    options: TrainingOptions,
    backbone_learning_rate: float,
    decode_threads: int,
    progress: Progress,
) -> dict[str, Any]:
    """Writes the tuned m-RNN's checkpoint and the image network's weights, for ExtractFeatures; returns counts.

    features: of ExtractFeatures; its parameters say which image network it was and how images become square, its rows
    which images can be read. model: the m-RNN that was trained on them. The other paths are artifacts too. What the
    blocks below the `blocks` uppermost ones make of the images never changes: it is computed once, and kept in
    `scratch`. To be run in a process of its own, for it changes the weights of the network that `load_backbone` keeps.

    Raises:
        ConfigurationError: the image network is a SavedModel, or has not so many blocks.
        InputError: an image cannot be read any longer.
    """
    made = read_provenance(features)
    extraction = {**made.parameters, **made.operational}  # of weights that are a file, the latter say where it is
    spec = BackboneSpec(
        extraction["backbone"], extraction["weights"], extraction["input_size"], pool=extraction["pool"]
    )
    backbone = load_backbone(spec)
    if backbone.network is None:
        raise ConfigurationError(
            f"{spec.name} has no accessible blocks to fine-tune; set backbone to an efficientnet-lite, vgg, alexnet or "
            "keras: network."
        )
    cut = split_before_block(backbone.network.encoder, blocks)
    checkpoint = read_checkpoint(model)
    network = load_network(checkpoint.network)
    of_split = {split: read_training_data(captions, features, split).captions for split in ("train", "val")}
    wanted = {image_id for each in of_split.values() for image_id in each.image_ids}
    images = [
        ImageSource(image.image_id, str(dataset_root / image.file))
        for image in read_annotations(annotations)
        if image.image_id in wanted
    ]
    rows = scratch / "lower.h5"
    if not rows.exists():
        _write_lower_rows(rows, images, backbone, cut.frozen, extraction["crop"], decode_threads, progress)
    train, val = (TrainingData(each, FeatureFile(rows).rows(each.image_ids)) for each in of_split.values())
    tuner = FineTuner(cut, network, checkpoint.vocabulary, train, val, options, backbone_learning_rate)
    curve = tuner.train(directory / "training" / "state.h5", progress)
    write_backbone(directory, backbone.network.whole.save_weights)
    counts = write_trained_model(directory, network, checkpoint.vocabulary, train, curve)
    return {**counts, "backbone_parameters": sum(int(np.prod(variable.shape)) for variable in cut.variables)}


def _write_lower_rows(
    path: Path,
    images: list[ImageSource],
    backbone: Backbone,
    lower: keras.Model,
    crop: str,
    decode_threads: int,
    progress: Progress,
) -> None:
    """A feature file of what lies at the cut: float32 (images, crops * numbers of a crop)."""
    assert backbone.network is not None
    preprocess, crops = backbone.network.preprocess, 10 if crop == "ten_crop" else 1
    forward = tf.function(lambda pixels: lower(preprocess(pixels), training=False), reduce_retracing=True)
    dimension = crops * int(np.prod(lower.output_shape[1:]))
    description = FeatureDescription("lower", backbone.preprocessing, backbone.weights_digest, "")
    pictures = read_ahead(images, backbone.input_size, crop, decode_threads, 2 * BATCH_SIZE, ShardCounts())
    with create_features(path, [image.image_id for image in images], dimension, "float32", description) as rows:
        start = 0
        while batch := [*islice(pictures, BATCH_SIZE)]:
            for source, pixels in batch:
                if isinstance(pixels, Reject):
                    raise InputError(f"{source.path} could be read before and cannot now ({pixels.error}); mend it.")
            computed = forward(tf.constant(np.concatenate([pixels for _, pixels in batch]))).numpy()
            rows[start : start + len(batch)] = computed.reshape(len(batch), dimension)
            start += len(batch)
            progress(0.0, f"{start} of {len(images)} images through the blocks that stay")
