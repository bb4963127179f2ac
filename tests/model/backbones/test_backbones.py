"""Backbones: VGG against plain NumPy, seeded weights, and a module in a directory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.backbones import load_backbone
from model.backbones.alexnet import build_alexnet
from model.backbones.base import caffe_preprocess
from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError, InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
BLOCKS = (2, 2, 3, 3, 3)  # convolutions of VGG-16


@pytest.fixture(autouse=True)
def forget_networks():
    """A VGG takes much memory; none is kept beyond its test."""
    yield
    load_backbone.cache_clear()


def convolve(images, kernel, bias):
    """3x3 convolution with a border of zeros, then ReLU."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.maximum(0.0, np.einsum("byxchw,hwcd->byxd", windows, kernel, optimize=True) + bias)


def plain_vgg16(images, weights):
    """Features of the last pooling and of the two fully connected layers; weights in Keras's order."""
    mean = np.array([103.939, 116.779, 123.68], np.float32)
    layers = iter(zip(weights[::2], weights[1::2], strict=True))
    x = images.astype(np.float32)[:, :, :, ::-1] - mean
    for convolutions in BLOCKS:
        for _ in range(convolutions):
            x = convolve(x, *next(layers))
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    features = {"block5_pool": x.reshape(len(x), -1)}
    for name in ("fc1", "fc2"):
        kernel, bias = next(layers)
        features[name] = x = np.maximum(0.0, x.reshape(len(x), -1) @ kernel + bias)
    return features


def test_pixels_become_bgr_without_the_mean():
    pixels = np.array([[[[255, 100, 0]]]], np.uint8)
    np.testing.assert_allclose(caffe_preprocess(pixels)[0, 0, 0], [0 - 103.939, 100 - 116.779, 255 - 123.68], rtol=1e-6)


def test_vgg_is_the_published_network():
    backbone = load_backbone(BackboneSpec("vgg16/fc2", "random:0", 32))
    expected = plain_vgg16(IMAGES, backbone.network.whole.get_weights())["fc2"]
    np.testing.assert_allclose(backbone.features(IMAGES), expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.fixture(scope="module")
def vgg():
    """A VGG-16, and its features of `IMAGES` by plain NumPy."""
    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3))
    return network, plain_vgg16(IMAGES, network.get_weights())


@pytest.mark.slow("writes a network of 38 million weights and builds it three times")
def test_vgg_layers_with_weights_from_a_file_match_plain_numpy(vgg, tmp_path):
    network, expected = vgg
    network.save_weights(tmp_path / "vgg.weights.h5")
    for layer, features in expected.items():
        backbone = load_backbone(BackboneSpec(f"vgg16/{layer}", str(tmp_path / "vgg.weights.h5"), 32))
        found = backbone.features(IMAGES)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, features, rtol=1e-3, atol=1e-3 * features.max())
        assert backbone.dimension == features.shape[1]
    assert backbone.dimension == 4096


@pytest.mark.slow("writes and reads networks of 38 million weights")
@pytest.mark.parametrize("name", ["vgg.keras", "vgg.h5"])
def test_complete_models_serve_as_weights_files(vgg, tmp_path, name):
    network, features = vgg
    network.save(tmp_path / name)
    found = load_backbone(BackboneSpec("vgg16/block5_pool", str(tmp_path / name), 32)).features(IMAGES)
    expected = features["block5_pool"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())


def convolve_grouped(images, kernel, bias, groups=1, stride=1, border=0):
    """A convolution in groups of channels, then ReLU: one window after another."""
    images = np.pad(images, ((0, 0), (border, border), (border, border), (0, 0)))
    size, inputs, outputs = kernel.shape[0], kernel.shape[2], kernel.shape[3] // groups
    steps = (images.shape[1] - size) // stride + 1
    result = np.empty((len(images), steps, steps, kernel.shape[3]), np.float32)
    for y, x, group in np.ndindex(steps, steps, groups):
        channels = slice(group * inputs, (group + 1) * inputs)
        window = images[:, y * stride : y * stride + size, x * stride : x * stride + size, channels]
        part = slice(group * outputs, (group + 1) * outputs)
        result[:, y, x, part] = np.tensordot(window, kernel[..., part], 3) + bias[part]
    return np.maximum(0.0, result)


