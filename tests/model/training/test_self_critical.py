"""Self-critical training: its gradient is that of the expected reward, and captions improve."""

from dataclasses import asdict
from functools import cache
from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from model.mrnn.layers import mean_and_std
from model.training.config import FitConfig, SelfCriticalConfig
from model.training.distribution import Replicas
from model.training.history import TrainingData
from model.training.optimizers import make_optimizer
from model.training.self_critical import SelfCritical, as_batch, policy_loss
from model.training.trainer import make_train_step
from model.training.validation import Validator
from schemas.errors import ConfigurationError, TrainingError
from schemas.vocabulary import BOS, PAD
from tests.model.training.conftest import CAPTIONS, VOCABULARY
from tests.model.training.conftest import FEATURES as IMAGES
from tests.support.training import (
    ANY_TIME,
    InterruptAtStep,
    Interrupted,
    Training,
    WeightsValidator,
    assert_same_end,
    configure,
)

pytestmark = pytest.mark.usefixtures("eagerly")

LENGTH = 3
WORDS = (3, 4)
# Every caption of at most three tokens of two: those of three are truncated, all others end.
SENTENCES = [words for length in range(LENGTH + 1) for words in product(WORDS, repeat=length)]
FEATURES = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
REWARDS = np.random.default_rng(1).uniform(0, 10, len(SENTENCES))

CONFIG = configure(
    FitConfig(),
    epochs=3,
    batch_size=4,
    learning_rate=0.02,
    schedule="constant",
    clip_norm=0.0,
    patience=100,
    max_length=4,
    beam_width=2,
    seed=1,
)


def log_probability(network, sentence, features=FEATURES):
    """ln P of a caption from the network's logits, without the tokens that are never generated."""
    words = [*sentence, BOS][:LENGTH]
    logits = network(np.array([[BOS, *words[:-1]]]), features)[0]
    log_probs = tf.nn.log_softmax(logits[:, 2:])
    return tf.add_n([log_probs[step, word - 2] for step, word in enumerate(words)])


@pytest.fixture
def network(make_network):
    return make_network(seed=3, vocabulary_size=5)


def exact(network, rewards=REWARDS, features=FEATURES):
    """P of every caption, and the gradient of the expected reward."""
    with tf.GradientTape() as tape:
        probabilities = tf.exp(tf.stack([log_probability(network, sentence, features) for sentence in SENTENCES]))
        expected = tf.reduce_sum(probabilities * rewards.astype(np.float32))
    gradients = tape.gradient(expected, network.trainable_variables)
    return probabilities.numpy().astype(np.float64), [tf.convert_to_tensor(each).numpy() for each in gradients]


def estimated(network, sentences, weights):
    """The gradient of the sum of weight * ln P over captions."""
    inputs, targets = as_batch(sentences, LENGTH)
    advantages = tf.constant(len(sentences) * weights, tf.float32)
    features = np.repeat(FEATURES, len(sentences), axis=0)
    with tf.GradientTape() as tape:
        loss, _ = policy_loss(network, tf.constant(inputs), tf.constant(targets), tf.constant(features), advantages)
    return [-tf.convert_to_tensor(each).numpy() for each in tape.gradient(loss, network.trainable_variables)]


def assert_same(gradients, others):
    assert max(np.abs(each).max() for each in gradients) > 0.1
    for one, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_sentences_are_all_captions(network):
    probabilities, _ = exact(network)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.sort(probabilities)[-3:].sum() < 0.99  # and not dominated by a few


@pytest.mark.parametrize("baseline", [0.0, 4.2])
def test_expected_estimate_is_the_gradient_of_the_expected_reward(network, baseline):
    probabilities, gradients = exact(network)
    assert_same(gradients, estimated(network, SENTENCES, probabilities * (REWARDS - baseline)))


def test_expected_estimate_with_the_other_samples_as_baseline(network):
    probabilities, gradients = exact(network)
    pairs = list(product(range(len(SENTENCES)), repeat=2))
    weights = [0.5 * probabilities[a] * probabilities[b] * (REWARDS[a] - REWARDS[b]) for a, b in pairs]
    sentences = [SENTENCES[a] for a, _ in pairs] + [SENTENCES[b] for _, b in pairs]
    assert_same(gradients, estimated(network, sentences, np.array([*weights, *(-w for w in weights)])))


