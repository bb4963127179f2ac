"""VGG (Simonyan and Zisserman 2015), as Keras builds it. `fc2` after ReLU is the paper's "15th layer"."""

import keras

from model.backbones.base import CAFFE_PREPROCESSING, Backbone, caffe_preprocess, compile_forward, precision
from model.backbones.spec import BackboneSpec
from model.backbones.weights import build_with_weights, digest_weights
from schemas.errors import ConfigurationError

NETWORKS = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
LAYERS = ("fc2", "fc1", "block5_pool")
USAGE = f"{'|'.join(NETWORKS)}/{'|'.join(LAYERS)}"


def load(spec: BackboneSpec) -> Backbone:
    """VGG-16 or VGG-19 up to one of `LAYERS`; maps become vectors by height, width, channel."""
    if spec.rest not in LAYERS:
        raise ConfigurationError(f"There is no backbone {spec.name!r}; set it to {USAGE}.")
    size = spec.input_size or 224
    with precision(spec):
        full = build_with_weights(
            spec, lambda weights: NETWORKS[spec.network](weights=weights, input_shape=(size, size, 3))
        )
        model = keras.Model(full.input, keras.layers.Flatten(name="as_vector")(full.get_layer(spec.rest).output))
    return Backbone(
        features=compile_forward(spec, lambda images: model(caffe_preprocess(images), training=False)),
        input_size=size,
        dimension=int(model.output.shape[-1]),
        preprocessing=CAFFE_PREPROCESSING,
        weights_digest=digest_weights(full),
    )
