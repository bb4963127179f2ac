"""The network in all variants, and its files."""

import random
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN, load_network
from model.mrnn.variants import VARIANTS
from schemas.errors import ArtifactError
from schemas.vocabulary import BOS

TOKENS = np.array([[BOS, 3, 4, 5], [BOS, 6, 0, 0], [BOS, 1, 1, 3]], np.int32)
FEATURES = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)


def test_half_precision_features_are_computed_in_single_precision(make_network):
    network = make_network()
    half = FEATURES.astype(np.float16)
    np.testing.assert_array_equal(network(TOKENS, half), network(TOKENS, half.astype(np.float32)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_steps_one_by_one_equal_the_complete_caption(make_network, variant):
    network = make_network(variant=variant)
    expected = np.asarray(network(TOKENS, FEATURES))
    image = network.project_image(FEATURES)
    state = network.initial_state(len(TOKENS), image)
    for step in range(TOKENS.shape[1]):
        logits, state = network.step(TOKENS[:, step], state, image)
        np.testing.assert_allclose(logits, expected[:, step], atol=1e-4)


def test_predictions_are_causal(make_network):
    network = make_network()
    changed = TOKENS.copy()
    changed[:, 2:] = 4
    before, after = np.asarray(network(TOKENS, FEATURES)), np.asarray(network(changed, FEATURES))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert not np.allclose(before[:, 2:], after[:, 2:])


def test_parameter_count_matches_the_paper():
    v, d, e, r, m = 1000, 4096, 128, 256, 512
    network = MRNN(v, d)
    expected = v * e + e * r + (r * r + r) + (r * m + m) + r * m + d * m + (m * v + v)
    assert sum(int(np.prod(variable.shape)) for variable in network.trainable_variables) == expected


def test_equal_seeds_give_equal_weights(make_network):
    weights = []
    for seed, before in ((1, 10), (1, 20), (2, 10)):
        keras.utils.set_random_seed(before)
        weights.append(MRNN(7, 4, ModelConfig("mrnn", 3, 5, 6), seed).get_weights())
    for one, same in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(weights[0][2], weights[2][2])


def test_equal_networks_give_equal_masks_of_dropout():
    networks = [MRNN(7, 4, ModelConfig("mrnn", 3, 5, 6, dropout=0.5, image_dropout=0.5), seed=3) for _ in range(2)]
    first, second = (np.asarray(network(TOKENS, FEATURES, training=True)) for network in networks)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(networks[0](TOKENS, FEATURES, training=True), first)


def test_dropout_is_off_outside_of_training(make_network):
    without, network = make_network(), make_network(dropout=0.5, image_dropout=0.5)
    np.testing.assert_array_equal(network(TOKENS, FEATURES), without(TOKENS, FEATURES))


def test_image_dropout_keeps_the_tokens(make_network):
    network = make_network(image_dropout=0.5)
    np.testing.assert_array_equal(network.embed(TOKENS, training=True), network.embed(TOKENS))
    dropped, expected = (network.project_image(FEATURES, training=training)["multimodal"] for training in (True, False))
    assert not np.array_equal(dropped, expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_network_gives_the_same_logits(make_network, tmp_path, variant):
    network = make_network(variant=variant, dropout=0.5, image_dropout=0.25, seed=4)
    network.save(tmp_path / "model.keras")
    loaded = load_network(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(TOKENS, FEATURES), network(TOKENS, FEATURES))
    assert loaded.get_config() == network.get_config()


def test_equal_networks_have_equal_configurations(make_network):
    assert make_network(seed=1).get_config() == make_network(seed=1).get_config()


@pytest.fixture
def saved(make_network, tmp_path):
    path = tmp_path / "model.keras"
    make_network().save(path)
    return path


def test_truncated_file_is_an_artifact_error(saved):
    saved.write_bytes(saved.read_bytes()[:-500])
    with pytest.raises(ArtifactError, match=r"model\.keras"):
        load_network(saved)


def test_damaged_file_is_an_artifact_error(saved):
    expected = load_network(saved).get_weights()
    content = saved.read_bytes()
    draw = random.Random(0)
    errors = 0
    for flips in [1, 10, 1000] * 10:
        damaged = bytearray(content)
        for position in draw.sample(range(len(damaged)), flips):
            damaged[position] ^= 0xFF
        saved.write_bytes(damaged)
        try:
            weights = load_network(saved).get_weights()
        except ArtifactError:
            errors += 1
        else:
            for weight, value in zip(weights, expected, strict=True):
                np.testing.assert_array_equal(weight, value)
    assert errors > 15


@pytest.mark.parametrize("missing", ["config.json", "model.weights.h5"])
def test_incomplete_archive_is_an_artifact_error(saved, tmp_path, missing):
    path = tmp_path / "incomplete.keras"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            if name != missing:
                target.writestr(name, source.read(name))
    with pytest.raises(ArtifactError, match=r"incomplete\.keras"):
        load_network(path)


@pytest.mark.parametrize("content", [None, b"", b"text"])
def test_missing_and_foreign_files_are_artifact_errors(tmp_path, content):
    if content is not None:
        (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.keras"):
        load_network(tmp_path / "model.keras")


def test_another_model_is_an_artifact_error(tmp_path):
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "model.keras")
    with pytest.raises(ArtifactError, match="Sequential, not an m-RNN"):
        load_network(tmp_path / "model.keras")


def test_code_in_a_file_is_not_run(tmp_path):
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x)]).save(tmp_path / "model.keras")
    with pytest.raises(ArtifactError, match=r"model\.keras"):
        load_network(tmp_path / "model.keras")


def global_generator_values():
    """The next values of the global generators of Python, NumPy and TensorFlow."""
    return random.random(), np.random.random(), float(tf.random.uniform([]))


@pytest.mark.parametrize("variant", ["mrnn", "tf-mrnn", "tf-mrnn-init-lstm"])
def test_network_leaves_global_generators_alone(make_network, tmp_path, variant):
    make_network(variant=variant).save(tmp_path / "model.keras")

    def construct():
        MRNN(7, 4, ModelConfig(variant, 3, 5, None if "init" in variant else 6, dropout=0.5), seed=3)

    values = []
    for action in (lambda: None, construct, lambda: load_network(tmp_path / "model.keras")):
        keras.utils.set_random_seed(1)
        action()
        values.append(global_generator_values())
    assert values == values[:1] * 3
