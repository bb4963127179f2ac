"""Training of the image network's upper blocks together with the m-RNN, from images (the authors' open TODO)."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from model.batches import all_captions, make_batch
from model.decoding import BeamSearch
from model.image_blocks import CutNetwork
from model.network import MRNN
from model.optimisation import LearningRate, make_optimiser
from model.perplexity import losses_and_logits, of_nats, perplexity
from model.training import NATS_PER_BIT
from model.training_records import EpochReport, TrainingData, out_of_patience
from model.training_state import load_state, save_state
from model.validation import generated_cider
from schemas.errors import ConfigurationError, TrainingError
from schemas.feature_rows import FeatureRows
from schemas.vocabulary import Vocabulary

REMEDY = "lower backbone_learning_rate, learning_rate or clip_norm and run it again."


@dataclass(frozen=True)
class FineTuningOptions:
    """How to fine-tune.

    batch_size: images a batch, each with all its captions; learning_rate, backbone_learning_rate: of the m-RNN and of
    the image network at their peak, to which they rise in `warmup_steps`, and from which they fall along half a cosine
    to a tenth; the others are those of `TrainingOptions`.
    """

    epochs: int
    batch_size: int
    optimiser: str
    learning_rate: float
    backbone_learning_rate: float
    warmup_steps: int
    clip_norm: float
    select_by: str
    patience: int
    max_length: int
    beam_width: int
    seed: int


class FineTuner:
    """Trains both networks on the m-RNN's cost. `train` can be stopped at any moment and called again."""

    def __init__(
        self,
        image_network: CutNetwork,
        network: MRNN,
        vocabulary: Vocabulary,
        train: TrainingData,
        val: TrainingData,
        options: FineTuningOptions,
    ):
        """Both networks have the weights to start from; the data's features are what lies at the cut, see `lower_rows`.

        Raises:
            ConfigurationError: an option names what is not there.
        """
        if options.select_by not in ("cider", "perplexity"):
            raise ConfigurationError(f"Epochs are not selected by {options.select_by!r}; choose cider or perplexity.")
        self.image_network, self.network, self.vocabulary = image_network, network, vocabulary
        self.train_data, self.val_data, self.options = train, val, options
        self.steps_per_epoch = math.ceil(len(train.captions.image_ids) / options.batch_size)
        self._schedule = LearningRate(
            "cosine", 1.0, self.steps_per_epoch * options.epochs, options.warmup_steps, 1.0, 0, 1
        )
        self._groups = (network.trainable_variables, image_network.variables)
        self._optimisers = [make_optimiser(options.optimiser, options.clip_norm, 0.0, 0.0) for _ in self._groups]
        for optimiser, variables in zip(self._optimisers, self._groups, strict=True):
            optimiser.build(variables)
        self._search = BeamSearch(network, options.beam_width, options.max_length)
        self._upper = tf.function(self._mean_over_crops, reduce_retracing=True)
        self._step = self._compile_step()
        self._captions_of = train.captions.by_image

    def train(self, state_path: Path, progress: Callable[[float, str], None]) -> list[EpochReport]:
        """Trains to the end and leaves the weights of the best epoch in both networks; returns the curve.

        After each epoch all that the next one depends on goes to `state_path`: a run that is killed goes on from there
        and ends with the same bytes.

        Raises:
            TrainingError: the cost, the perplexity or a weight is no longer a number; the last good state is kept.
        """
        curve: list[EpochReport] = []
        best = [variable.numpy() for variable in self._weights]
        if state_path.exists():
            record, best = load_state(state_path, self._variables)
            curve = [EpochReport(**epoch) for epoch in record["curve"]]
        while len(curve) < self.options.epochs and not out_of_patience(curve, self.options.patience):
            report = self._train_epoch(curve, progress)
            if report.score > max((past.score for past in curve), default=-math.inf):
                best = [variable.numpy() for variable in self._weights]
            curve.append(report)
            save_state(state_path, self._variables, best, {"curve": [asdict(past) for past in curve]})
        for variable, value in zip(self._weights, best, strict=True):
            variable.assign(value)
        return curve

    def features(self, rows: np.ndarray | FeatureRows) -> np.ndarray:
        """Rows of what lies at the cut (n, L) -> float32 (n, D), the features as the image network gives them now."""
        size = self.options.batch_size
        return np.concatenate(
            [self._upper(tf.constant(rows[start : start + size])).numpy() for start in range(0, len(rows), size)]
        )

    @property
    def _weights(self) -> list:
        return [*self.network.variables, *self.image_network.variables]

    @property
    def _variables(self) -> list:
        return [*self._weights, *(variable for optimiser in self._optimisers for variable in optimiser.variables)]

    def _refuse_broken_weights(self, epoch: int) -> None:
        """A step with a finite cost may have left infinite weights, such as below a tanh that is at its end."""
        for variable in self._weights:
            if not np.isfinite(variable.numpy()).all():
                raise TrainingError(f"After epoch {epoch} the weights {variable.path} are no longer numbers; {REMEDY}")

    def _train_epoch(self, curve: list[EpochReport], progress: Callable[[float, str], None]) -> EpochReport:
        """One epoch, in which every image comes once, in an order that depends on seed and epoch alone."""
        options, data, epoch, started = self.options, self.train_data, len(curve), time.monotonic()
        order = np.random.default_rng([options.seed, epoch]).permutation(len(data.captions.image_ids))
        costs = nats = words = 0.0
        for number in range(self.steps_per_epoch):
            images = order[number * options.batch_size :][: options.batch_size]
            chosen, owners = all_captions(self._captions_of, images)
            batch = make_batch(data.captions, chosen, options.max_length)
            share = self._schedule.at(epoch * self.steps_per_epoch + number, [])
            rates = (options.learning_rate, options.backbone_learning_rate)
            for optimiser, rate in zip(self._optimisers, rates, strict=True):
                optimiser.learning_rate.assign(share * rate)
            tensors = (data.features[images], batch.inputs, batch.targets, owners)
            cost, of_batch = (float(value) for value in self._step(*map(tf.constant, tensors)))
            if not math.isfinite(cost):
                raise TrainingError(f"The cost is {cost} in step {number + 1} of epoch {epoch + 1}; {REMEDY}")
            costs, nats, words = costs + cost, nats + of_batch, words + batch.words
            progress(
                (epoch + (number + 1) / self.steps_per_epoch) / options.epochs,
                f"epoch {epoch + 1}: cost {costs / (number + 1):.3f}, perplexity {of_nats(nats / words):.2f}",
            )
        trained = time.monotonic() - started
        self._refuse_broken_weights(epoch + 1)
        val_perplexity, val_cider, distinct = self.validate()
        progress(
            (epoch + 1) / options.epochs,
            f"epoch {epoch + 1}: validation perplexity {val_perplexity:.2f}, CIDEr {val_cider:.3f}",
        )
        return EpochReport(
            epoch=epoch + 1,
            cost=costs / self.steps_per_epoch,
            train_perplexity=of_nats(nats / words),
            val_perplexity=val_perplexity,
            val_cider=val_cider,
            score=val_cider if options.select_by == "cider" else -val_perplexity,
            distinct_captions=distinct,
            learning_rate=float(self._optimisers[0].learning_rate),
            words_per_second=words / trained,
            seconds=time.monotonic() - started,
        )

    def validate(self) -> tuple[float, float, int]:
        """Perplexity of the validation captions, CIDEr-D of generated ones and how many of these differ.

        Raises:
            TrainingError: the perplexity is no number.
        """
        captions, features = self.val_data.captions, self.features(self.val_data.features)
        found = perplexity(self.network, captions, features, self.options.max_length)
        if not math.isfinite(found):
            raise TrainingError(f"The validation perplexity is {found}; {REMEDY}")
        return found, *generated_cider(self._search, self.vocabulary, captions, features)

    def _mean_over_crops(self, rows: tf.Tensor) -> tf.Tensor:
        """float32 (n, L) -> features (n, D); the mean over an image's crops, as extraction has it."""
        upper = self.image_network.upper
        of_crops = upper(tf.reshape(rows, [-1, *upper.input_shape[1:]]), training=False)
        return tf.reduce_mean(tf.reshape(of_crops, [tf.shape(rows)[0], -1, of_crops.shape[-1]]), axis=1)

    def _compile_step(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        network, groups = self.network, self._groups

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
            for optimiser, variables, gradients in zip(
                self._optimisers, groups, tape.gradient(cost, groups), strict=True
            ):
                optimiser.apply([tf.convert_to_tensor(gradient) for gradient in gradients], variables)
            return cost, tf.reduce_sum(losses)

        return step
