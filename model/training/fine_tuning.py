"""Training of the image network's upper blocks together with the m-RNN, from images (the authors' open TODO)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import tensorflow as tf

from model.backbones.blocks import SplitModel
from model.mrnn.batching import all_captions, collate, image_batches
from model.mrnn.likelihood import losses_and_logits
from model.mrnn.network import MRNN
from model.training.history import TrainingData, TrainingOptions
from model.training.optimizers import make_optimizer
from model.training.trainer import NATS_PER_BIT, Trainer
from schemas.features import FeatureRows
from schemas.vocabulary import Vocabulary


class FineTuner(Trainer):
    """A `Trainer` of both networks; its batches are images, each with all its captions, every image once an epoch.

    Each network has an optimizer and a learning rate of its own, which go by the same schedule.
    """

    remedy = "lower backbone_learning_rate, learning_rate or clip_norm and run it again."

    def __init__(
        self,
        image_network: SplitModel,
        network: MRNN,
        vocabulary: Vocabulary,
        train: TrainingData,
        val: TrainingData,
        options: TrainingOptions,
        backbone_learning_rate: float,
    ):
        """Both networks have the weights to start from; the data's features are what lies at the cut.

        backbone_learning_rate: of the image network at its peak. Of the options, label_smoothing, scheduled_sampling
        and xla do not count, weight_decay only as AdamW's, and it and average for the m-RNN alone.

        Raises:
            ConfigurationError: an option names what is not there.
        """
        self.image_network = image_network
        self._captions_of = train.captions.by_image
        self._upper = tf.function(self._mean_over_crops, reduce_retracing=True)
        self._backbone_optimizer = make_optimizer(options.optimizer, options.clip_norm, 0.0, 0.0)
        self._backbone_optimizer.build(image_network.variables)
        super().__init__(network, vocabulary, train, val, options)
        self._backbone_rate = replace(self.learning_rate, peak=backbone_learning_rate)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.train_data.captions.image_ids) / self.options.batch_size)

    def features(self, rows: np.ndarray | FeatureRows) -> np.ndarray:
        """Rows of what lies at the cut (n, L) -> float32 (n, D), the features as the image network gives them now."""
        size = self.options.batch_size
        return np.concatenate(
            [self._upper(tf.constant(rows[start : start + size])).numpy() for start in range(0, len(rows), size)]
        )

    @property
    def _trained(self) -> list:
        return [*super()._trained, *self.image_network.variables]

    @property
    def _variables(self) -> list:
        return [*super()._variables, *self._backbone_optimizer.variables]

    def _scale_features(self) -> None:
        """Nothing: the network has the scaling that it was trained with."""

    def _val_features(self) -> np.ndarray:
        return self.features(self.val_data.features)

    def _batches(self, epoch: int) -> Iterator[np.ndarray]:
        """Image numbers (B,)."""
        images = np.arange(len(self.train_data.captions.image_ids))
        yield from image_batches(images, self.options.batch_size, np.random.default_rng([self.options.seed, epoch]))

    def _set_learning_rate(self, step: int, scores: list[float]) -> None:
        super()._set_learning_rate(step, scores)
        self._backbone_optimizer.learning_rate.assign(self._backbone_rate.at(step, scores))

    def _learn(self, batch: np.ndarray) -> tuple[float, float, int]:
        data = self.train_data
        chosen, owners = all_captions(self._captions_of, batch)
        captions = collate(data.captions, chosen, self.options.max_length)
        tensors = (data.features[batch], captions.inputs, captions.targets, owners)
        cost, nats = self._step(*map(tf.constant, tensors))
        return float(cost), float(nats), captions.words

    def _mean_over_crops(self, rows: tf.Tensor) -> tf.Tensor:
        """float32 (n, L) -> features (n, D); the mean over an image's crops, as extraction has it."""
        trainable = self.image_network.trainable
        of_crops = trainable(tf.reshape(rows, [-1, *trainable.input_shape[1:]]), training=False)
        return tf.reduce_mean(tf.reshape(of_crops, [tf.shape(rows)[0], -1, of_crops.shape[-1]]), axis=1)

    def _compile_step(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        network = self.network
        groups = (network.trainable_variables, self.image_network.variables)
        optimizers = (self.optimizer, self._backbone_optimizer)

        @tf.function(reduce_retracing=True)
        def step(
            rows: tf.Tensor, inputs: tf.Tensor, targets: tf.Tensor, owners: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            """One step on the captions' mean bits a word; returns them and the summed -ln P of the words."""
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                for variables in groups:
                    tape.watch([variable.value for variable in variables])
                features = tf.gather(self._mean_over_crops(rows), owners)
                losses, _ = losses_and_logits(network, inputs, targets, features, training=True)
                cost = tf.reduce_mean(losses) / NATS_PER_BIT
            for optimizer, variables, gradients in zip(optimizers, groups, tape.gradient(cost, groups), strict=True):
                optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients], variables)
            return cost, tf.reduce_sum(losses)

        return step
