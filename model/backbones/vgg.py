"""VGG (Simonyan and Zisserman 2015) of Keras. `fc2` after ReLU is the "15th layer" of the m-RNN paper."""

import keras

from model.backbones.base import Backbone, load_caffe_network
from model.backbones.spec import BackboneSpec

NETWORKS = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
LAYERS = ("fc2", "fc1", "block5_pool")
USAGE = f"{'|'.join(NETWORKS)}/{'|'.join(LAYERS)}"


def load(spec: BackboneSpec) -> Backbone:
    """Load VGG-16 or VGG-19 up to one of `LAYERS`; feature maps are flattened by height, width, channel."""
    size = spec.input_size or 224
    return load_caffe_network(
        spec, LAYERS, USAGE, size, lambda weights: NETWORKS[spec.network](weights=weights, input_shape=(size, size, 3))
    )
