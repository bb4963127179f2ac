"""Concatenated backbones."""

import numpy as np
import pytest

from model.backbones import load_backbone
from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError, InputError

PAIR = "concat:efficientnet-lite0+efficientnet-lite2"
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


@pytest.mark.parametrize("count", [1, 3])
def test_each_network_is_split_before_its_last_blocks(count):
    network = load(PAIR, 64, "random:0").network
    split = network.split(count)
    images = network.preprocess(np.repeat(np.repeat(IMAGES, 2, axis=1), 2, axis=2))
    expected = np.concatenate([part.encoder(images) for part in network.parts], axis=1)
    np.testing.assert_allclose(split.trainable(split.frozen(images)), expected, rtol=1e-5, atol=1e-6)
    own = [variable for part in network.parts for variable in part.split(count).variables]
    assert [id(variable) for variable in split.variables] == [id(variable) for variable in own]
    assert {id(variable) for variable in split.trainable.trainable_variables} == {id(each) for each in own}


def test_saved_weights_are_the_same_networks(tmp_path):
    path = tmp_path / "tuned.weights.h5"
    saved = load(PAIR, weights="random:3")
    saved.network.save_weights(path)
    found = load(PAIR, weights=str(path))
    assert found.weights_digest == saved.weights_digest
    np.testing.assert_array_equal(found.features(IMAGES), saved.features(IMAGES))


def test_weights_file_of_other_networks_is_refused(tmp_path):
    path = tmp_path / "tuned.weights.h5"
    load("efficientnet-lite0", weights="random:0").network.save_weights(path)
    with pytest.raises(InputError, match=r"tuned.weights.h5 cannot be used .* of 2 networks"):
        load(PAIR, weights=str(path))
    (tmp_path / "broken.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"broken.weights.h5 cannot be used"):
        load(PAIR, weights=str(tmp_path / "broken.weights.h5"))


def test_networks_with_different_preprocessing_are_not_trained_together():
    with pytest.raises(ConfigurationError, match="preprocess images in different ways"):
        _ = load("concat:efficientnet-lite0+keras:MobileNetV2", weights="random:0").network
