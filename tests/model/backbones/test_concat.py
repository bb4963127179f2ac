"""Concatenated backbones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import model.backbones
from model.backbones import concat, load_backbone
from model.backbones.base import Backbone, KerasNetwork
from model.backbones.spec import BackboneSpec
from model.backbones.weights import build_with_weights, digest_weights
from schemas.errors import ConfigurationError, InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def load(name, size=32, weights="imagenet"):
    return load_backbone(BackboneSpec(name, weights, size))


def test_features_are_those_of_the_parts_side_by_side():
    names = ["efficientnet-lite2/block4", "efficientnet-lite2/block7"]
    both = load(f"concat:{'+'.join(names)}")
    np.testing.assert_array_equal(
        both.features(IMAGES), np.concatenate([load(name).features(IMAGES) for name in names], axis=1)
    )
    assert both.dimension == 48 + 88
    assert BackboneSpec("concat:a+b", "imagenet").kind == "concat/a+b"


def test_weights_digest_depends_on_every_part():
    parts = [f"efficientnet-lite{number}/block1" for number in (0, 1)]
    digests = {load(f"concat:{one}+{other}", weights="random:0").weights_digest for one in parts for other in parts}
    assert len(digests) == 4


def test_input_sizes_must_agree():
    with pytest.raises(ConfigurationError, match=r"\[224, 240\]; set input_size"):
        load("concat:efficientnet-lite0+efficientnet-lite1", size=0, weights="random:0")


@pytest.mark.parametrize("name", ["concat:", "concat:efficientnet-lite0", "concat:efficientnet-lite0+hub:/a", "concat"])
def test_concat_refuses_other_combinations(name):
    with pytest.raises(ConfigurationError, match="two or more networks"):
        load(name)


def test_unknown_parts_are_refused():
    with pytest.raises(ConfigurationError, match="no backbone 'resnet'"):
        load("concat:efficientnet-lite2+resnet")


def scaled(images):
    return tf.cast(images, tf.float32) / 255.0


def inverted(images):
    return 1.0 - scaled(images)


# Filters of two blocks, and preprocessing.
SMALL = {"one": ((3, 4), scaled), "two": ((2, 5), scaled), "other": ((2, 5), inverted)}


def load_small(spec):
    """Load a network of SMALL, of images of 8 x 8 pixels."""
    filters, preprocess = SMALL[spec.name]

    def build(_):
        x = inputs = keras.Input((8, 8, 3))
        for number, count in enumerate(filters):
            x = layers.Conv2D(count, 3, 2, activation="relu", name=f"block{number}_conv")(x)
        return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))

    built = build_with_weights(spec, build)
    network = KerasNetwork(built, preprocess, built)
    return Backbone(
        lambda images: network.forward(images).numpy(), 8, filters[-1], "", digest_weights(built), lambda: network
    )


@pytest.fixture
def small(monkeypatch):
    """Load a combination of networks of SMALL."""
    monkeypatch.setattr(model.backbones, "load_backbone", load_small)
    return lambda name, weights="random:3": concat.load(BackboneSpec(f"concat:{name}", str(weights)))


@pytest.mark.parametrize("count", [1, 2])
def test_each_network_is_split_before_its_last_blocks(small, count):
    backbone = small("one+two")
    split = backbone.network.split(count)
    images = IMAGES[:, :8, :8]
    found = split.trainable(split.frozen(backbone.network.preprocess(images)))
    np.testing.assert_allclose(found, backbone.features(images), rtol=1e-5, atol=1e-6)
    own = [variable for part in backbone.network.parts for variable in part.split(count).variables]
    assert [id(variable) for variable in split.variables] == [id(variable) for variable in own]
    assert {id(variable) for variable in split.trainable.trainable_variables} == {id(each) for each in own}


def test_saved_weights_are_the_same_networks(small, tmp_path):
    path = tmp_path / "tuned.weights.h5"
    saved = small("one+two")
    saved.network.save_weights(path)
    found = small("one+two", path)
    assert found.weights_digest == saved.weights_digest != small("one+two", "random:4").weights_digest
    np.testing.assert_array_equal(found.features(IMAGES[:, :8, :8]), saved.features(IMAGES[:, :8, :8]))


@pytest.mark.slow("builds four networks")
def test_saved_weights_of_efficientnets_are_the_same_networks(tmp_path):
    path, pair = tmp_path / "tuned.weights.h5", "concat:efficientnet-lite0+efficientnet-lite2"
    saved = load(pair, weights="random:3")
    saved.network.save_weights(path)
    found = load(pair, weights=str(path))
    assert found.weights_digest == saved.weights_digest
    np.testing.assert_array_equal(found.features(IMAGES), saved.features(IMAGES))


def test_weights_file_of_other_networks_is_refused(small, tmp_path):
    path = tmp_path / "tuned.weights.h5"
    small("one+two").network.parts[0].save_weights(path)
    with pytest.raises(InputError, match=r"tuned.weights.h5 cannot be used .* of 2 networks"):
        small("one+two", path)
    small("one+two").network.save_weights(path)
    with pytest.raises(InputError, match=r"tuned.weights.h5 cannot be used .* of concat:two\+one .*0.weights.h5"):
        small("two+one", path)
    (tmp_path / "broken.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"broken.weights.h5 cannot be used"):
        small("one+two", tmp_path / "broken.weights.h5")


def test_networks_with_different_preprocessing_are_not_trained_together(small):
    with pytest.raises(ConfigurationError, match="preprocess images in different ways"):
        _ = small("one+other").network
