"""Self-critical sequence training (Rennie et al. 2017): maximizes the expected CIDEr-D of generated captions.

The loss is L = -E[r(w)] over captions w sampled from the network; its gradient is estimated by

    -1/N sum_n (r(w_n) - b_n) grad ln P(w_n | image)

over the N captions sampled in a step (equations 4 to 6). The baseline b_n, which does not depend on w_n, only reduces
the variance of the estimate. P is the distribution that captions are sampled from: masked tokens have probability 0,
and there is no dropout.

With a weight of the likelihood the loss is (1 - weight) L + weight * H, as in Paulus et al. 2018 (Section 3.3), where H
is the cross-entropy of the reference captions in nats per token. Without it, perplexity on human captions degrades.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.decoding.beam_search import BeamSearch
from model.decoding.constraints import FINITE_MASK, logit_mask
from model.decoding.sampling import Sampling, sample_captions
from model.mrnn.batching import all_captions, collate, image_batches
from model.mrnn.likelihood import losses_and_logits
from model.mrnn.network import MRNN
from model.reranking.similarity import BleuSimilarity, CiderSimilarity, NgramWeights, Similarity, SumSimilarity
from model.text.ngrams import SentenceTable, Words
from model.training.config import SelfCriticalConfig, TrainingConfig
from model.training.distribution import Replicas
from model.training.history import TrainingData
from model.training.objective import Objective, StepInputs
from schemas.captions import Captions
from schemas.vocabulary import BOS, PAD, UNK, Vocabulary


class CaptionReward:
    """Mean CIDEr-D, 0 to 10, of a sentence with each caption of its image (Rennie et al. 2017, Section 3), plus BLEU.

    Document frequencies are those of all captions, a document being those of one image. `bleu` times the mean of
    mRNN-CR's BLEU similarity, 0 to 1, is added: CIDEr-D rewards informative n-grams, BLEU all of them. The end token
    counts if it is part of the sentences, like any other token.
    """

    def __init__(self, captions: Sequence[Words], by_image: Sequence[NDArray[np.int64]], bleu: float = 0.0):
        """Compute document frequencies.

        Args:
            captions: Tokens of all reference captions.
            by_image: Caption indices of each image, see `Captions.by_image`.
            bleu: Weight of the BLEU similarity.
        """
        self._captions, self._rows, self._bleu = captions, by_image, bleu
        self._weights = NgramWeights(SentenceTable(captions), self._rows)

    def __call__(self, sentences: Sequence[Words], images: NDArray[np.integer]) -> NDArray[np.float64]:
        """Compute rewards.

        Args:
            sentences: Tokens of N captions.
            images: Image index of each caption, (N,).

        Returns:
            float64 (N,).
        """
        owners, places = np.unique(images, return_inverse=True)
        references = [self._captions[row] for image in owners for row in self._rows[image]]
        table = SentenceTable([*sentences, *references])
        similarity: Similarity = CiderSimilarity(table, self._weights)
        if self._bleu:
            similarity = SumSimilarity((1.0, similarity), (self._bleu, BleuSimilarity(table)))
        rewards, start = np.zeros(len(sentences)), len(sentences)
        for place, image in enumerate(owners):
            own, end = np.flatnonzero(places == place), start + len(self._rows[image])
            rewards[own] = similarity(own, np.arange(start, end)).mean(axis=1)
            start = end
        return rewards


class SelfCritical(Objective):
    """Expected reward of sampled captions; batches are images, every image with captions once per epoch.

    The reported loss is minus the mean reward of the samples. The reported perplexity is that of the samples, which
    decreases as the network becomes certain. Samples depend on seed, epoch and batch alone.
    """

    def __init__(
        self,
        network: MRNN,
        vocabulary: Vocabulary,
        data: TrainingData,
        config: TrainingConfig,
        self_critical: SelfCriticalConfig,
    ):
        """Prepare the reward and the greedy baseline.

        Args:
            network: The m-RNN, trained with cross-entropy.
            vocabulary: Its vocabulary.
            data: Training captions and features.
            config: Batch size in images, maximum length and seed.
            self_critical: Options of the gradient estimate.
        """
        super().__init__(network, data, config)
        self.vocabulary, self.self_critical = vocabulary, self_critical
        self._images = np.unique(data.captions.image_index)
        references = [self._words(tokens) for tokens in map(data.captions.__getitem__, range(len(data.captions)))]
        self._captions_of = data.captions.by_image
        self._reward = CaptionReward(references, self._captions_of, self_critical.bleu)
        self._greedy = BeamSearch(network, 1, config.max_length)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches of an epoch."""
        return math.ceil(len(self._images) / self.config.batch_size)

    def batches(self, epoch: int) -> Iterator[tuple[NDArray[np.integer], int]]:
        """Yield image indices (B,) and the seed of their samples."""
        random = np.random.default_rng([self.config.seed, epoch])
        for images in image_batches(self._images, self.config.batch_size, random):
            yield images, int(random.integers(2**32))

    def step_inputs(self, batch: tuple[NDArray[np.integer], int], replicas: Replicas) -> StepInputs:
        """Return inputs, targets, features and advantages of the samples; with `likelihood` also the references.

        Raises:
            FloatingPointError: The network assigns probabilities that are not finite.
        """
        (images, seed), count, max_length = batch, self.self_critical.samples, self.config.max_length
        features = self.data.features[images].astype(np.float32)
        drawn = sample_captions(self.network, features, count, Sampling(), seed, max_length=max_length)
        if not all(math.isfinite(caption.log_prob) for of_image in drawn for caption in of_image):
            raise FloatingPointError("the probability of a sampled caption is not finite")
        samples = [caption.tokens for of_image in drawn for caption in of_image]
        rewards = self.rewards(samples, np.repeat(images, count)).reshape(-1, count)
        if self.self_critical.baseline == "greedy":
            baseline = self.rewards([found[0].tokens for found in self._greedy(features)], images)[:, None]
        else:
            baseline = (rewards.sum(axis=1, keepdims=True) - rewards) / (count - 1)
        inputs, targets = as_batch(samples, max_length)
        advantages = (rewards - baseline).reshape(-1).astype(np.float32)
        arrays = [inputs, targets, np.repeat(features, count, axis=0), advantages]
        if self.self_critical.likelihood:
            arrays += self.references(images, features)
        return StepInputs(
            tuple(map(tf.constant, arrays)), tokens=int((targets != PAD).sum()), loss=-float(rewards.mean())
        )

    def references(
        self, images: NDArray[np.integer], features: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Collate all captions of some images; truncated captions have no end token.

        Args:
            images: Image indices (B,).
            features: Their features float32 (B, D).

        Returns:
            Inputs and targets int32 (C, T), and the features float32 (C, D), of the C captions.
        """
        max_length = self.config.max_length
        chosen, owners = all_captions(self._captions_of, images)
        batch = collate(self.data.captions, chosen, max_length)
        return batch.inputs[:, :max_length], batch.targets[:, :max_length], features[owners]

    def loss(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the policy loss of the samples, mixed with the cross-entropy of the reference captions."""
        inputs, targets, features, advantages, *references = tensors
        loss, nats = policy_loss(self.network, inputs, targets, features, advantages)
        if references:
            weight = self.self_critical.likelihood
            of_reference, targets_of_reference, features_of_reference = references
            losses, _ = losses_and_logits(
                self.network, of_reference, targets_of_reference, features_of_reference, training=True
            )
            loss = (1.0 - weight) * loss + weight * tf.reduce_mean(losses)
        return loss, nats

    def rewards(self, captions: Sequence[Sequence[int]], images: NDArray[np.integer]) -> NDArray[np.float64]:
        """Compute the rewards of captions by the training captions of their images, in tokens of the vocabulary.

        The end token counts, as in Rennie's code, so that truncated captions and captions that end in the middle of a
        phrase get a lower reward. Captions of the maximum length have no end token.

        Args:
            captions: Token ids of N captions.
            images: Image index of each caption, (N,).

        Returns:
            float64 (N,).
        """
        max_length = self.config.max_length
        return self._reward([self._words(tokens, len(tokens) < max_length) for tokens in captions], images)

    def _words(self, tokens: Sequence[int] | NDArray[np.int32], ended: bool = True) -> list[str]:
        return self.vocabulary.decode([*tokens, BOS] if ended else tokens)


def policy_loss(
    network: MRNN, inputs: tf.Tensor, targets: tf.Tensor, features: tf.Tensor, advantages: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute a loss whose gradient is the estimate, and the negative log-likelihood of the tokens in nats.

    Args:
        network: The policy.
        inputs: int32 (N, T), see `as_batch`.
        targets: int32 (N, T), see `as_batch`.
        features: Features of the images, float32 (N, D).
        advantages: float32 (N,), reward minus baseline of each caption.
    """
    _, logits = losses_and_logits(network, inputs, targets, features, training=False)
    positions = tf.where(targets != PAD)
    never = logit_mask(network.sizes["vocabulary_size"], (PAD, UNK), FINITE_MASK)
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather_nd(targets, positions), logits + never)
    weighted = tf.reduce_sum(tf.gather(advantages, positions[:, 0]) * nats)
    return weighted / tf.cast(tf.shape(inputs)[0], tf.float32), tf.reduce_sum(nats)


def as_batch(sentences: Sequence[Sequence[int]], max_length: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Collate generated captions; those of `max_length` tokens have no end token.

    Args:
        sentences: Token ids of N captions.
        max_length: Maximum number of tokens.

    Returns:
        Inputs and targets int32 (N, T).
    """
    offsets = np.cumsum([0, *map(len, sentences)])
    tokens = np.fromiter((token for sentence in sentences for token in sentence), np.int32, offsets[-1])
    numbers = np.arange(len(sentences))
    batch = collate(Captions([], tokens, offsets, numbers.astype(np.int32)), numbers, max_length)
    return batch.inputs[:, :max_length], batch.targets[:, :max_length]
