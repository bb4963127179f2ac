"""Block by block against the complete matrix at once."""

import numpy as np
import pytest

from model.mrnn.layers import mean_and_std


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_mean_and_std_are_those_of_the_complete_matrix(rows):
    features = (1000.0 + np.random.default_rng(0).standard_normal((50, 3)) * [0.01, 1.0, 5.0]).astype(np.float32)
    mean, std = mean_and_std(features, rows)
    np.testing.assert_allclose(mean, features.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, features.astype(np.float64).std(axis=0), rtol=1e-9)
