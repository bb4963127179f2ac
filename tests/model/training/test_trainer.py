"""The training loop, run eagerly on tiny networks: steps, selection of the best epoch, checkpoints and errors."""

from dataclasses import asdict
from functools import cache

import numpy as np
import pytest

from model.mrnn.likelihood import perplexity
from model.training import callbacks
from model.training.callbacks import Callback
from model.training.history import TrainingData
from schemas.errors import ArtifactError, TrainingError
from schemas.features import FeatureDescription, FeatureFile, write_features
from tests.model.training.conftest import CAPTIONS, FEATURES
from tests.support.training import (
    ANY_TIME,
    InterruptAtStep,
    Interrupted,
    RecordSteps,
    ScriptedValidator,
    WeightsValidator,
    assert_same_end,
)

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(scope="module")
def make_training(make_training):
    """As for all tests, with a validator that costs no time unless the real one is asked for."""

    def make(real_validator=False, **options):
        training = make_training(**options)
        if not real_validator:
            training.validator = WeightsValidator(training.objective.network, training.validator.data)
        return training

    return make


@pytest.fixture(scope="module")
def run_undisturbed(make_training, tmp_path_factory):
    """Run a training to its end, once for tests with the same options; returns it and its curve."""

    @cache
    def run(**options):
        training = make_training(**options)
        return training, training.run(tmp_path_factory.mktemp("undisturbed") / "state.h5")

    return run


@pytest.fixture
def save_every_step(monkeypatch):
    """Checkpoints are saved after every step."""
    monkeypatch.setattr(callbacks, "SECONDS_BETWEEN_SAVES", -1.0)


def test_fit_reports_bits_per_token_plus_weight_decay(make_training, tmp_path):
    training = make_training(epochs=1, batch_size=12, learning_rate=0.0, weight_decay=0.01)
    (report,) = training.run(tmp_path / "state.h5")
    network, train = training.objective.network, training.objective.data
    squares = sum(np.square(variable.numpy()).sum() for variable in network.trainable_variables)
    bits = np.log2(perplexity(network, train.captions, train.features, 4))
    assert report.loss == pytest.approx(bits + 0.01 * squares, rel=1e-4)
    assert report.train_perplexity == pytest.approx(2**bits, rel=1e-4)


def test_fit_decays_weights_once_with_adamw(make_training, tmp_path):
    """Its decay is decoupled: a step without gradient shrinks the weights, and the loss has no second term."""
    training = make_training(epochs=1, batch_size=12, optimizer="adamw", schedule="constant", weight_decay=0.5)
    before = training.objective.network.softmax.kernel.numpy()
    (report,) = training.run(tmp_path / "state.h5")
    assert report.loss == pytest.approx(np.log2(report.train_perplexity), rel=1e-4)
    # Adam's first step is the learning rate, 0.02, against the sign of the gradient.
    left = training.objective.network.softmax.kernel.numpy() - (1.0 - 0.02 * 0.5) * before
    np.testing.assert_allclose(np.abs(left), 0.02, atol=1e-3)


def test_sgd_step_follows_the_gradient_of_the_loss(make_training, tmp_path):
    """One step of SGD is -rate * gradient, which the losses before and after measure."""
    slope = {}
    for rate in (1e-3, 2e-3):
        training = make_training(
            epochs=2, batch_size=12, optimizer="sgd", schedule="constant", learning_rate=rate, clip_norm=0.0
        )
        first, second = training.run(tmp_path / f"{rate}.h5")
        slope[rate] = (first.loss - second.loss) / rate
    assert slope[1e-3] > 0  # the square of the gradient's norm
    assert slope[2e-3] == pytest.approx(slope[1e-3], rel=0.1)


def test_clip_norm_bounds_the_step(make_training, tmp_path):
    training = make_training(
        epochs=1, batch_size=12, optimizer="sgd", schedule="constant", learning_rate=1.0, clip_norm=1e-3
    )
    weights = training.objective.network.trainable_variables
    before = [weight.numpy() for weight in weights]
    training.run(tmp_path / "state.h5")
    moved = np.concatenate([(weight.numpy() - old).ravel() for weight, old in zip(weights, before, strict=True)])
    assert np.linalg.norm(moved) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("variant", ["vis-in-rnn-both-shared", "mrnn-shared", "tf-mrnn", "tf-mrnn-init-lstm"])
def test_step_moves_every_weight_of_a_variant(make_training, tmp_path, variant):
    training = make_training(variant=variant, epochs=1, batch_size=12, learning_rate=0.1)
    weights = training.objective.network.trainable_variables
    before = [weight.numpy() for weight in weights]
    training.run(tmp_path / "state.h5")
    unmoved = [weight.path for weight, old in zip(weights, before, strict=True) if np.array_equal(weight.numpy(), old)]
    assert not unmoved


