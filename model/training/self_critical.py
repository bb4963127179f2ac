"""Self-critical sequence training (Rennie et al. 2017): a trained network goes up the expected CIDEr-D of its captions.

The cost is L = -E[r(w)] over captions w drawn from the network; its gradient is estimated by

    -1/N sum_n (r(w_n) - b_n) grad ln P(w_n | image)

over the N captions drawn in a step (equations 4 to 6). The baseline b_n, which does not depend on w_n, only makes the
estimate less noisy. P is what captions are drawn from: words that are never generated have no share in it, and no
dropout acts.

With a share of likelihood the cost is (1 - share) L + share * H, as in Paulus et al. 2018 (Section 3.3), where H is the
mean -ln P of a word of people's captions, as in training before: the network goes on to speak as people do.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from model.decoding.beam_search import BeamSearch
from model.decoding.constraints import FINITE_MASK, logit_mask
from model.decoding.sampling import Sampling, sample_captions
from model.mrnn.batching import all_captions, collate, image_batches
from model.mrnn.likelihood import losses_and_logits
from model.mrnn.network import MRNN
from model.reranking.similarity import BleuSimilarity, CiderSimilarity, NgramWeights, Similarity
from model.text.ngrams import SentenceTable, Words
from model.training.history import TrainingData, TrainingOptions
from model.training.trainer import Trainer
from schemas.captions import Captions
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS, PAD, UNK, Vocabulary


class CaptionReward:
    """Mean CIDEr-D, 0..10, of a sentence with each caption of its image (Rennie et al. 2017, Section 3), plus BLEU's.

    Document frequencies are those of all captions, a document being those of one image. `bleu` times the mean of
    mRNN-CR's BLEU similarity, 0..1, is added: CIDEr-D looks for the telling n-grams, it for all of them. The end sign
    counts if it is part of the sentences, as a word like any other.
    """

    def __init__(self, captions: Sequence[Words], by_image: Sequence[np.ndarray], bleu: float = 0.0):
        """Captions and, by image, the numbers of its own, see `Captions.by_image`."""
        self._captions, self._rows, self._bleu = captions, by_image, bleu
        self._weights = NgramWeights(SentenceTable(captions), self._rows)

    def __call__(self, sentences: Sequence[Words], images: np.ndarray) -> np.ndarray:
        """The rewards of sentences, of the image of each: float64 (sentences,)."""
        owners, places = np.unique(images, return_inverse=True)
        references = [self._captions[row] for image in owners for row in self._rows[image]]
        table = SentenceTable([*sentences, *references])
        similarities: list[tuple[float, Similarity]] = [(1.0, CiderSimilarity(table, self._weights))]
        if self._bleu:
            similarities.append((self._bleu, BleuSimilarity(table)))
        rewards, start = np.zeros(len(sentences)), len(sentences)
        for place, image in enumerate(owners):
            own, end = np.flatnonzero(places == place), start + len(self._rows[image])
            for weight, similarity in similarities:
                rewards[own] += weight * similarity(own, np.arange(start, end)).mean(axis=1)
            start = end
        return rewards


BASELINES = ("greedy", "samples")


@dataclass(frozen=True)
class Estimate:
    """How the gradient of the expected reward is estimated, and what else counts.

    samples: captions drawn for an image in a step; baseline: what the reward of each is compared with, that of the
    caption of greedy search (`greedy`, the paper's) or the mean of the image's other samples (`samples`); bleu: what
    BLEU counts in the reward, see `CaptionReward`; likelihood: share of the cost that is of people's captions.
    """

    samples: int
    baseline: str
    bleu: float = 0.0
    likelihood: float = 0.0

    def __post_init__(self) -> None:
        if self.baseline not in BASELINES:
            raise ConfigurationError(f"There is no baseline {self.baseline!r}; choose one of {', '.join(BASELINES)}.")
        least = 2 if self.baseline == "samples" else 1
        if self.samples < least:
            raise ConfigurationError(f"The baseline {self.baseline} needs at least {least} samples an image.")
        if self.bleu < 0.0:
            raise ConfigurationError(f"A weight of {self.bleu} for BLEU is below 0.")
        if not 0.0 <= self.likelihood < 1.0:
            raise ConfigurationError(f"A share of {self.likelihood} for likelihood is not at least 0 and below 1.")


class SelfCriticalTrainer(Trainer):
    """A `Trainer` whose batches are images, `options.batch_size` each, every image once an epoch.

    In its curve, `cost` is minus the mean reward of the samples and `train_perplexity` that of the samples: it falls as
    the network becomes sure of what it says. What is drawn depends on seed, epoch and batch alone.
    """

    def __init__(
        self,
        network: MRNN,
        vocabulary: Vocabulary,
        train: TrainingData,
        val: TrainingData,
        options: TrainingOptions,
        estimate: Estimate,
    ):
        """`network` is trained already; of the options, label_smoothing and weight_decay do not count."""
        self._estimate = estimate
        self._images = np.unique(train.captions.image_index)
        super().__init__(network, vocabulary, train, val, options)
        references = [self._words(words) for words in map(train.captions.__getitem__, range(len(train.captions)))]
        self._captions_of = train.captions.by_image
        self._reward = CaptionReward(references, self._captions_of, estimate.bleu)
        self._greedy = BeamSearch(network, 1, options.max_length)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self._images) / self.options.batch_size)

    def _batches(self, epoch: int) -> Iterator[tuple[np.ndarray, int]]:
        """Image numbers (B,) and the seed of their samples."""
        random = np.random.default_rng([self.options.seed, epoch])
        for images in image_batches(self._images, self.options.batch_size, random):
            yield images, int(random.integers(2**32))

    def _learn(self, batch: tuple[np.ndarray, int]) -> tuple[float, float, int]:
        """See `Trainer`; the cost is minus the mean reward."""
        (images, seed), count, max_length = batch, self._estimate.samples, self.options.max_length
        features = self.train_data.features[images].astype(np.float32)
        drawn = sample_captions(self.network, features, count, Sampling(), seed, max_length=max_length)
        sentences = [caption.tokens for of_image in drawn for caption in of_image]
        rewards = self._rewards(sentences, np.repeat(images, count)).reshape(-1, count)
        if self._estimate.baseline == "greedy":
            baseline = self._rewards([found[0].tokens for found in self._greedy(features)], images)[:, None]
        else:
            baseline = (rewards.sum(axis=1, keepdims=True) - rewards) / (count - 1)
        inputs, targets = as_batch(sentences, max_length)
        advantages = (rewards - baseline).reshape(-1).astype(np.float32)
        of_sentences = np.repeat(features, count, axis=0)
        people = self._people(images, features) if self._estimate.likelihood else ()
        _, nats = self._step(*map(tf.constant, (inputs, targets, of_sentences, advantages, *people)))
        return -float(rewards.mean()), float(nats), int((targets != PAD).sum())

    def _people(self, images: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs, targets and features of all captions of the images; those that are cut have no end sign."""
        longest = self.options.max_length
        chosen, owners = all_captions(self._captions_of, images)
        batch = collate(self.train_data.captions, chosen, longest)
        return batch.inputs[:, :longest], batch.targets[:, :longest], features[owners]

    def _cost(
        self, inputs: tf.Tensor, targets: tf.Tensor, features: tf.Tensor, advantages: tf.Tensor, *people: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        cost, nats = policy_cost(self.network, inputs, targets, features, advantages)
        if people:
            share = self._estimate.likelihood
            said, meant, seen = people
            losses, _ = losses_and_logits(self.network, said, meant, seen, training=True)
            cost = (1.0 - share) * cost + share * tf.reduce_mean(losses)
        return cost, nats

    def _rewards(self, sentences: Sequence[Sequence[int]], images: np.ndarray) -> np.ndarray:
        """By the training captions of the images, in the vocabulary's own words; the end sign is a word.

        With the end sign, as in Rennie's code, captions that break off or end in the middle of a phrase get less. Those
        that are cut at the maximum length have none.
        """
        longest = self.options.max_length
        return self._reward([self._words(words, len(words) < longest) for words in sentences], images)

    def _words(self, tokens: Sequence[int] | np.ndarray, ended: bool = True) -> list[str]:
        return self.vocabulary.decode([*tokens, BOS] if ended else tokens)


def policy_cost(
    network: MRNN, inputs: tf.Tensor, targets: tf.Tensor, features: tf.Tensor, advantages: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A cost whose gradient is the estimate, and the sum of -ln P of the words.

    inputs, targets: int32 (N, T), as `as_batch` makes them; features (N, D); advantages: float32 (N,), reward minus
    baseline of each caption.
    """
    _, logits = losses_and_logits(network, inputs, targets, features, training=False)
    positions = tf.where(targets != PAD)
    never = logit_mask(network.sizes["vocabulary_size"], (PAD, UNK), FINITE_MASK)
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather_nd(targets, positions), logits + never)
    weighted = tf.reduce_sum(tf.gather(advantages, positions[:, 0]) * nats)
    return weighted / tf.cast(tf.shape(inputs)[0], tf.float32), tf.reduce_sum(nats)


def as_batch(sentences: Sequence[Sequence[int]], max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, int32 (N, T), of generated captions; those of `max_length` words have no end sign."""
    offsets = np.cumsum([0, *map(len, sentences)])
    tokens = np.fromiter((word for words in sentences for word in words), np.int32, offsets[-1])
    numbers = np.arange(len(sentences))
    batch = collate(Captions([], tokens, offsets, numbers), numbers, max_length)
    return batch.inputs[:, :max_length], batch.targets[:, :max_length]