def normalize(images):
    """Caffe's LRN across channels: local size 5, alpha 1e-4, beta 0.75, k 1."""
    result = np.empty_like(images)
    for channel in range(images.shape[3]):
        squares = images[..., max(0, channel - 2) : channel + 3] ** 2
        result[..., channel] = images[..., channel] / (1.0 + 1e-4 / 5 * squares.sum(axis=3)) ** 0.75
    return result


def pool(images):
    """The largest of each 3x3 window, a window every second pixel."""
    steps = (images.shape[1] - 3) // 2 + 1
    windows = [
        [images[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].max(axis=(1, 2)) for x in range(steps)] for y in range(steps)
    ]
    return np.array(windows).transpose(2, 0, 1, 3)


def plain_alexnet(images, weights):
    layers = iter(zip(weights[::2], weights[1::2], strict=True))
    x = images.astype(np.float32)[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    x = pool(normalize(convolve_grouped(x, *next(layers), stride=4)))
    x = pool(normalize(convolve_grouped(x, *next(layers), groups=2, border=2)))
    x = convolve_grouped(x, *next(layers), border=1)
    x = convolve_grouped(x, *next(layers), groups=2, border=1)
    x = pool(convolve_grouped(x, *next(layers), groups=2, border=1))
    features = {"pool5": x.reshape(len(x), -1)}
    for name in ("fc6", "fc7"):
        kernel, bias = next(layers)
        features[name] = x = np.maximum(0.0, x.reshape(len(x), -1) @ kernel + bias)
    return features


@pytest.mark.slow("builds a network of 56 million weights, and a smaller one four times")
def test_alexnet_is_the_published_network(tmp_path):
    network = build_alexnet()
    assert network.input_shape == (None, 227, 227, 3)
    assert network.count_params() == 60_965_224 - 4_097_000, "the published number less the classifier's"
    keras.utils.set_random_seed(0)
    network = build_alexnet(67)
    random = np.random.default_rng(1)
    network.set_weights([weight + 0.01 * random.standard_normal(weight.shape) for weight in network.get_weights()])
    network.save_weights(tmp_path / "alexnet.weights.h5")
    images = random.integers(0, 256, (2, 67, 67, 3), dtype=np.uint8)
    for layer, expected in plain_alexnet(images, network.get_weights()).items():
        backbone = load_backbone(BackboneSpec(f"alexnet/{layer}", str(tmp_path / "alexnet.weights.h5"), 67))
        np.testing.assert_allclose(backbone.features(images), expected, rtol=1e-3, atol=1e-3 * expected.max())
        assert backbone.dimension == expected.shape[1]


def test_alexnet_has_no_weights_to_download():
    with pytest.raises(ConfigurationError, match="file or to random:SEED"):
        load_backbone(BackboneSpec("alexnet/fc7", "imagenet"))


def test_keras_backbone_is_created_by_name():
    backbone = load_backbone(BackboneSpec("keras:MobileNet", "random:0", 64))
    keras_s = keras.applications.MobileNet(weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    random = np.random.default_rng(0)
    for layer in keras_s.layers:
        for weight in layer.weights:
            if len(weight.shape) > 1:  # He et al. 2015
                channels = 1 if isinstance(layer, keras.layers.DepthwiseConv2D) else weight.shape[-2]
                fan_in = np.prod(weight.shape[:2]) * channels
                weight.assign(np.sqrt(2.0 / fan_in) * random.standard_normal(weight.shape, np.float32))
    expected = keras_s.predict(images / 127.5 - 1.0, verbose=0)
    np.testing.assert_allclose(backbone.features(images), expected, rtol=1e-3, atol=1e-4)
    assert backbone.dimension == 1024
    assert backbone.preprocessing.endswith("mobilenet")
    assert expected.std() > 0.01, "random weights of a depthwise network keep the size of activations"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("keras:MobileNet", 224),
        pytest.param("keras:InceptionV3", 299, marks=pytest.mark.slow("builds a network of 300 layers")),
    ],
)
def test_backbone_reports_its_input_size(name, size):
    assert load_backbone(BackboneSpec(name, "random:0")).input_size == size


