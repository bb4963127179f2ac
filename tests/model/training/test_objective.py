"""Cross-entropy against its definition."""

import numpy as np
import pytest

from model.training.distribution import Replicas
from schemas.vocabulary import BOS
from tests.model.training.conftest import CAPTIONS, FEATURES


def loss_of_one_batch(training):
    """Loss, negative log-likelihood in nats and number of tokens of the first batch."""
    objective = training.objective
    inputs = objective.step_inputs(next(objective.batches(0)), Replicas())
    loss, nats = objective.loss(*inputs.tensors)
    return float(loss), float(nats), inputs.tokens


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_spreads_the_target_over_the_vocabulary(make_training, smoothing):
    training = make_training(batch_size=12, label_smoothing=smoothing)
    bits = nats = tokens = 0.0
    for index, caption in enumerate(CAPTIONS):
        logits = training.objective.network(np.array([[BOS, *caption]]), FEATURES[[index]]).numpy()[0].astype(float)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        target = np.full((3, 8), smoothing / 8)
        target[np.arange(3), [*caption, BOS]] += 1.0 - smoothing
        bits -= (target * log_probs).sum() / np.log(2.0)
        nats -= log_probs[np.arange(3), [*caption, BOS]].sum()
        tokens += 3
    loss, found_nats, found_tokens = loss_of_one_batch(training)
    assert loss == pytest.approx(bits / tokens, rel=1e-4)
    assert found_nats == pytest.approx(2 * nats, rel=1e-4)  # the batch has each caption twice
    assert found_tokens == 2 * tokens