@pytest.mark.parametrize(
    ("steps", "every_step", "options"),
    [
        (6, False, {"dropout": 0.5}),
        (6, True, {"dropout": 0.5}),
        (4, True, {"dropout": 0.5}),
        (6, True, {"variant": "tf-mrnn-lstm", "dropout": 0.5, "ema_decay": 0.5}),
        (
            7,
            True,
            {"epochs": 3, "optimizer": "sgd", "schedule": "plateau", "warmup_steps": 5, "select_by": "perplexity"},
        ),
    ],
)
def test_interrupted_run_resumes_to_the_same_bytes(
    make_training, run_undisturbed, tmp_path, monkeypatch, steps, every_step, options
):
    options = {"epochs": 2, "batch_size": 3, **options}
    undisturbed, curve = run_undisturbed(**options)
    if every_step:
        monkeypatch.setattr(callbacks, "SECONDS_BETWEEN_SAVES", -1.0)
    with pytest.raises(Interrupted):
        make_training(**options).run(tmp_path / "state.h5", before=[InterruptAtStep(steps)])
    resumed = make_training(**options)
    resumed_curve = resumed.run(tmp_path / "state.h5")
    assert_same_end(undisturbed, resumed)
    for one, other in zip(curve, resumed_curve, strict=True):
        assert {**asdict(one), **ANY_TIME} == {**asdict(other), **ANY_TIME}


@pytest.mark.usefixtures("save_every_step")
def test_run_resumes_with_the_step_after_the_last_checkpoint(make_training, tmp_path):
    with pytest.raises(Interrupted):
        make_training(batch_size=3).run(tmp_path / "state.h5", before=[InterruptAtStep(7)])
    recorder, fractions = RecordSteps(), []
    make_training(batch_size=3).run(tmp_path / "state.h5", lambda done, _: fractions.append(done), after=[recorder])
    assert recorder.steps == [3, 4, 1, 2, 3, 4]  # of three epochs with four steps each, six steps were saved
    assert fractions[0] == pytest.approx(7 / 12)


def test_finished_run_is_not_repeated(make_training, tmp_path):
    first = make_training(epochs=1)
    curve = first.run(tmp_path / "state.h5")
    second = make_training(epochs=1)
    assert second.run(tmp_path / "state.h5", before=[InterruptAtStep(1)]) == curve
    assert_same_end(first, second)


def test_early_stopped_run_is_not_continued(make_training, tmp_path):
    options = {"epochs": 9, "learning_rate": 0.0, "patience": 2}
    curve = make_training(**options).run(tmp_path / "state.h5")
    assert make_training(**options).run(tmp_path / "state.h5", before=[InterruptAtStep(7)]) == curve


def test_features_on_disk_give_the_same_bytes(make_training, tmp_path):
    in_memory, stored = make_training(epochs=2), make_training(epochs=2)
    data = stored.objective.data
    ids = data.captions.image_ids
    write_features(tmp_path / "features.h5", ids, FEATURES, FeatureDescription("kind", "none", "0", "tiny"))
    rows = FeatureFile(tmp_path / "features.h5").rows(ids)
    stored.objective.data = TrainingData(data.captions, rows)
    stored.validator.data = TrainingData(stored.validator.data.captions, rows)
    in_memory.run(tmp_path / "memory.h5")
    stored.run(tmp_path / "disk.h5")
    assert_same_end(in_memory, stored)


def test_moving_average_is_validated_and_kept(make_training, tmp_path):
    training, recorder = make_training(True, epochs=1, batch_size=4, ema_decay=0.9, optimizer="sgd"), RecordSteps()
    (report,) = training.run(tmp_path / "state.h5", after=[recorder])
    average = recorder.weights[0]
    for weights in recorder.weights[1:]:
        average = [0.9 * mean + 0.1 * weight for mean, weight in zip(average, weights, strict=True)]
    network, val = training.objective.network, training.validator.data
    for weight, expected, last in zip(network.trainable_variables, average, recorder.weights[-1], strict=True):
        np.testing.assert_allclose(weight.numpy(), expected, atol=1e-5)
        assert not np.array_equal(weight.numpy(), last)
    assert report.val_perplexity == pytest.approx(perplexity(network, val.captions, val.features, 4))


@pytest.mark.parametrize(("select_by", "best"), [("cider", 2), ("perplexity", 2)])
def test_best_epoch_is_kept(make_training, tmp_path, select_by, best):
    training, recorder = make_training(epochs=3, batch_size=12, select_by=select_by), RecordSteps()
    training.validator = ScriptedValidator(training.validator.data, [0.1, 0.3, 0.2])
    curve = training.run(tmp_path / "state.h5", after=[recorder])
    scores = {"cider": [0.1, 0.3, 0.2], "perplexity": [-99.9, -99.7, -99.8]}
    assert [report.score for report in curve] == pytest.approx(scores[select_by])
    weights = training.objective.network.trainable_variables
    for weight, expected in zip(weights, recorder.weights[best - 1], strict=True):
        np.testing.assert_array_equal(weight.numpy(), expected)


