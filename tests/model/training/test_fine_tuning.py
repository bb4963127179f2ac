"""Fine-tuning: the gradient reaches the chosen blocks and no others, and it can be stopped at any moment."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from model.backbones.blocks import split_before_block
from model.mrnn.likelihood import losses_and_logits, perplexity
from model.training import trainer as training
from model.training.fine_tuning import FineTuner
from model.training.history import TrainingData, TrainingOptions
from model.training.trainer import NATS_PER_BIT
from schemas.errors import ArtifactError, ConfigurationError, TrainingError
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "red", "blue", "dog", "cat", "bird"])
CAPTIONS = [[color, animal] for color in (3, 4) for animal in (5, 6, 7)]
PICTURES = np.random.default_rng(0).random((6, 8, 8, 3), np.float32)
OPTIONS = TrainingOptions(
    epochs=4,
    batch_size=4,
    optimizer="adam",
    learning_rate=0.01,
    schedule="cosine",
    clip_norm=5.0,
    select_by="perplexity",
    patience=100,
    max_length=4,
    beam_width=2,
    seed=1,
)


class Stopped(Exception):
    """What a test raises to break training off."""


def silent(done, message):
    pass


def build_encoder():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    for block in (1, 2, 3):
        x = layers.Conv2D(6, 3, padding="same", activation="relu", name=f"block{block}_conv1")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, layers.Flatten()(x))


@pytest.fixture
def make_tuner(make_network, make_captions):
    """A tuner of the upper `blocks`, and its encoder; each image has its caption twice."""

    def make(blocks=1, crops=1, dropout=0.0, backbone_learning_rate=0.01, **changes):
        encoder = build_encoder()
        cut = split_before_block(encoder, blocks)
        network = make_network(vocabulary_size=len(VOCABULARY), feature_size=6, dropout=dropout)
        rows = np.tile(np.reshape(cut.frozen(PICTURES), [6, -1]), crops)
        data = TrainingData(make_captions([*CAPTIONS, *CAPTIONS], [*range(6), *range(6)]), rows)
        options = replace(OPTIONS, **changes)
        return FineTuner(cut, network, VOCABULARY, data, data, options, backbone_learning_rate), encoder

    return make


def weights_of(encoder):
    return {layer.name: [each.tobytes() for each in layer.get_weights()] for layer in encoder.layers if layer.weights}


def everything(tuner, encoder):
    return [variable.numpy().tobytes() for variable in [*tuner.network.variables, *encoder.variables]]


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_exactly_the_chosen_blocks_change(make_tuner, tmp_path, blocks):
    tuner, encoder = make_tuner(blocks)
    before = weights_of(encoder)
    tuner.train(tmp_path / "state.h5", silent)
    after = weights_of(encoder)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == [f"block{number}_conv1" for number in range(4 - blocks, 4)]
    assert not any(new == old for name in changed for new, old in zip(before[name], after[name], strict=True))


def test_a_step_goes_down_the_gradient_of_both_networks(make_tuner, tmp_path):
    """One step of plain SGD over all captions, against differences of the cost."""
    rates = {"learning_rate": 1e-3, "backbone_learning_rate": 1e-4}
    tuner, encoder = make_tuner(2, epochs=1, batch_size=6, optimizer="sgd", clip_norm=0.0, **rates)
    words = tuner.train_data.captions.tokens.reshape(-1, 2)
    inputs = np.insert(words, 0, 2, axis=1)  # <bos>
    targets = np.append(words, np.full((len(words), 1), 2, np.int32), axis=1)

    def cost():
        features = tf.tile(encoder(PICTURES), [2, 1])
        losses, _ = losses_and_logits(
            tuner.network, tf.constant(inputs), tf.constant(targets), features, training=False
        )
        return float(tf.reduce_mean(losses)) / NATS_PER_BIT

    def slope(variable, place, step=3e-3):
        value, costs = variable.numpy(), []
        for sign in (1, -1):
            changed = value.copy()
            changed[place] += sign * step
            variable.assign(changed)
            costs.append(cost())
        variable.assign(value)
        return (costs[0] - costs[1]) / (2 * step)

    places = []
    for layer in ("block2_conv1", "block3_conv1"):
        places += [(encoder.get_layer(layer).kernel, (1, 1, channel, channel), 1e-4) for channel in range(6)]
    places += [(tuner.network.multimodal.trainable_variables[0], (0, unit), 1e-3) for unit in range(3)]
    expected = [slope(variable, place) for variable, place, _ in places]
    before = [variable.numpy()[place] for variable, place, _ in places]
    tuner.train(tmp_path / "state.h5", silent)
    found = [
        (old - variable.numpy()[place]) / rate for (variable, place, rate), old in zip(places, before, strict=True)
    ]
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.01)


def test_it_learns_more_than_with_a_fixed_image_network(make_tuner, tmp_path):
    def perplexity_now(tuner):
        data = tuner.val_data
        return perplexity(tuner.network, data.captions, tuner.features(data.features), OPTIONS.max_length)

    found = {}
    for rate in (0.0, 0.01):
        tuner, _ = make_tuner(2, epochs=8, backbone_learning_rate=rate)
        at_first = perplexity_now(tuner)
        curve = tuner.train(tmp_path / f"{rate}.h5", silent)
        found[rate] = min(epoch.val_perplexity for epoch in curve)
        assert found[rate] < at_first
        assert perplexity_now(tuner) == pytest.approx(found[rate]), (
            "both networks are left with the weights of the best epoch"
        )
    assert found[0.01] < 0.95 * found[0.0]


def test_the_same_seed_gives_the_same_bytes(make_tuner, tmp_path):
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        tuner, encoder = make_tuner(2, dropout=0.3, seed=seed)
        tuner.train(tmp_path / name, silent)
        made.append(everything(tuner, encoder))
    assert made[0] == made[1]
    assert made[0] != made[2]


@pytest.mark.parametrize("seconds_between_saves", [training.SECONDS_BETWEEN_SAVES, -1.0])
def test_a_run_that_was_stopped_ends_as_an_undisturbed_one(make_tuner, tmp_path, monkeypatch, seconds_between_saves):
    """Its last state is of the second epoch's end, or of the first step of the third."""
    monkeypatch.setattr(training, "SECONDS_BETWEEN_SAVES", seconds_between_saves)

    def stop(done, message):
        if done >= 0.75:  # four epochs of two steps
            raise Stopped

    tuner, encoder = make_tuner(2, dropout=0.3)
    curve = tuner.train(tmp_path / "undisturbed.h5", silent)
    with pytest.raises(Stopped):
        make_tuner(2, dropout=0.3)[0].train(tmp_path / "state.h5", stop)
    again, its_encoder = make_tuner(2, dropout=0.3)
    its_curve = again.train(tmp_path / "state.h5", silent)
    assert everything(again, its_encoder) == everything(tuner, encoder)
    assert [each.cost for each in its_curve] == [each.cost for each in curve]