@pytest.mark.parametrize("name", ["keras:ResNet17", "keras:resnet50", "keras:", "keras:Model_"])
def test_unknown_keras_backbone_is_refused_with_the_available_ones(name):
    with pytest.raises(ConfigurationError, match="ResNet50"):
        load_backbone(BackboneSpec(name, "random:0", 64))


@pytest.mark.slow("half precision is emulated on most processors")
@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_bfloat16", 0.05), ("mixed_float16", 0.01)])
def test_mixed_precision_is_close_and_still_gives_float32(precision, tolerance):
    exact = load_backbone(BackboneSpec("vgg16/block5_pool", "random:0", 32)).features(IMAGES)
    mixed = load_backbone(BackboneSpec("vgg16/block5_pool", "random:0", 32, precision)).features(IMAGES)
    assert mixed.dtype == np.float32
    assert 0 < np.abs(mixed - exact).max() < tolerance * exact.max()
    assert keras.config.dtype_policy().name == "float32", "the setting ends with the network's making"


def test_xla_gives_the_same_features():
    exact = load_backbone(BackboneSpec("efficientnet-lite2/block2", "imagenet", 32)).features(IMAGES)
    compiled = load_backbone(BackboneSpec("efficientnet-lite2/block2", "imagenet", 32, xla=True)).features(IMAGES)
    np.testing.assert_allclose(compiled, exact, rtol=1e-3, atol=1e-3 * exact.max())


def test_unknown_precision_is_refused():
    with pytest.raises(ConfigurationError, match="mixed_float16"):
        load_backbone(BackboneSpec("vgg16/fc2", "random:0", 32, "half"))


def test_random_weights_are_those_of_their_seed():
    found = {}
    for seed in (1, 2):
        backbone = load_backbone(BackboneSpec("efficientnet-lite0/block2", f"random:{seed}", 32))
        found[seed] = backbone.weights_digest, backbone.features(IMAGES)
    load_backbone.cache_clear()
    again = load_backbone(BackboneSpec("efficientnet-lite0/block2", "random:1", 32))
    assert again.weights_digest == found[1][0] != found[2][0]
    np.testing.assert_array_equal(again.features(IMAGES), found[1][1])
    assert not np.allclose(found[1][1], found[2][1])


def test_backbone_is_loaded_once():
    spec = BackboneSpec("efficientnet-lite2/block2", "imagenet", 32)
    assert load_backbone(spec) is load_backbone(spec)


def test_too_small_input_is_refused():
    with pytest.raises(ConfigurationError, match=r"keras:MobileNetV2 cannot be built .*32x32.*change input_size"):
        load_backbone(BackboneSpec("keras:MobileNetV2", "random:0", 8))


@pytest.mark.parametrize("name", ["vgg16", "vgg16/fc9", "resnet50/fc2", "", "vgg16/fc2/more"])
def test_unknown_networks_and_layers_are_refused(name):
    with pytest.raises(ConfigurationError, match=r"vgg16\|vgg19/fc2"):
        load_backbone(BackboneSpec(name, "random:0", 32))


@pytest.mark.parametrize("weights", ["random:", "random:x"])
def test_non_numeric_seed_is_refused(weights):
    with pytest.raises(ConfigurationError, match=weights):
        load_backbone(BackboneSpec("vgg16/fc2", weights, 32))