def test_policy_loss_returns_the_negative_log_likelihood(network):
    inputs, targets = as_batch(SENTENCES, LENGTH)
    features = np.repeat(FEATURES, len(SENTENCES), axis=0)
    _, nats = policy_loss(network, inputs, targets, features, np.ones(len(SENTENCES), np.float32))
    expected = sum(float(log_probability(network, sentence)) for sentence in SENTENCES)
    assert float(nats) == pytest.approx(-expected, rel=1e-5)


def test_truncated_captions_have_no_end_token():
    inputs, targets = as_batch([(3, 4, 3), (), (4,)], LENGTH)
    assert inputs.tolist() == [[BOS, 3, 4], [BOS, PAD, PAD], [BOS, 4, PAD]]
    assert targets.tolist() == [[3, 4, 3], [BOS, PAD, PAD], [4, BOS, PAD]]
    inputs, targets = as_batch([(), (4,)], LENGTH)
    assert targets.tolist() == [[BOS, PAD], [4, BOS]]


@pytest.fixture(scope="module")
def make_training(make_network, make_captions):
    def make(
        samples=4,
        baseline="greedy",
        captions=CAPTIONS,
        owners=range(6),
        features=IMAGES,
        network=None,
        likelihood=0.0,
        **changes,
    ):
        data, config = TrainingData(make_captions(captions, owners), features), configure(CONFIG, **changes)
        if network is None:
            network = make_network(seed=1, vocabulary_size=8, feature_size=5)
            network.scaling.adapt(*mean_and_std(features))
        self_critical = SelfCriticalConfig(samples, baseline, likelihood=likelihood)
        objective = SelfCritical(network, VOCABULARY, data, config.training, self_critical)
        validator = Validator(network, VOCABULARY, data, config.training.max_length, config.validation.beam_width)
        return Training(objective, validator, config)

    return make


@pytest.mark.parametrize("baseline", ["greedy", "samples"])
def test_step_follows_the_gradient_of_the_expected_reward(make_network, make_training, baseline):
    """One step of SGD on many samples of one of two images, against the gradient over all captions there are."""
    network = make_network(seed=3, vocabulary_size=5)
    features = np.concatenate([FEATURES, -FEATURES])
    captions, options = [[3, 4], [4, 4], [4], [3, 3]], {"optimizer": "sgd", "batch_size": 1, "max_length": LENGTH}
    training = make_training(4000, baseline, captions, [0, 0, 1, 1], features, network, **options)
    objective, replicas = training.objective, Replicas()
    ((first, seed), _) = objective.batches(0)
    rewards = objective.rewards(SENTENCES, np.repeat(first, len(SENTENCES)))
    assert rewards.std() > 0.1
    _, gradients = exact(network, rewards, features[first])
    before = [variable.numpy() for variable in network.trainable_variables]
    optimizer = make_optimizer(training.config.optimizer)
    optimizer.build(network.trainable_variables)
    optimizer.learning_rate.assign(0.01)
    train_step = make_train_step(objective, [optimizer], replicas, training.config.optimizer, xla=False)
    train_step(*objective.step_inputs((first, seed), replicas).tensors)
    moved = [(variable.numpy() - old) / 0.01 for variable, old in zip(network.trainable_variables, before, strict=True)]
    one, other = (np.concatenate([each.reshape(-1) for each in side]) for side in (gradients, moved))
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.98
    assert np.linalg.norm(other) == pytest.approx(np.linalg.norm(one), rel=0.2)


@pytest.fixture(scope="module")
def train(make_training, tmp_path_factory):
    """Train until captions improve, with the reward alone and each baseline once; returns the curve."""
    return cache(
        lambda baseline: make_training(8, baseline, epochs=40).run(tmp_path_factory.mktemp(baseline) / "state.h5")
    )


@pytest.mark.usefixtures("compiled")
@pytest.mark.slow("trains until captions improve")
@pytest.mark.parametrize("baseline", ["greedy", "samples"])
def test_training_improves_captions(train, baseline):
    curve = train(baseline)
    assert -curve[-1].loss > 2 * -curve[0].loss > 0  # the mean reward
    assert max(report.val_cider for report in curve) > curve[0].val_cider + 1.0
    assert curve[-1].train_perplexity < curve[0].train_perplexity


