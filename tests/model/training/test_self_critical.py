"""Self-critical training: its gradient is that of the expected reward, and captions get better by it."""

from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from model.training.history import TrainingData, TrainingOptions
from model.training.self_critical import Estimate, SelfCriticalTrainer, as_batch, policy_cost
from schemas.errors import ConfigurationError
from schemas.vocabulary import BOS, PAD, SPECIAL_WORDS, Vocabulary

LENGTH = 3
WORDS = (3, 4)
# Every caption of at most three words of two: those of three are cut, all others end.
SENTENCES = [words for length in range(LENGTH + 1) for words in product(WORDS, repeat=length)]
FEATURES = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
REWARDS = np.random.default_rng(1).uniform(0, 10, len(SENTENCES))

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "red", "blue", "dog", "cat", "bird"])
CAPTIONS = [[color, animal] for color in (3, 4) for animal in (5, 6, 7)]
IMAGES = np.array([[float(word in caption) for word in range(3, 8)] for caption in CAPTIONS], np.float32)


class Stopped(Exception):
    """What a test raises to break training off."""


def silent(done, message):
    pass


def log_probability(network, sentence, features=FEATURES):
    """ln P of a caption, from the network's logits, without the words that are never generated."""
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
        cost, _ = policy_cost(network, tf.constant(inputs), tf.constant(targets), tf.constant(features), advantages)
    return [-tf.convert_to_tensor(each).numpy() for each in tape.gradient(cost, network.trainable_variables)]


def assert_same(gradients, others):
    assert max(np.abs(each).max() for each in gradients) > 0.1
    for one, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_captions_are_all_there_are(network):
    probabilities, _ = exact(network)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.sort(probabilities)[-3:].sum() < 0.99  # and no few of them are all that count


@pytest.mark.parametrize("baseline", [0.0, 4.2])
def test_on_average_the_estimate_is_the_gradient_of_the_expected_reward(network, baseline):
    probabilities, gradients = exact(network)
    assert_same(gradients, estimated(network, SENTENCES, probabilities * (REWARDS - baseline)))


def test_so_it_is_with_the_mean_of_the_other_samples_as_baseline(network):
    probabilities, gradients = exact(network)
    pairs = list(product(range(len(SENTENCES)), repeat=2))
    weights = [0.5 * probabilities[a] * probabilities[b] * (REWARDS[a] - REWARDS[b]) for a, b in pairs]
    sentences = [SENTENCES[a] for a, _ in pairs] + [SENTENCES[b] for _, b in pairs]
    assert_same(gradients, estimated(network, sentences, np.array([*weights, *(-w for w in weights)])))


def test_the_words_cost_what_they_are_unlikely(network):
    inputs, targets = as_batch(SENTENCES, LENGTH)
    features = np.repeat(FEATURES, len(SENTENCES), axis=0)
    _, nats = policy_cost(network, inputs, targets, features, np.ones(len(SENTENCES), np.float32))
    expected = sum(float(log_probability(network, sentence)) for sentence in SENTENCES)
    assert float(nats) == pytest.approx(-expected, rel=1e-5)


def test_captions_that_were_cut_have_no_end_sign():
    inputs, targets = as_batch([(3, 4, 3), (), (4,)], LENGTH)
    assert inputs.tolist() == [[BOS, 3, 4], [BOS, PAD, PAD], [BOS, 4, PAD]]
    assert targets.tolist() == [[3, 4, 3], [BOS, PAD, PAD], [4, BOS, PAD]]
    inputs, targets = as_batch([(), (4,)], LENGTH)
    assert targets.tolist() == [[BOS, PAD], [4, BOS]]


@pytest.fixture
def make_trainer(make_network, make_captions):
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
        values = {
            "epochs": 3,
            "batch_size": 4,
            "optimizer": "adam",
            "learning_rate": 0.02,
            "schedule": "constant",
            "warmup_steps": 0,
            "decay_factor": 0.5,
            "decay_keep": 0,
            "decay_every": 1,
            "weight_decay": 0.0,
            "clip_norm": 0.0,
            "label_smoothing": 0.0,
            "ema_decay": 0.0,
            "select_by": "cider",
            "patience": 100,
            "max_length": 4,
            "beam_width": 2,
            "seed": 1,
        }
        data = TrainingData(make_captions(captions, owners), features)
        network = network or make_network(seed=1, vocabulary_size=8, feature_size=5)
        options = TrainingOptions(**{**values, **changes})
        estimate = Estimate(samples, baseline, likelihood=likelihood)
        return SelfCriticalTrainer(network, VOCABULARY, data, data, options, estimate)

    return make