@pytest.mark.parametrize("name", ["absent.weights.h5", "foreign.weights.h5", "foreign.txt"])
def test_unreadable_weights_are_an_input_error(tmp_path, name):
    if name.startswith("foreign"):
        (tmp_path / name).write_text("text")
    with pytest.raises(InputError, match=name):
        load_backbone(BackboneSpec("vgg16/block5_pool", str(tmp_path / name), 32))


class ColorMean(tf.Module):
    """A module as TensorFlow Hub publishes them: pixels in 0..1 -> one vector an image."""

    def __init__(self, axes):
        super().__init__()
        self.scale = tf.Variable([1.0, 2.0, 3.0])
        self.axes = axes

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def __call__(self, images):
        return self.scale * tf.reduce_mean(images, self.axes)


def test_hub_module_receives_rgb_in_unit_range(tmp_path):
    tf.saved_model.save(ColorMean([1, 2]), tmp_path / "color_mean")
    spec = BackboneSpec(f"hub:{tmp_path / 'color_mean'}", "", 8)
    backbone = load_backbone(spec)
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[1] = [255, 51, 0]
    np.testing.assert_allclose(backbone.features(images), [[0.0, 0.0, 0.0], [1.0, 0.4, 0.0]], atol=1e-6)
    assert backbone.dimension == 3
    assert spec.kind == "hub/color_mean"
    assert len(backbone.weights_digest) == 64


def test_hub_module_without_vector_output_is_refused(tmp_path):
    tf.saved_model.save(ColorMean([1]), tmp_path / "rows")
    with pytest.raises(InputError, match="not one vector per image"):
        load_backbone(BackboneSpec(f"hub:{tmp_path / 'rows'}", "", 8))


def test_hub_module_without_image_input_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), tmp_path / "nothing")
    with pytest.raises(InputError, match="nothing"):
        load_backbone(BackboneSpec(f"hub:{tmp_path / 'nothing'}", "", 8))


def test_directory_without_a_hub_module_is_refused(tmp_path):
    with pytest.raises(InputError, match="absent"):
        load_backbone(BackboneSpec(f"hub:{tmp_path / 'absent'}", "", 8))


class Sized(ColorMean):
    """A module that states its size of input."""

    @tf.function(input_signature=[tf.TensorSpec((None, 12, 12, 3), tf.float32)])
    def __call__(self, images):
        return tf.reduce_mean(images, self.axes)


def test_hub_module_can_report_its_size(tmp_path):
    tf.saved_model.save(Sized([1, 2]), tmp_path / "sized")
    assert load_backbone(BackboneSpec(f"hub:{tmp_path / 'sized'}", "")).input_size == 12
    tf.saved_model.save(ColorMean([1, 2]), tmp_path / "unsized")
    with pytest.raises(ConfigurationError, match="set input_size"):
        load_backbone(BackboneSpec(f"hub:{tmp_path / 'unsized'}", ""))


def test_hub_module_computes_as_saved(tmp_path):
    with pytest.raises(ConfigurationError, match="set precision to float32"):
        load_backbone(BackboneSpec(f"hub:{tmp_path}", "", 8, "mixed_float16"))


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        ("/somewhere/efficientnet_lite2", "hub/efficientnet_lite2"),
        (
            "https://tfhub.dev/tensorflow/efficientnet/lite2/feature-vector/2",
            "hub/tensorflow/efficientnet/lite2/feature-vector/2",
        ),
    ],
)
def test_hub_module_kind_is_independent_of_the_path(handle, kind):
    assert BackboneSpec(f"hub:{handle}", "", 260).kind == kind


def test_vgg_kind_is_its_name():
    assert BackboneSpec("vgg19/fc1", "imagenet", 224).kind == "vgg19/fc1"
    assert BackboneSpec("keras:ResNet50", "imagenet").kind == "keras/ResNet50"
