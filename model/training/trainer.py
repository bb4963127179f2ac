"""Training of the m-RNN: the paper's cost, and early stopping on the CIDEr of generated validation captions."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model.decoding.beam_search import BeamSearch
from model.mrnn.batching import Batch, training_batches
from model.mrnn.layers import mean_and_deviation
from model.mrnn.likelihood import losses_and_logits, of_nats, perplexity
from model.mrnn.network import MRNN
from model.training.checkpoint import load_state, save_state
from model.training.distribution import Replicas, multi_worker_errors
from model.training.history import EpochReport, TrainingData, TrainingOptions, out_of_patience
from model.training.optimizers import LearningRate, make_optimizer
from model.training.scheduled_sampling import replace_words, share_at
from model.training.tensorboard import write_events
from model.training.validation import generated_cider
from schemas.errors import ConfigurationError, TrainingError
from schemas.features import FeatureRows
from schemas.vocabulary import Vocabulary

NATS_PER_BIT = math.log(2.0)
SECONDS_BETWEEN_SAVES = 600.0  # within an epoch; at its end the state is saved anyway
DIVERGED = 2.0  # times the cost of the first epoch


def make_deterministic() -> None:
    """From here on TensorFlow computes the same bits in every run on the same machine; call it before anything else."""
    tf.config.experimental.enable_op_determinism()


@dataclass
class EpochMetrics:
    """Over the steps of an epoch so far: its cost, -ln P of its words, their number and the time they took."""

    steps: int = 0
    costs: float = 0.0
    nats: float = 0.0
    words: int = 0
    seconds: float = 0.0


class Trainer:
    """Trains one network. `train` can be stopped at any moment and called again on the same state file.

    On several devices it is made and called in the scope of the strategy that the network was made in, see
    `model/training/distribution.py`; on several hosts only the one that leads validates and writes. A network that
    computes in float16 has its loss scaled.
    """

    # What to do where the numbers break, in every message that says so.
    remedy = "lower learning_rate or clip_norm and train again."

    def __init__(
        self, network: MRNN, vocabulary: Vocabulary, train: TrainingData, val: TrainingData, options: TrainingOptions
    ):
        """The network's feature scaling is set from the training images here.

        Raises:
            ConfigurationError: an option names what is not there.
        """
        if options.select_by not in ("cider", "perplexity"):
            raise ConfigurationError(f"Epochs are not selected by {options.select_by!r}; choose cider or perplexity.")
        self.network, self.vocabulary, self.options = network, vocabulary, options
        self.train_data, self.val_data = train, val
        self.replicas = Replicas()
        self.learning_rate = LearningRate(
            options.schedule,
            options.learning_rate,
            self.steps_per_epoch * options.epochs,
            options.warmup_steps,
            options.decay_factor,
            options.decay_keep,
            options.decay_every,
        )
        half = network.compute_dtype == "float16"
        self.optimizer = make_optimizer(
            options.optimizer, options.clip_norm, options.weight_decay, options.ema_decay, scale_loss=half
        )
        self.optimizer.build(network.trainable_variables)
        self._scale_features()
        self._search = BeamSearch(network, options.beam_width, options.max_length)
        self._step = self._compile_step()

    @multi_worker_errors()
    def train(self, state_path: Path, progress: Callable[[float, str], None]) -> list[EpochReport]:
        """Trains to the end and leaves the weights of the best epoch in the network; returns the curve.

        After each epoch, and every ten minutes in between, everything that the next step depends on goes to
        `state_path` (weights, optimizer, dropout generators, position in the epoch, curve, best weights): a run that is
        killed goes on from there and ends with the same bytes. `tensorboard` beside it has the curve of each epoch.

        Raises:
            TrainingError: the cost is no longer a number, or grows beyond all measure, or another host is gone; the
                last good state is kept.
        """
        curve: list[EpochReport] = []
        best, sums = self._weights(), EpochMetrics()
        if state_path.exists():
            record, best = load_state(state_path, self._variables)
            curve, sums = [EpochReport(**epoch) for epoch in record["curve"]], EpochMetrics(**record["sums"])
        self.replicas.decorrelate_rngs(self.network.variables)

        def save() -> None:
            self._refuse_broken_weights(len(curve), sums.steps)
            record = {"curve": [asdict(past) for past in curve], "sums": asdict(sums)}
            if self.replicas.is_chief:
                save_state(state_path, self._variables, best, record)

        while len(curve) < self.options.epochs and not out_of_patience(curve, self.options.patience):
            self._train_epoch(curve, sums, progress, save)
            with self._averaged_weights():
                report = self._validate(curve, sums)
                if report.score > max((past.score for past in curve), default=-math.inf):
                    best = self._weights()
            curve.append(report)
            sums = EpochMetrics()
            if self.replicas.is_chief:
                write_events(state_path.with_name("tensorboard"), asdict(report))
            save()
            progress(
                len(curve) / self.options.epochs,
                f"epoch {len(curve)}: validation perplexity {report.val_perplexity:.2f}, CIDEr {report.val_cider:.3f}",
            )
        for variable, value in zip(self._trained, best, strict=True):
            variable.assign(value)
        return curve

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.train_data.captions) / self.options.batch_size)

    @property
    def _trained(self) -> list:
        """What an epoch changes and the best epoch is kept of."""
        return [*self.network.variables]

    @property
    def _variables(self) -> list:
        """All that the next step depends on."""
        return [*self._trained, *self.optimizer.variables]

    def _weights(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self._trained]

    def _scale_features(self) -> None:
        self.network.scaling.adapt(*mean_and_deviation(self.train_data.features))

    def _val_features(self) -> np.ndarray | FeatureRows:
        """The features (images, D) that validation sees."""
        return self.val_data.features

    def _train_epoch(
        self,
        curve: list[EpochReport],
        sums: EpochMetrics,
        progress: Callable[[float, str], None],
        save: Callable[[], None],
    ) -> None:
        """The steps of an epoch that `sums` does not count yet."""
        options, epoch, scores = self.options, len(curve), [report.score for report in curve]
        before, started = sums.seconds, time.monotonic()
        saved = started
        for batch in islice(self._batches(epoch), sums.steps, None):
            self._set_learning_rate(epoch * self.steps_per_epoch + sums.steps, scores)
            cost, nats, words = self._learn(batch)
            sums.steps += 1
            sums.costs, sums.nats, sums.words = sums.costs + cost, sums.nats + nats, sums.words + words
            sums.seconds = before + time.monotonic() - started
            if not math.isfinite(cost + nats):
                raise TrainingError(f"The cost is {cost} in step {sums.steps} of epoch {epoch + 1}; {self.remedy}")
            progress(
                (epoch + sums.steps / self.steps_per_epoch) / options.epochs,
                f"epoch {epoch + 1}: cost {sums.costs / sums.steps:.3f}, "
                f"perplexity {of_nats(sums.nats / sums.words):.2f}, {sums.words / sums.seconds:.0f} words/s",
            )
            if sums.steps < self.steps_per_epoch and time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                save()
                saved = time.monotonic()

    def _set_learning_rate(self, step: int, scores: list[float]) -> None:
        """See `LearningRate.at`."""
        self.optimizer.learning_rate.assign(self.learning_rate.at(step, scores))

    def _learn(self, batch: Any) -> tuple[float, float, int]:
        """One step: its cost, -ln P of the words that it was made on, and how many these are."""
        options, number = self.options, int(self.optimizer.iterations.numpy())
        own_share = share_at(options.scheduled_sampling, number // self.steps_per_epoch, options.epochs)
        cost, nats = self._step(
            *self._tensors(batch),
            tf.constant(float(batch.words)),
            tf.constant(own_share),
            tf.constant((options.seed, number), tf.int32),
        )
        return float(cost), float(nats), batch.words

    def _validate(self, curve: list[EpochReport], sums: EpochMetrics) -> EpochReport:
        started, options = time.monotonic(), self.options
        captions, features = self.val_data.captions, self._val_features()
        cost, train_perplexity = sums.costs / sums.steps, of_nats(sums.nats / sums.words)
        (val_perplexity,) = self.replicas.broadcast_from_chief(
            lambda: [perplexity(self.network, captions, features, options.max_length)], 1
        )
        if not math.isfinite(train_perplexity + val_perplexity):
            raise TrainingError(
                f"After epoch {len(curve) + 1} the perplexity is {train_perplexity} in training and {val_perplexity} "
                f"in validation; {self.remedy}"
            )
        if curve and cost - curve[0].cost > (DIVERGED - 1.0) * abs(curve[0].cost):
            raise TrainingError(
                f"Training diverges: the cost of epoch {len(curve) + 1} is {cost:.1f}, that of the first was "
                f"{curve[0].cost:.1f}; {self.remedy}"
            )
        val_cider, distinct = self.replicas.broadcast_from_chief(
            lambda: generated_cider(self._search, self.vocabulary, captions, features), 2
        )
        return EpochReport(
            epoch=len(curve) + 1,
            cost=cost,
            train_perplexity=train_perplexity,
            val_perplexity=val_perplexity,
            val_cider=val_cider,
            score=val_cider if options.select_by == "cider" else -val_perplexity,
            distinct_captions=int(distinct),
            learning_rate=float(self.optimizer.learning_rate.numpy()),
            words_per_second=sums.words / sums.seconds,
            seconds=sums.seconds + time.monotonic() - started,
        )

    def _refuse_broken_weights(self, epochs: int, steps: int) -> None:
        """What is saved must be worth going on from: a step with a finite cost may have left infinite weights."""
        for variable in self._trained:
            if not np.isfinite(variable.numpy()).all():
                raise TrainingError(
                    f"After {epochs} epochs and {steps} steps the weights {variable.path} are no longer numbers; "
                    f"{self.remedy}"
                )

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Inside, the network has the moving average of its weights, if one is kept."""
        weights = self.network.trainable_variables
        trained = [variable.numpy() for variable in weights] if self.options.ema_decay else []
        if trained:
            self.optimizer.finalize_variable_values(weights)
        yield
        for variable, value in zip(weights, trained, strict=False):
            variable.assign(value)

    def _batches(self, epoch: int) -> Iterator[Any]:
        """What `_learn` gets in the steps of an epoch."""
        options = self.options
        return training_batches(self.train_data.captions, options.batch_size, options.max_length, options.seed, epoch)

    def _tensors(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Inputs, targets and features of the batch, dealt out to the replicas."""

        def of_replica(replica: int, replicas: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            part = batch.part(replica, replicas)
            features = self.train_data.features[part.image_index].astype(np.float32)
            return tf.constant(part.inputs), tf.constant(part.targets), tf.constant(features)

        dealt: tuple[tf.Tensor, tf.Tensor, tf.Tensor] = self.replicas.distribute(of_replica)
        return dealt

    def _compile_step(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        optimizer, replicas = self.optimizer, self.replicas
        weights = self.network.trainable_variables

        @tf.function(reduce_retracing=True, jit_compile=self.options.xla or None)
        def part_of_step(*batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
            """What a replica's captions add to the cost, to -ln P of the batch's words and to the gradient."""
            with tf.GradientTape() as tape:
                cost, nats = self._cost(*batch)
                scaled = optimizer.scale_loss(cost)
            return cost, nats, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(scaled, weights)]

        def step_of_replica(*part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            cost, nats, gradients = part_of_step(*part)
            cost, nats, *gradients = replicas.sum([cost, nats, *gradients])
            optimizer.apply(gradients, weights)
            return cost, nats

        @tf.function(reduce_retracing=True)
        def step(*batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """One step; returns its cost and the summed -ln P of the batch's words."""
            cost, nats = replicas.run(step_of_replica, batch)
            return cost, nats

        return step

    def _cost(
        self,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        features: tf.Tensor,
        words: tf.Tensor,
        own_share: tf.Tensor,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What a replica's captions add to the paper's cost, which is minimized, and to -ln P of the batch's words.

        words: how many the whole batch has; own_share, seed: see `replace_words`.
        """
        network, options = self.network, self.options
        if options.scheduled_sampling:
            inputs = replace_words(network, inputs, targets, features, own_share, seed)
        losses, logits = losses_and_logits(network, inputs, targets, features, training=True)
        nats, smoothing = tf.reduce_sum(losses), options.label_smoothing
        cost = nats / words / NATS_PER_BIT
        if smoothing:
            of_any_word = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_mean(logits, axis=1)
            cost = (1.0 - smoothing) * cost + smoothing * tf.reduce_sum(of_any_word) / words / NATS_PER_BIT
        if options.weight_decay and options.optimizer != "adamw":
            squares = tf.add_n([tf.reduce_sum(tf.square(weight)) for weight in network.trainable_variables])
            cost = cost + options.weight_decay * squares / self.replicas.count
        return cost, nats