def test_it_ends_when_no_better_epoch_comes(make_tuner, tmp_path):
    tuner, _ = make_tuner(epochs=9, patience=2, learning_rate=0.0, backbone_learning_rate=0.0)
    assert len(tuner.train(tmp_path / "state.h5", silent)) == 3


def test_the_features_of_crops_are_averaged(make_tuner):
    one, _ = make_tuner(crops=1)
    two, _ = make_tuner(crops=2)
    rows = np.concatenate([one.train_data.features[:1], one.train_data.features[1:2]], axis=1)
    np.testing.assert_allclose(two.features(rows)[0], one.features(one.train_data.features[:2]).mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1e30}, "The cost is .* in step 2 of epoch 1; lower backbone_learning_rate"),
        (
            {"learning_rate": 1e30, "batch_size": 6},
            "After epoch 1 the perplexity is .* in validation; lower backbone_learning_rate",
        ),
        (
            {"backbone_learning_rate": np.inf, "batch_size": 6},
            "After (epoch 1 the perplexity is .* in validation|1 epochs and 0 steps the weights .* are no longer)",
        ),
    ],
)
def test_what_is_no_number_ends_it(make_tuner, tmp_path, changes, message):
    tuner, _ = make_tuner(epochs=2, clip_norm=0.0, optimizer="sgd", **changes)
    with pytest.raises(TrainingError, match=message):
        tuner.train(tmp_path / "state.h5", silent)
    assert not (tmp_path / "state.h5").exists()


def test_a_state_of_other_blocks_is_refused(make_tuner, tmp_path):
    make_tuner(1, epochs=1)[0].train(tmp_path / "state.h5", silent)
    with pytest.raises(ArtifactError, match="another network"):
        make_tuner(2, epochs=1)[0].train(tmp_path / "state.h5", silent)


def test_epochs_are_selected_by_what_there_is(make_tuner):
    with pytest.raises(ConfigurationError, match="cider or perplexity"):
        make_tuner(select_by="loss")