@pytest.mark.usefixtures("compiled")
@pytest.mark.slow("trains until captions improve")
def test_likelihood_keeps_reference_captions_likely(make_training, train, tmp_path):
    plain = train("samples")
    mixed = make_training(8, "samples", epochs=40, likelihood=0.5).run(tmp_path / "state.h5")
    assert -mixed[-1].loss > 2 * -mixed[0].loss > 0  # rewards rise all the same
    assert mixed[-1].val_perplexity < min(mixed[0].val_perplexity, plain[-1].val_perplexity)


def test_references_are_all_captions_without_end_token_where_truncated(make_training):
    captions, owners = [[3, 5], [4], [4, 5, 6, 7], [3]], [0, 1, 0, 2]
    training = make_training(4, "samples", captions, owners, IMAGES[:3], likelihood=0.5, max_length=3)
    inputs, targets, features = training.objective.references(np.array([2, 0]), IMAGES[[2, 0]])
    assert inputs.tolist() == [[BOS, 3, PAD], [BOS, 3, 5], [BOS, 4, 5]]
    assert targets.tolist() == [[3, BOS, PAD], [3, 5, BOS], [4, 5, 6]]
    np.testing.assert_array_equal(features, IMAGES[[2, 0, 0]])


def test_interrupted_run_resumes_to_the_same_bytes(make_training, tmp_path):
    def start():
        training = make_training(baseline="samples", epochs=2)
        training.validator = WeightsValidator(training.objective.network, training.validator.data)
        return training

    undisturbed = start()
    curve = undisturbed.run(tmp_path / "undisturbed.h5")
    with pytest.raises(Interrupted):
        start().run(tmp_path / "state.h5", before=[InterruptAtStep(3)])
    resumed = start()
    resumed_curve = resumed.run(tmp_path / "state.h5")
    assert_same_end(undisturbed, resumed)
    assert [{**asdict(each), **ANY_TIME} for each in curve] == [{**asdict(each), **ANY_TIME} for each in resumed_curve]


def test_epoch_contains_every_image_once_and_depends_on_the_seed(make_training):
    objective = make_training().objective
    epochs = [list(objective.batches(epoch)) for epoch in (0, 1, 0)]
    assert [len(batches) for batches in epochs] == [objective.steps_per_epoch] * 3 == [2, 2, 2]
    for batches in epochs:
        assert sorted(image for images, _ in batches for image in images) == [*range(6)]
    assert len({seed for batches in epochs[:2] for _, seed in batches}) == 4
    assert [seed for _, seed in epochs[0]] == [seed for _, seed in epochs[2]]


def test_rewards_count_the_end_token_unless_the_caption_is_truncated(make_training):
    ended, truncated = make_training(max_length=2).objective.rewards([(3,), (3, 5)], np.array([0, 0]))
    longer = make_training(max_length=4).objective.rewards([(3,), (3, 5)], np.array([0, 0]))
    assert ended == longer[0]
    assert truncated < longer[1]


def test_non_finite_probability_ends_training(make_training, tmp_path):
    training = make_training()
    bias = training.objective.network.softmax.bias
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(TrainingError, match=r"^Training diverged in epoch 1, step 0: the probability .*; lower"):
        training.run(tmp_path / "state.h5")
    assert not (tmp_path / "state.h5").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples is 0; the baseline greedy needs at least 1"),
        ({"samples": 1, "baseline": "samples"}, "samples is 1; the baseline samples needs at least 2"),
        ({"baseline": "best"}, "baseline cannot be 'best'; choose one of greedy, samples"),
        ({"bleu": -1.0}, "bleu is -1.0; set it to 0 or more"),
        ({"likelihood": -0.1}, "likelihood is -0.1; set it to at least 0 and below 1"),
        ({"likelihood": 1.0}, "likelihood is 1.0; set it to at least 0 and below 1"),
    ],
)
def test_invalid_option_is_rejected(options, message):
    with pytest.raises(ConfigurationError, match=message):
        SelfCriticalConfig(**options)
