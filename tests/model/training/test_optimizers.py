"""The learning rate of each step by hand, and Adam in one pass against Keras's."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.training.config import OptimizerConfig, ScheduleConfig
from model.training.optimizers import LearningRate, make_optimizer


def rate(schedule, warmup_steps=0, total_steps=100, factor=0.5, keep=0, every=1):
    return LearningRate(ScheduleConfig(schedule, warmup_steps, factor, keep, every), 2.0, total_steps)


def test_constant():
    assert [rate("constant").at(step, []) for step in (0, 50, 10**9)] == [2.0, 2.0, 2.0]


def test_half_a_cosine_to_a_tenth():
    cosine = rate("cosine")
    assert cosine.at(0, []) == 2.0
    assert cosine.at(50, []) == pytest.approx(2.0 * 0.55)
    assert cosine.at(25, []) == pytest.approx(2.0 * (0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2))
    assert cosine.at(100, []) == cosine.at(200, []) == pytest.approx(0.2)


def test_step_schedule_matches_tf_mrnn():
    config = ScheduleConfig("step", decay_factor=0.85, decay_keep=300_000, decay_every=10_000)
    authors = LearningRate(config, 1.0, 573_000)
    iterations = np.array([0, 299_999, 300_000, 309_999, 310_000, 570_000])
    expected = 0.85 ** np.maximum(0, (iterations - 300_000) // 10_000)
    np.testing.assert_allclose([authors.at(int(step), []) for step in iterations], expected)
    assert expected[-1] == pytest.approx(0.0124, abs=1e-4)


def test_plateau_schedule_lowers_the_rate():
    plateau = rate("plateau", every=2)
    assert plateau.at(7, []) == 2.0
    assert plateau.at(7, [0.1, 0.2, 0.2]) == 2.0
    assert plateau.at(7, [0.1, 0.2, 0.2, 0.1]) == 1.0
    assert plateau.at(7, [0.1, 0.2, 0.2, 0.1, 0.3, 0.2]) == 1.0
    assert plateau.at(7, [0.1, 0.2, 0.2, 0.1, 0.1, 0.1]) == 0.5


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "plateau"])
def test_warm_up_is_linear(schedule):
    warm, cold = rate(schedule, warmup_steps=4), rate(schedule)
    for step in range(10):
        assert warm.at(step, []) == pytest.approx(min(1.0, (step + 1) / 4) * cold.at(step, []))


def apply_gradients(optimizer):
    """Weights and all variables of the optimizer after five steps with gradients of very different sizes."""
    random = np.random.default_rng(0)
    weights = [keras.Variable(random.standard_normal(shape)) for shape in ((30, 40), (7,))]
    optimizer.build(weights)
    step = tf.function(lambda gradients: optimizer.apply(gradients, weights))
    for number in range(5):
        optimizer.learning_rate.assign(0.1 / (number + 1))
        step(
            [tf.constant(random.standard_normal(weight.shape) * 10.0 ** (number - 3), tf.float32) for weight in weights]
        )
    return [variable.numpy() for variable in (*weights, *optimizer.variables)]


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [("adam", keras.optimizers.Adam, {}), ("adamw", keras.optimizers.AdamW, {"weight_decay": 0.02})],
)
def test_adam_in_one_pass_matches_keras(name, theirs, options, ema_decay, clip_norm):
    config = OptimizerConfig(
        name, clip_norm=clip_norm, weight_decay=options.get("weight_decay", 0.0), ema_decay=ema_decay
    )
    averaging = {"use_ema": True, "ema_momentum": ema_decay} if ema_decay else {}
    expected = apply_gradients(theirs(1.0, global_clipnorm=clip_norm or None, **options, **averaging))
    for ours, of_keras in zip(apply_gradients(make_optimizer(config)), expected, strict=True):
        np.testing.assert_allclose(ours, of_keras, rtol=1e-4, atol=1e-5)  # 1 - beta in float32 or double


def test_scaled_adam_skips_steps_whose_gradient_is_not_finite():
    optimizer = make_optimizer(OptimizerConfig("adam"), scale_loss=True)
    weight = keras.Variable([1.0, 2.0])
    optimizer.build([weight])
    optimizer.apply([tf.constant([math.inf, 0.0])], [weight])
    np.testing.assert_array_equal(weight.numpy(), [1.0, 2.0])
    optimizer.learning_rate.assign(0.5)
    optimizer.apply([tf.constant([3e5, -7e5])], [weight])
    np.testing.assert_allclose(weight.numpy(), [0.5, 2.5], rtol=1e-4)  # the first step has the size of the rate
