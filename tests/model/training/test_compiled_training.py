"""Training with compiled steps: it learns in every precision and with XLA, and can be resumed."""

import pytest

from model.metrics.captions import cider
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN, load_network
from model.precision import precision
from model.training import callbacks
from tests.model.training.conftest import CAPTIONS, VOCABULARY
from tests.support.training import KeepState, assert_same_end

pytestmark = pytest.mark.slow("compiles many networks, also with XLA and in half precision")


def test_network_learns_captions_of_the_features(make_training, tmp_path):
    curve = make_training(epochs=8, batch_size=1, learning_rate=0.05).run(tmp_path / "state.h5")
    assert curve[-1].loss < 0.5 * curve[0].loss
    assert curve[-1].val_perplexity < curve[0].val_perplexity
    assert [report.epoch for report in curve] == list(range(1, 9))

    texts = {str(index): " ".join(VOCABULARY.decode(caption)) for index, caption in enumerate(CAPTIONS)}
    perfect = cider(texts, {image: [text] for image, text in texts.items()})
    assert curve[-1].val_cider == pytest.approx(perfect)
    assert curve[-1].distinct_captions == 6


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_optimizer_learns(make_training, tmp_path, optimizer):
    rate = 0.5 if optimizer == "sgd" else 0.03
    training = make_training(epochs=4, batch_size=2, optimizer=optimizer, learning_rate=rate)
    curve = training.run(tmp_path / "state.h5")
    assert curve[-1].loss < 0.7 * curve[0].loss


@pytest.mark.parametrize("variant", ["blind", "vis-in-rnn-both-shared", "mrnn-shared", "tf-mrnn", "tf-mrnn-init-lstm"])
def test_variant_learns_from_its_inputs(make_training, tmp_path, variant):
    config = ModelConfig(variant, 32, 32, None if "init" in variant else 32, dropout=0.0)
    training = make_training(network=MRNN(8, 5, config, seed=1), epochs=20, batch_size=2)
    learned = training.run(tmp_path / "state.h5")[-1].val_perplexity
    # Blind, one of six captions can only be guessed: log2 6 bits over three tokens.
    assert (learned > 6 ** (1 / 3) - 0.01) == (variant == "blind"), learned


MOVING_AVERAGE = {"epochs": 8, "batch_size": 3, "ema_decay": 0.5}


@pytest.fixture(scope="module")
def single_precision(make_training, tmp_path_factory):
    """The curve of float32."""
    return make_training(**MOVING_AVERAGE).run(tmp_path_factory.mktemp("single") / "state.h5")


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_learns_like_float32_and_is_saved_as_float32(make_training, single_precision, tmp_path, name):
    with precision(name):
        half = make_training(**MOVING_AVERAGE)
    curve, expected = half.run(tmp_path / "half.h5"), single_precision
    # In float16 the first steps find the scale of the loss and change no weight: it learns a little later.
    assert curve[-1].loss == pytest.approx(expected[-1].loss, rel=0.2)
    assert curve[-1].loss < 0.5 * curve[0].loss
    network = half.objective.network
    network.save(tmp_path / "model.keras")
    loaded = load_network(tmp_path / "model.keras")
    assert {loaded.compute_dtype, *(variable.dtype for variable in network.trainable_variables)} == {"float32"}


@pytest.mark.parametrize("name", ["float32", "mixed_float16"])
def test_interrupted_run_resumes_to_the_same_bytes(make_training, tmp_path, monkeypatch, name):
    monkeypatch.setattr(callbacks, "SECONDS_BETWEEN_SAVES", -1.0)
    with precision(name):
        undisturbed, resumed = (make_training(batch_size=3, dropout=0.5) for _ in range(2))
    state, kept = tmp_path / "state.h5", tmp_path / "kept" / "state.h5"
    undisturbed.run(state, before=[KeepState(7, state, kept)])
    resumed.run(kept)
    assert_same_end(undisturbed, resumed)


@pytest.mark.parametrize("variant", ["mrnn", "tf-mrnn-lstm"])
def test_xla_computes_the_same(make_training, tmp_path, variant):
    options = {"variant": variant, "batch_size": 5, "epochs": 2, "label_smoothing": 0.1}
    plain = make_training(**options).run(tmp_path / "plain.h5")
    compiled = make_training(**options, xla=True).run(tmp_path / "compiled.h5")
    for one, other in zip(plain, compiled, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.val_perplexity == pytest.approx(one.val_perplexity, rel=1e-4)


def test_xla_trains_with_dropout(make_training, tmp_path):
    first, last = make_training(batch_size=12, epochs=2, dropout=0.5, xla=True).run(tmp_path / "state.h5")
    assert last.loss < first.loss
