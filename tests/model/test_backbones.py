"""Image networks: VGG against plain NumPy, seeded weights, and a module from a folder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.backbones import BackboneSpec, load_backbone, vgg_preprocess
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
    np.testing.assert_allclose(vgg_preprocess(pixels)[0, 0, 0], [0 - 103.939, 100 - 116.779, 255 - 123.68], rtol=1e-6)


def test_vgg_with_weights_from_a_file_is_the_published_network(tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3))
    network.save_weights(tmp_path / "vgg.weights.h5")
    expected = plain_vgg16(IMAGES, network.get_weights())
    for layer, features in expected.items():
        backbone = load_backbone(BackboneSpec(f"vgg16/{layer}", str(tmp_path / "vgg.weights.h5"), 32))
        found = backbone.features(IMAGES)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, features, rtol=1e-3, atol=1e-3 * features.max())
        assert backbone.dimension == features.shape[1]
    assert backbone.dimension == 4096


def test_random_weights_are_those_of_their_seed():
    found = {}
    for seed in (1, 2):
        backbone = load_backbone(BackboneSpec("vgg16/fc2", f"random:{seed}", 32))
        found[seed] = backbone.weights_digest, backbone.features(IMAGES)
    load_backbone.cache_clear()
    again = load_backbone(BackboneSpec("vgg16/fc2", "random:1", 32))
    assert again.weights_digest == found[1][0] != found[2][0]
    np.testing.assert_array_equal(again.features(IMAGES), found[1][1])
    assert not np.allclose(found[1][1], found[2][1])


def test_a_network_is_loaded_once():
    spec = BackboneSpec("vgg16/block5_pool", "random:0", 32)
    assert load_backbone(spec) is load_backbone(spec)


@pytest.mark.parametrize("name", ["vgg16", "vgg16/fc9", "resnet50/fc2", "", "vgg16/fc2/more"])
def test_unknown_networks_and_layers_are_refused(name):
    with pytest.raises(ConfigurationError, match="vgg16/fc2"):
        load_backbone(BackboneSpec(name, "random:0", 32))


@pytest.mark.parametrize("weights", ["random:", "random:x"])
def test_a_seed_that_is_no_number_is_refused(weights):
    with pytest.raises(ConfigurationError, match=weights):
        load_backbone(BackboneSpec("vgg16/fc2", weights, 32))


@pytest.mark.parametrize("name", ["absent.weights.h5", "foreign.weights.h5", "foreign.txt"])
def test_weights_that_cannot_be_read_are_an_input_error(tmp_path, name):
    if name.startswith("foreign"):
        (tmp_path / name).write_text("text")
    with pytest.raises(InputError, match=name):
        load_backbone(BackboneSpec("vgg16/fc2", str(tmp_path / name), 32))


class ColourMean(tf.Module):
    """A module as TensorFlow Hub publishes them: pixels in 0..1 -> one vector an image."""

    def __init__(self, axes):
        super().__init__()
        self.scale = tf.Variable([1.0, 2.0, 3.0])
        self.axes = axes

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def __call__(self, images):
        return self.scale * tf.reduce_mean(images, self.axes)


def test_a_hub_module_in_a_folder_sees_rgb_between_zero_and_one(tmp_path):
    tf.saved_model.save(ColourMean([1, 2]), tmp_path / "colour_mean")
    spec = BackboneSpec(f"hub:{tmp_path / 'colour_mean'}", "", 8)
    backbone = load_backbone(spec)
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[1] = [255, 51, 0]
    np.testing.assert_allclose(backbone.features(images), [[0.0, 0.0, 0.0], [1.0, 0.4, 0.0]], atol=1e-6)
    assert backbone.dimension == 3
    assert spec.kind == "hub/colour_mean"
    assert len(backbone.weights_digest) == 64


def test_a_hub_module_that_gives_no_vectors_is_refused(tmp_path):
    tf.saved_model.save(ColourMean([1]), tmp_path / "rows")
    with pytest.raises(InputError, match="not one vector an image"):
        load_backbone(BackboneSpec(f"hub:{tmp_path / 'rows'}", "", 8))


def test_a_hub_module_that_takes_no_images_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), tmp_path / "nothing")
    with pytest.raises(InputError, match="nothing"):
        load_backbone(BackboneSpec(f"hub:{tmp_path / 'nothing'}", "", 8))


def test_a_folder_without_a_module_is_refused(tmp_path):
    with pytest.raises(InputError, match="absent"):
        load_backbone(BackboneSpec(f"hub:{tmp_path / 'absent'}", "", 8))


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
def test_the_kind_of_a_hub_module_tells_nothing_of_this_disk(handle, kind):
    assert BackboneSpec(f"hub:{handle}", "", 260).kind == kind


def test_the_kind_of_a_vgg_is_its_name():
    assert BackboneSpec("vgg19/fc1", "imagenet", 224).kind == "vgg19/fc1"
