"""Training of the m-RNN: the paper's cost, Adam, early stopping on the CIDEr of generated validation captions."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from model.batches import Batch, training_batches
from model.decoding import BeamSearch, decode_images
from model.metrics import cider
from model.network import MRNN
from model.perplexity import of_nats, perplexity, word_losses
from model.training_state import load_state, save_state
from schemas.captions import Captions
from schemas.errors import TrainingError
from schemas.vocabulary import Vocabulary

NATS_PER_BIT = math.log(2.0)


def make_deterministic() -> None:
    """From here on TensorFlow computes the same bits in every run on the same machine; call it before anything else."""
    tf.config.experimental.enable_op_determinism()


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    weight_decay: lambda of the paper's cost; clip_norm: largest global norm of the gradient (0: no clipping);
    max_length: words a caption, longer ones are cut; patience: epochs without a better validation CIDEr before the
    end; learning_rate falls along a half cosine to a tenth over `epochs`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    clip_norm: float
    patience: int
    max_length: int
    beam_width: int
    seed: int


@dataclass(frozen=True)
class TrainingData:
    """Captions of a split and the features (images, D) in the order of `captions.image_ids`."""

    captions: Captions
    features: np.ndarray


@dataclass(frozen=True)
class EpochReport:
    """One line of the training curve. cost: bits a word plus weight decay; perplexities: 2 ** (bits a word)."""

    epoch: int
    cost: float
    train_perplexity: float
    val_perplexity: float
    val_cider: float
    distinct_captions: int
    words_per_second: float
    seconds: float


class Trainer:
    """Trains one network. `train` can be stopped at any moment and called again on the same state file."""

    def __init__(
        self, network: MRNN, vocabulary: Vocabulary, train: TrainingData, val: TrainingData, options: TrainingOptions
    ):
        """The network's feature scaling is set from the training images here."""
        self.network, self.vocabulary, self.options = network, vocabulary, options
        self.train_data, self.val_data = train, val
        self.steps_per_epoch = math.ceil(len(train.captions) / options.batch_size)
        schedule = keras.optimizers.schedules.CosineDecay(
            options.learning_rate, decay_steps=self.steps_per_epoch * options.epochs, alpha=0.1
        )
        self.optimizer = keras.optimizers.Adam(schedule, global_clipnorm=options.clip_norm or None)
        self.optimizer.build(network.trainable_variables)
        features = train.features.astype(np.float32)
        network.scaling.adapt(features.mean(axis=0), features.std(axis=0))
        self._search = BeamSearch(network, options.beam_width, options.max_length)
        self._step = self._compile_step()

    def train(self, state_path: Path, progress: Callable[[float, str], None]) -> list[EpochReport]:
        """Trains to the end and leaves the weights of the best epoch in the network; returns the curve.

        After each epoch everything that the next one depends on goes to `state_path` (weights, optimiser, dropout
        generators, curve, best weights): a run that is killed goes on from there and ends with the same bytes.

        Raises:
            TrainingError: the cost is no longer a number; the state of the last good epoch is kept.
        """
        variables = [*self.network.variables, *self.optimizer.variables]
        curve: list[EpochReport] = []
        best = [variable.numpy() for variable in self.network.variables]
        if state_path.exists():
            records, best = load_state(state_path, variables)
            curve = [EpochReport(**record) for record in records]
        while len(curve) < self.options.epochs and not self._out_of_patience(curve):
            report = self._epoch(len(curve), progress)
            if report.val_cider > max((past.val_cider for past in curve), default=-1.0):
                best = [variable.numpy() for variable in self.network.variables]
            curve.append(report)
            save_state(state_path, variables, best, [asdict(past) for past in curve])
        for variable, value in zip(self.network.variables, best, strict=True):
            variable.assign(value)
        return curve

    def _out_of_patience(self, curve: list[EpochReport]) -> bool:
        if not curve:
            return False
        best = max(range(len(curve)), key=lambda epoch: curve[epoch].val_cider)
        return len(curve) - 1 - best >= self.options.patience

    def _epoch(self, epoch: int, progress: Callable[[float, str], None]) -> EpochReport:
        options, started = self.options, time.monotonic()
        costs = nats = words = 0.0
        for step, batch in enumerate(self._batches(epoch), start=1):
            cost, batch_nats = self._step(*self._tensors(batch))
            costs, nats, words = costs + float(cost), nats + float(batch_nats), words + batch.words
            if not math.isfinite(costs):
                raise TrainingError(
                    f"The cost is {float(cost)} in step {step} of epoch {epoch + 1}; lower the learning rate or "
                    "clip_norm and train again."
                )
            if step % 20 == 0 or step == self.steps_per_epoch:
                rate = words / (time.monotonic() - started)
                done = (epoch + step / self.steps_per_epoch) / options.epochs
                progress(done, f"epoch {epoch + 1}: perplexity {of_nats(nats / words):.2f}, {rate:.0f} words/s")
        trained = time.monotonic()
        train_perplexity = of_nats(nats / words)
        val_perplexity = perplexity(self.network, self.val_data.captions, self.val_data.features, options.max_length)
        if not math.isfinite(train_perplexity + val_perplexity):
            raise TrainingError(
                f"After epoch {epoch + 1} the perplexity is {train_perplexity} in training and {val_perplexity} in "
                "validation; lower the learning rate or clip_norm and train again."
            )
        val_cider, distinct = self._validate()
        report = EpochReport(
            epoch=epoch + 1,
            cost=costs / self.steps_per_epoch,
            train_perplexity=train_perplexity,
            val_perplexity=val_perplexity,
            val_cider=val_cider,
            distinct_captions=distinct,
            words_per_second=words / (trained - started),
            seconds=time.monotonic() - started,
        )
        progress(
            (epoch + 1) / options.epochs,
            f"epoch {epoch + 1}: validation perplexity {report.val_perplexity:.2f}, CIDEr {val_cider:.3f}",
        )
        return report

    def _batches(self, epoch: int) -> Iterator[Batch]:
        options = self.options
        return training_batches(self.train_data.captions, options.batch_size, options.max_length, options.seed, epoch)

    def _tensors(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        features = self.train_data.features[batch.image_index].astype(np.float32)
        return tf.constant(batch.inputs), tf.constant(batch.targets), tf.constant(features)

    def _compile_step(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        network, optimizer, weight_decay = self.network, self.optimizer, self.options.weight_decay

        @tf.function(reduce_retracing=True)
        def step(inputs: tf.Tensor, targets: tf.Tensor, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """One step on the paper's cost; returns it and the summed -ln P of the batch's words."""
            with tf.GradientTape() as tape:
                losses = word_losses(network, inputs, targets, features, training=True)
                bits = tf.reduce_mean(losses) / NATS_PER_BIT
                squares = tf.add_n([tf.reduce_sum(tf.square(weight)) for weight in network.trainable_variables])
                cost = bits + weight_decay * squares
            gradients = tape.gradient(cost, network.trainable_variables)
            optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients], network.trainable_variables)
            return cost, tf.reduce_sum(losses)

        return step

    def _validate(self) -> tuple[float, int]:
        """CIDEr-D of generated validation captions in the vocabulary's own words, and how many captions differ."""
        captions, vocabulary = self.val_data.captions, self.vocabulary
        decoded = decode_images(self._search, self.val_data.features, batch_size=100)
        hypotheses = {
            image: " ".join(vocabulary.decode(found[0].tokens))
            for image, found in zip(captions.image_ids, decoded, strict=True)
        }
        references: dict[str, list[str]] = {image: [] for image in captions.image_ids}
        for index, owner in enumerate(captions.image_index):
            references[captions.image_ids[owner]].append(" ".join(vocabulary.decode(captions[index])))
        return cider(hypotheses, references), len(set(hypotheses.values()))
