"""Bootstrap intervals and paired differences."""

import numpy as np
import pytest

from model.metrics.bootstrap import Statistics, differences, interval, mean_of

VALUES = np.random.default_rng(0).normal(5.0, 2.0, 400)


def test_interval_matches_the_normal_approximation():
    low, high = interval(mean_of(VALUES), samples=4000)
    error = VALUES.std() / np.sqrt(len(VALUES))
    assert low == pytest.approx(VALUES.mean() - 1.96 * error, abs=0.02)
    assert high == pytest.approx(VALUES.mean() + 1.96 * error, abs=0.02)


def test_draws_are_those_of_a_plain_bootstrap():
    per_image = np.random.default_rng(1).random((30, 2)) + 0.5
    ratio = Statistics(per_image, lambda sums: sums[..., 0] / sums[..., 1])
    random = np.random.default_rng(2)
    drawn = [per_image[random.integers(0, 30, 30)].sum(axis=0) for _ in range(4000)]
    plain = np.percentile([first / second for first, second in drawn], [2.5, 97.5])
    assert interval(ratio, samples=4000) == pytest.approx(plain, abs=0.01)


def test_interval_is_reproducible():
    assert interval(mean_of(VALUES)) == interval(mean_of(VALUES))
    assert interval(mean_of(VALUES), seed=1) != interval(mean_of(VALUES))


def test_paired_bootstrap_detects_a_small_constant_difference():
    found = differences({"x": mean_of(VALUES + 0.01), "y": mean_of(VALUES)}, {"x": mean_of(VALUES)})
    assert found.keys() == {"x"}
    assert (found["x"].value, found["x"].low, found["x"].high) == pytest.approx((0.01, 0.01, 0.01))
    assert found["x"].p == 0.0


def test_noise_is_no_difference():
    random = np.random.default_rng(3)
    found = differences({"x": mean_of(random.normal(size=400))}, {"x": mean_of(random.normal(size=400))})["x"]
    assert found.low < 0 < found.high
    assert found.p > 0.05


def test_paired_bootstrap_of_a_system_with_itself_is_zero():
    assert differences({"x": mean_of(VALUES)}, {"x": mean_of(VALUES)})["x"].p == 1.0
