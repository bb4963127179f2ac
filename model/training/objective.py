"""Objectives of training: the loss of a step, and the batches that it is computed on."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.mrnn.batching import Batch, training_batches
from model.mrnn.likelihood import losses_and_logits
from model.mrnn.network import MRNN
from model.training.config import TrainingConfig
from model.training.distribution import Replicas
from model.training.history import TrainingData
from schemas.features import FeatureRows

NATS_PER_BIT = math.log(2.0)


@dataclass(frozen=True)
class StepInputs:
    """Inputs of one training step.

    Attributes:
        tensors: Arguments of `Objective.loss`, distributed to the replicas.
        tokens: Number of tokens whose likelihood the step measures.
        loss: Loss to report in place of that of `Objective.loss`, if it is another.
    """

    tensors: Any
    tokens: int
    loss: float | None = None


class Objective(ABC):
    """Loss that `model.training.trainer.fit` minimizes, and its batches.

    Attributes:
        network: The m-RNN that is trained.
        data: Training captions and features.
        config: Batch size, maximum length and seed.
        can_shard: Whether batches can be sharded across several replicas.
        remedy: Advice for the user if training diverges.
    """

    can_shard = False
    remedy = "lower learning_rate or clip_norm and train again"

    def __init__(self, network: MRNN, data: TrainingData, config: TrainingConfig):
        """Store the inputs.

        Args:
            network: The m-RNN, whose feature scaling is set already.
            data: Training captions and features.
            config: Batch size, maximum length and seed.
        """
        self.network, self.data, self.config = network, data, config

    @property
    def weight_groups(self) -> list[list[keras.Variable]]:
        """Trained weights; each group has an optimizer of its own."""
        return [self.network.trainable_variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """Variables that training changes, without those of optimizers: weights, and states of dropout generators."""
        return [*self.network.variables]

    def peak_learning_rates(self, learning_rate: float) -> list[float]:
        """Return the peak learning rate of each group, given that of the m-RNN."""
        return [learning_rate]

    def image_features(self, features: NDArray[np.floating] | FeatureRows) -> NDArray[np.floating] | FeatureRows:
        """Convert stored features (images, ...) to the m-RNN's input (images, D), for validation."""
        return features

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Number of batches of an epoch."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[Any]:
        """Yield the batches of an epoch, counted from 0, in an order that depends on seed and epoch alone."""

    @abstractmethod
    def step_inputs(self, batch: Any, replicas: Replicas) -> StepInputs:
        """Return the inputs of the step on a batch, distributed to the replicas."""

    @abstractmethod
    def loss(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute a replica's part of the loss, and of the negative log-likelihood of the batch's tokens in nats."""


class CrossEntropy(Objective):
    """The paper's loss: mean negative log-likelihood in bits per token, every caption once an epoch.

    On n replicas, replica k computes on captions k, k + n, ... of a batch and divides by the token count of the global
    batch, so that the sum over replicas is the loss on one device, up to rounding.
    """

    can_shard = True

    def __init__(
        self,
        network: MRNN,
        data: TrainingData,
        config: TrainingConfig,
        label_smoothing: float = 0.0,
    ):
        """Store the inputs; see `Objective` and `cross_entropy`."""
        super().__init__(network, data, config)
        self.label_smoothing = label_smoothing

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches of an epoch."""
        return math.ceil(len(self.data.captions) / self.config.batch_size)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield batches of captions of similar length."""
        config = self.config
        return training_batches(self.data.captions, config.batch_size, config.max_length, config.seed, epoch)

    def step_inputs(self, batch: Batch, replicas: Replicas) -> StepInputs:
        """Return inputs, targets, features and the number of tokens of a batch."""

        def shard(replica: int, count: int) -> tuple[tf.Tensor, ...]:
            own = batch.shard(replica, count)
            features = self.data.features[own.image_index].astype(np.float32)
            return tuple(map(tf.constant, (own.inputs, own.targets, features, np.float32(batch.tokens))))

        return StepInputs(replicas.distribute(shard), batch.tokens)

    def loss(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the loss of inputs and targets int32 (B, T), features (B, D) and the global token count."""
        inputs, targets, features, tokens = tensors
        return cross_entropy(self.network, inputs, targets, features, tokens, self.label_smoothing)


def cross_entropy(
    network: MRNN,
    inputs: tf.Tensor,
    targets: tf.Tensor,
    features: tf.Tensor,
    tokens: tf.Tensor,
    label_smoothing: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the cross-entropy in bits per token, with label smoothing, and the negative log-likelihood in nats.

    Args:
        network: The m-RNN, in training mode.
        inputs: int32 (B, T), see `Batch`.
        targets: int32 (B, T), see `Batch`.
        features: float32 (B, D), of the image of each caption.
        tokens: Number of tokens to divide by.
        label_smoothing: Fraction of the target probability that is spread over the vocabulary.
    """
    losses, logits = losses_and_logits(network, inputs, targets, features, training=True)
    nats = tf.reduce_sum(losses)
    loss = nats / tokens / NATS_PER_BIT
    if label_smoothing:
        uniform = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_mean(logits, axis=1)
        loss = (1.0 - label_smoothing) * loss + label_smoothing * tf.reduce_sum(uniform) / tokens / NATS_PER_BIT
    return loss, nats
