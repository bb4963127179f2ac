"""Concatenated backbones."""

import numpy as np
import pytest

from model.backbones import load_backbone
from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError

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
    assert both.network is None
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