@pytest.mark.parametrize("baseline", ["greedy", "samples"])
def test_a_step_goes_up_the_gradient_of_the_expected_reward(make_network, make_trainer, baseline):
    """One step of SGD on many samples of one of two images, against the gradient over all captions there are."""
    network = make_network(seed=3, vocabulary_size=5)
    features = np.concatenate([FEATURES, -FEATURES])
    captions, options = [[3, 4], [4, 4], [4], [3, 3]], {"optimizer": "sgd", "batch_size": 1, "max_length": LENGTH}
    trainer = make_trainer(4000, baseline, captions, [0, 0, 1, 1], features, network, **options)
    ((first, seed), _) = trainer._batches(0)
    of_first = features[first]
    rewards = trainer._rewards(SENTENCES, np.repeat(first, len(SENTENCES)))
    assert rewards.std() > 0.1
    _, gradients = exact(network, rewards, of_first)
    before = [variable.numpy() for variable in network.trainable_variables]
    trainer.optimizer.learning_rate.assign(0.01)
    trainer._learn((first, seed))
    moved = [(variable.numpy() - old) / 0.01 for variable, old in zip(network.trainable_variables, before, strict=True)]
    one, other = (np.concatenate([each.reshape(-1) for each in side]) for side in (gradients, moved))
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.98
    assert np.linalg.norm(other) == pytest.approx(np.linalg.norm(one), rel=0.2)


@pytest.mark.parametrize("baseline", ["greedy", "samples"])
def test_captions_get_better(make_trainer, tmp_path, baseline):
    curve = make_trainer(8, baseline, epochs=40).train(tmp_path / "state.h5", silent)
    assert -curve[-1].cost > 2 * -curve[0].cost > 0  # the mean reward
    assert max(report.val_cider for report in curve) > curve[0].val_cider + 1.0
    assert curve[-1].train_perplexity < curve[0].train_perplexity


def test_with_a_share_of_likelihood_people_stay_likely(make_trainer, tmp_path):
    plain, mixed = (
        make_trainer(8, "samples", epochs=40, likelihood=share).train(tmp_path / f"{share}.h5", silent)
        for share in (0.0, 0.5)
    )
    assert -mixed[-1].cost > 2 * -mixed[0].cost > 0  # rewards rise all the same
    assert mixed[-1].val_perplexity < min(mixed[0].val_perplexity, plain[-1].val_perplexity)


def test_what_is_likely_are_all_captions_of_the_images_as_far_as_they_are_not_cut(make_trainer):
    captions, owners = [[3, 5], [4], [4, 5, 6, 7], [3]], [0, 1, 0, 2]
    trainer = make_trainer(4, "samples", captions, owners, IMAGES[:3], likelihood=0.5, max_length=3)
    inputs, targets, features = trainer._people(np.array([2, 0]), IMAGES[[2, 0]])
    assert inputs.tolist() == [[BOS, 3, PAD], [BOS, 3, 5], [BOS, 4, 5]]
    assert targets.tolist() == [[3, BOS, PAD], [3, 5, BOS], [4, 5, 6]]
    np.testing.assert_array_equal(features, IMAGES[[2, 0, 0]])


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_of_likelihood_leaves_some_to_the_reward(share):
    with pytest.raises(ConfigurationError, match="below 1"):
        Estimate(2, "samples", likelihood=share)


def test_bleu_is_no_punishment():
    with pytest.raises(ConfigurationError, match="below 0"):
        Estimate(2, "samples", bleu=-1.0)


def test_training_that_is_stopped_goes_on_to_the_same_end(make_trainer, tmp_path):
    whole = make_trainer()
    curve = whole.train(tmp_path / "whole.h5", silent)

    def stop(done, message):
        if message.startswith("epoch 2: cost"):
            raise Stopped

    with pytest.raises(Stopped):
        make_trainer().train(tmp_path / "stopped.h5", stop)
    resumed = make_trainer()
    resumed_curve = resumed.train(tmp_path / "stopped.h5", silent)
    for one, other in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    times = {"words_per_second": 0.0, "seconds": 0.0}
    assert [{**asdict(each), **times} for each in curve] == [{**asdict(each), **times} for each in resumed_curve]


def test_every_image_comes_once_an_epoch_and_seeds_differ(make_trainer):
    trainer = make_trainer()
    epochs = [list(trainer._batches(epoch)) for epoch in (0, 1, 0)]
    assert [len(batches) for batches in epochs] == [trainer.steps_per_epoch] * 3 == [2, 2, 2]
    for batches in epochs:
        assert sorted(image for images, _ in batches for image in images) == [*range(6)]
    assert len({seed for batches in epochs[:2] for _, seed in batches}) == 4
    assert [seed for _, seed in epochs[0]] == [seed for _, seed in epochs[2]]


def test_rewards_count_the_end_sign_unless_the_caption_was_cut(make_trainer):
    trainer = make_trainer(max_length=2)
    ended, cut = trainer._rewards([(3,), (3, 5)], np.array([0, 0]))
    longer = make_trainer(max_length=4)._rewards([(3,), (3, 5)], np.array([0, 0]))
    assert ended == longer[0]
    assert cut < longer[1]


@pytest.mark.parametrize(
    ("samples", "baseline", "said"),
    [(0, "greedy", "at least 1"), (1, "samples", "at least 2"), (4, "best", "no baseline")],
)
def test_estimates_that_are_none_are_refused(samples, baseline, said):
    with pytest.raises(ConfigurationError, match=said):
        Estimate(samples, baseline)
