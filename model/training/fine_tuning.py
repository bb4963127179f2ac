"""Joint training of the last blocks of a backbone and the m-RNN, from images (the authors' open TODO)."""

import math
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.backbones.blocks import SplitModel
from model.mrnn.batching import all_captions, collate, image_batches
from model.mrnn.network import MRNN
from model.training.config import TrainingConfig
from model.training.distribution import Replicas
from model.training.history import TrainingData
from model.training.objective import Objective, StepInputs, cross_entropy
from schemas.features import FeatureRows


class JointCrossEntropy(Objective):
    """Cross-entropy as a function of the weights of both networks; batches are images, each with all its captions.

    Every image is in one batch of an epoch. The features of `data` are the activations at the split point.
    """

    remedy = "lower backbone_learning_rate, learning_rate or clip_norm and run it again"

    def __init__(
        self,
        backbone: SplitModel,
        network: MRNN,
        data: TrainingData,
        config: TrainingConfig,
        backbone_learning_rate: float,
        label_smoothing: float = 0.0,
        views: NDArray[np.floating] | FeatureRows | None = None,
    ):
        """Both networks have the weights to start from, and the m-RNN the feature scaling that it was trained with.

        Args:
            backbone: The backbone, split below the blocks that are trained.
            network: The m-RNN.
            data: Captions, and rows of activations at the split point, float32 (images, crops * size).
            config: See `Objective`; the batch size is a number of images.
            backbone_learning_rate: Peak learning rate of the backbone.
            label_smoothing: See `cross_entropy`.
            views: Rows like those of `data`, of V augmented views of each image side by side, (images, V * L); each
                epoch draws one of them or the image itself.
        """
        super().__init__(network, data, config)
        self.label_smoothing = label_smoothing
        self.backbone, self.backbone_learning_rate = backbone, backbone_learning_rate
        self._views = views
        self._captions_of = data.captions.by_image
        self._forward = tf.function(self._mean_over_crops, autograph=False, reduce_retracing=True)

    @property
    def weight_groups(self) -> list[list[keras.Variable]]:
        """Weights of the m-RNN and of the backbone."""
        return [*super().weight_groups, self.backbone.variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """Variables of both networks."""
        return [*super().variables, *self.backbone.variables]

    def peak_learning_rates(self, learning_rate: float) -> list[float]:
        """Return the peak learning rates of the m-RNN and of the backbone."""
        return [learning_rate, self.backbone_learning_rate]

    def image_features(self, features: NDArray[np.floating] | FeatureRows) -> NDArray[np.float32]:
        """Compute the current features float32 (n, D) from activations at the split point (n, L)."""
        size = self.config.batch_size
        return np.concatenate(
            [
                self._forward(tf.constant(features[start : start + size])).numpy()
                for start in range(0, len(features), size)
            ]
        )

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches of an epoch."""
        return math.ceil(len(self.data.captions.image_ids) / self.config.batch_size)

    def batches(self, epoch: int) -> Iterator[tuple[NDArray[np.integer], NDArray[np.integer]]]:
        """Yield batches of image indices (B,), and the view of each (B,), from 1; 0 is the image itself."""
        images = np.arange(len(self.data.captions.image_ids))
        views = 0 if self._views is None else self._views.shape[1] // self.data.features.shape[1]
        drawn = np.random.default_rng([self.config.seed, epoch, 1]).integers(views + 1, size=len(images))
        for batch in image_batches(images, self.config.batch_size, np.random.default_rng([self.config.seed, epoch])):
            yield batch, drawn[batch]

    def step_inputs(self, batch: tuple[NDArray[np.integer], NDArray[np.integer]], replicas: Replicas) -> StepInputs:
        """Return activations of the images, inputs, targets and image positions of all captions, and their tokens."""
        images, views = batch
        rows = self.data.features[images]
        if self._views is not None:
            choices = np.concatenate([rows, self._views[images]], axis=1).reshape(len(images), -1, rows.shape[1])
            rows = choices[np.arange(len(images)), views]
        chosen, owners = all_captions(self._captions_of, images)
        captions = collate(self.data.captions, chosen, self.config.max_length)
        arrays = (rows, captions.inputs, captions.targets, owners, np.float32(captions.tokens))
        return StepInputs(tuple(map(tf.constant, arrays)), captions.tokens)

    def loss(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the loss of the tensors of `step_inputs`."""
        rows, inputs, targets, owners, tokens = tensors
        features = tf.gather(self._mean_over_crops(rows), owners)
        return cross_entropy(self.network, inputs, targets, features, tokens, self.label_smoothing)

    def _mean_over_crops(self, rows: tf.Tensor) -> tf.Tensor:
        """Compute features (n, D) from activations float32 (n, L), averaged over crops as in feature extraction."""
        trainable = self.backbone.trainable
        of_crops = trainable(tf.reshape(rows, [-1, *trainable.input_shape[1:]]), training=False)
        return tf.reduce_mean(tf.reshape(of_crops, [tf.shape(rows)[0], -1, of_crops.shape[-1]]), axis=1)
