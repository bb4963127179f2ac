"""Joint training with a backbone: the gradient reaches the chosen blocks and no others, and runs can be resumed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from model.backbones.blocks import split_before_block
from model.mrnn.likelihood import losses_and_logits, perplexity
from model.training import callbacks
from model.training.config import FitConfig
from model.training.fine_tuning import JointCrossEntropy
from model.training.history import TrainingData
from model.training.objective import NATS_PER_BIT
from model.training.validation import Validator
from schemas.errors import ArtifactError, TrainingError
from tests.model.training.conftest import CAPTIONS, VOCABULARY
from tests.support.training import KeepState, Training, assert_same_end, configure

pytestmark = pytest.mark.usefixtures("eagerly")

IMAGES = np.random.default_rng(0).random((6, 8, 8, 3), np.float32)
CONFIG = configure(
    FitConfig(),
    epochs=4,
    batch_size=4,
    learning_rate=0.01,
    select_by="perplexity",
    patience=100,
    max_length=4,
    beam_width=2,
    seed=1,
)


def build_encoder():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    for block in (1, 2, 3):
        x = layers.Conv2D(6, 3, padding="same", activation="relu", name=f"block{block}_conv1")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, layers.Flatten()(x))


@pytest.fixture
def make_training(make_network, make_captions):
    """A run that trains the last `blocks`, and its encoder; each image has its caption twice."""

    def make(blocks=1, crops=1, dropout=0.0, backbone_learning_rate=0.01, label_smoothing=0.0, **changes):
        encoder = build_encoder()
        split = split_before_block(encoder, blocks)
        network = make_network(vocabulary_size=len(VOCABULARY), feature_size=6, dropout=dropout)
        rows = np.tile(np.reshape(split.frozen(IMAGES), [6, -1]), crops)
        data = TrainingData(make_captions([*CAPTIONS, *CAPTIONS], [*range(6), *range(6)]), rows)
        config = configure(CONFIG, **changes)
        objective = JointCrossEntropy(
            split, network, data, config.training, backbone_learning_rate, label_smoothing=label_smoothing
        )
        validator = Validator(network, VOCABULARY, data, config.training.max_length, config.validation.beam_width)
        return Training(objective, validator, config), encoder

    return make


def weights_of(encoder):
    return {layer.name: [each.tobytes() for each in layer.get_weights()] for layer in encoder.layers if layer.weights}


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_exactly_the_chosen_blocks_change(make_training, tmp_path, blocks):
    training, encoder = make_training(blocks, epochs=1)
    before = weights_of(encoder)
    training.run(tmp_path / "state.h5")
    after = weights_of(encoder)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == [f"block{number}_conv1" for number in range(4 - blocks, 4)]
    assert not any(new == old for name in changed for new, old in zip(before[name], after[name], strict=True))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_step_follows_the_gradient_of_both_networks(make_training, tmp_path, weight_decay):
    """One step of plain SGD over all captions, against differences of the loss."""
    options = {"learning_rate": 1e-3, "backbone_learning_rate": 1e-4, "weight_decay": weight_decay}
    training, encoder = make_training(2, epochs=1, batch_size=6, optimizer="sgd", clip_norm=0.0, **options)
    objective = training.objective
    words = objective.data.captions.tokens.reshape(-1, 2)
    inputs = np.insert(words, 0, 2, axis=1)  # <bos>
    targets = np.append(words, np.full((len(words), 1), 2, np.int32), axis=1)

    def loss():
        features = tf.tile(encoder(IMAGES), [2, 1])
        losses, _ = losses_and_logits(
            objective.network, tf.constant(inputs), tf.constant(targets), features, training=False
        )
        weights = [*objective.network.trainable_variables, *objective.backbone.variables]
        squares = sum(np.square(weight.numpy(), dtype=np.float64).sum() for weight in weights)
        return float(tf.reduce_mean(losses)) / NATS_PER_BIT + weight_decay * squares

    def slope(variable, place, step=3e-3):
        value, losses = variable.numpy(), []
        for sign in (1, -1):
            changed = value.copy()
            changed[place] += sign * step
            variable.assign(changed)
            losses.append(loss())
        variable.assign(value)
        return (losses[0] - losses[1]) / (2 * step)

    places = []
    for layer in ("block2_conv1", "block3_conv1"):
        places += [(encoder.get_layer(layer).kernel, (1, 1, channel, channel), 1e-4) for channel in range(6)]
    places += [(objective.network.multimodal.trainable_variables[0], (0, unit), 1e-3) for unit in range(3)]
    expected = [slope(variable, place) for variable, place, _ in places]
    before = [variable.numpy()[place] for variable, place, _ in places]
    training.run(tmp_path / "state.h5")
    found = [
        (old - variable.numpy()[place]) / rate for (variable, place, rate), old in zip(places, before, strict=True)
    ]
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.01)


@pytest.mark.usefixtures("compiled")
@pytest.mark.slow("trains two networks for eight epochs")
def test_training_the_backbone_too_learns_more(make_training, tmp_path):
    def perplexity_now(training):
        objective, data = training.objective, training.validator.data
        return perplexity(objective.network, data.captions, objective.image_features(data.features), 4)

    found = {}
    for rate in (0.0, 0.01):
        training, _ = make_training(2, epochs=8, backbone_learning_rate=rate)
        at_first = perplexity_now(training)
        curve = training.run(tmp_path / f"{rate}.h5")
        found[rate] = min(epoch.val_perplexity for epoch in curve)
        assert found[rate] < at_first
        # Both networks have the weights of the best epoch.
        assert perplexity_now(training) == pytest.approx(found[rate])
    assert found[0.01] < 0.95 * found[0.0]


def test_label_smoothing_changes_the_loss_and_not_the_perplexity(make_training, tmp_path):
    plain, smooth = (
        make_training(epochs=1, batch_size=6, label_smoothing=smoothing)[0].run(tmp_path / f"{smoothing}.h5")[0]
        for smoothing in (0.0, 0.1)
    )
    assert smooth.train_perplexity == pytest.approx(plain.train_perplexity)
    assert plain.loss == pytest.approx(np.log2(plain.train_perplexity), rel=1e-4)
    assert abs(smooth.loss - plain.loss) > 0.01


def test_seed_determines_the_bytes(make_training, tmp_path):
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        training, _ = make_training(2, dropout=0.3, seed=seed, epochs=1)
        training.run(tmp_path / name)
        runs.append([value.tobytes() for value in training.weights()])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.usefixtures("compiled")
@pytest.mark.slow("compiles two networks")
@pytest.mark.parametrize("seconds_between_saves", [callbacks.SECONDS_BETWEEN_SAVES, -1.0])
def test_interrupted_run_resumes_to_the_same_bytes(make_training, tmp_path, monkeypatch, seconds_between_saves):
    """The checkpoint is of the end of the second epoch, or of the first of two steps of the third."""
    monkeypatch.setattr(callbacks, "SECONDS_BETWEEN_SAVES", seconds_between_saves)
    undisturbed, _ = make_training(2, dropout=0.3, epochs=3)
    state, kept = tmp_path / "state.h5", tmp_path / "kept" / "state.h5"
    curve = undisturbed.run(state, before=[KeepState(6, state, kept)])
    resumed, _ = make_training(2, dropout=0.3, epochs=3)
    resumed_curve = resumed.run(kept)
    assert_same_end(undisturbed, resumed)
    assert [report.loss for report in resumed_curve] == [report.loss for report in curve]


def test_features_of_crops_are_averaged(make_training):
    one, two = make_training(crops=1)[0].objective, make_training(crops=2)[0].objective
    stored = one.data.features
    rows = np.concatenate([stored[:1], stored[1:2]], axis=1)
    np.testing.assert_allclose(two.image_features(rows)[0], one.image_features(stored[:2]).mean(axis=0), rtol=1e-5)


def test_each_epoch_draws_a_view_or_the_image_itself(make_training):
    plain = make_training()[0].objective
    rows = plain.data.features
    views = np.concatenate([rows + 100, rows + 200], axis=1)
    augmented = JointCrossEntropy(plain.backbone, plain.network, plain.data, CONFIG.training, 0.01, views=views)
    drawn = {image: set() for image in range(len(rows))}
    for epoch in range(30):
        batches = [*augmented.batches(epoch)]
        for (images, chosen), (same_images, same) in zip(batches, augmented.batches(epoch), strict=True):
            np.testing.assert_array_equal((images, chosen), (same_images, same))
            expected, *others = plain.step_inputs((images, np.zeros_like(images)), None).tensors
            found, *same_others = augmented.step_inputs((images, chosen), None).tensors
            np.testing.assert_array_equal(found, expected + 100.0 * chosen[:, None])
            for one, other in zip(others, same_others, strict=True):
                np.testing.assert_array_equal(one, other)
            for image, view in zip(images, chosen, strict=True):
                drawn[image].add(view)
        assert sorted(np.concatenate([images for images, _ in batches])) == sorted(drawn)
    assert all(seen == {0, 1, 2} for seen in drawn.values())
    assert all(not chosen.any() for _, chosen in plain.batches(0))


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 1e30},
        {"learning_rate": 1e30, "batch_size": 6},
        {"backbone_learning_rate": np.inf, "batch_size": 6},
    ],
)
def test_non_finite_number_ends_training(make_training, tmp_path, changes):
    """Whether the loss, a weight or a perplexity is the first depends on the processor; the error does not."""
    training, _ = make_training(epochs=2, clip_norm=0.0, optimizer="sgd", **changes)
    with pytest.raises(TrainingError, match=r"^Training diverged in epoch 1, step \d: .*; lower backbone_learn"):
        training.run(tmp_path / "state.h5")
    assert not (tmp_path / "state.h5").exists()


def test_checkpoint_of_other_blocks_is_rejected(make_training, tmp_path):
    make_training(1, epochs=1)[0].run(tmp_path / "state.h5")
    with pytest.raises(ArtifactError, match="another network"):
        make_training(2, epochs=1)[0].run(tmp_path / "state.h5")
