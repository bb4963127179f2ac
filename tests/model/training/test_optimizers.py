"""The learning rate of each step by hand."""

import math

import numpy as np
import pytest

from model.training.config import ScheduleConfig
from model.training.optimizers import LearningRate


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