def test_patience_counts_epochs_since_the_best(make_training, tmp_path):
    training = make_training(epochs=9, batch_size=12, patience=2)
    training.validator = ScriptedValidator(training.validator.data, [0.1, 0.3, 0.2, 0.3, 0.9])
    assert len(training.run(tmp_path / "state.h5")) == 4


def test_tensorboard_has_one_file_for_each_epoch_of_a_resumed_run(make_training, tmp_path):
    with pytest.raises(Interrupted):
        make_training().run(tmp_path / "state.h5", before=[InterruptAtStep(5)])
    make_training().run(tmp_path / "state.h5")
    names = sorted(path.name for path in (tmp_path / "tensorboard").iterdir())
    assert [int(name.rpartition(".")[2]) for name in names] == [1, 2, 3]


class Spoil(Callback):
    """Writes a value into the bias of the softmax after a step, as a step that overflows does."""

    def __init__(self, step, value):
        self.step, self.value = step, value

    def on_step(self, run):
        if run.metrics.steps == self.step:
            bias = run.objective.network.softmax.bias
            bias.assign(np.full(bias.shape, self.value))


@pytest.mark.usefixtures("save_every_step")
@pytest.mark.parametrize("step", [1, 3, 4])  # the checkpoint, the one before the last step, validation
def test_non_finite_weights_are_not_saved(make_training, tmp_path, step):
    """A step may have a finite loss and leave infinite weights; the checkpoint before it is kept."""
    state = tmp_path / "state.h5"
    with pytest.raises(Interrupted):
        make_training(batch_size=3).run(state, before=[InterruptAtStep(5)])
    good = state.read_bytes()
    with pytest.raises(TrainingError, match=rf"^Training diverged in epoch 2, step {step}: .*softmax/bias .*; lower"):
        make_training(batch_size=3).run(state, before=[Spoil(step, np.inf)])
    assert step > 1 or state.read_bytes() == good


def test_diverging_loss_ends_training(make_training, tmp_path):
    """The limit is twice the loss of the first epoch."""
    training = make_training(batch_size=12, optimizer="sgd", schedule="constant", learning_rate=100.0, clip_norm=0.0)
    with pytest.raises(TrainingError, match=r"^Training diverged in epoch 2, step 1: its loss is .*; lower"):
        training.run(tmp_path / "state.h5")


@pytest.mark.parametrize("batch_size", [6, 12])
@pytest.mark.parametrize("learning_rate", [1e30, 3000.0, np.nan])
def test_non_finite_number_keeps_the_checkpoint(make_training, tmp_path, batch_size, learning_rate):
    """Whether the loss, a weight or a perplexity is the first depends on the processor; the error does not."""
    state = tmp_path / "state.h5"
    options = {"batch_size": batch_size, "clip_norm": 0.0, "optimizer": "sgd", "schedule": "constant"}
    with pytest.raises(Interrupted):
        make_training(**options).run(state, before=[InterruptAtStep(12 // batch_size + 1)])
    good = state.read_bytes()
    with pytest.raises(TrainingError, match=r"^Training diverged in epoch 2, step \d: .*; lower learning_rate"):
        make_training(True, **{**options, "learning_rate": learning_rate}).run(state)
    assert state.read_bytes() == good


def test_non_finite_validation_perplexity_ends_training(make_training, tmp_path):
    training = make_training(batch_size=12)
    training.validator = ScriptedValidator(training.validator.data, [-np.inf])
    with pytest.raises(TrainingError, match="epoch 1, step 1: the validation perplexity is not finite"):
        training.run(tmp_path / "state.h5")
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_of_another_network_is_rejected(make_training, make_network, tmp_path):
    make_training(epochs=1).run(tmp_path / "state.h5")
    other = make_training(network=make_network(vocabulary_size=9, feature_size=5))
    with pytest.raises(ArtifactError, match="another network"):
        other.run(tmp_path / "state.h5")


def test_corrupted_checkpoint_is_rejected(make_training, tmp_path):
    (tmp_path / "state.h5").write_text("text")
    with pytest.raises(ArtifactError, match=r"state\.h5"):
        make_training().run(tmp_path / "state.h5")


def test_feature_scaling_standardizes_the_training_images(make_training):
    scaled = make_training().objective.network.scaling(FEATURES).numpy()
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, atol=1e-6)
    assert len(CAPTIONS) == len(scaled)
