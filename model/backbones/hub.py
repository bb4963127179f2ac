"""Any image network that is published as a SavedModel of TensorFlow Hub."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from model.backbones.base import Backbone, check_not_pooled, compile_forward
from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError, InputError
from schemas.text import reason

NETWORKS = ("hub",)
USAGE = "hub:HANDLE"


def load(spec: BackboneSpec) -> Backbone:
    """The module behind a handle, from the network or a folder; by Hub's convention it takes RGB in 0..1."""
    if spec.precision != "float32":
        raise ConfigurationError("A TensorFlow Hub module computes as it was saved; set precision to float32.")
    check_not_pooled(spec)
    try:
        folder = _folder(spec.rest)
        module = tf.saved_model.load(str(folder))
    except (OSError, ValueError) as error:
        raise InputError(f"{spec.rest} cannot be loaded as a TensorFlow Hub module ({reason(error)}).") from error
    size = spec.input_size or _stated_size(module)
    if not size:
        raise ConfigurationError(f"{spec.rest} does not say its size of input; set input_size.")

    def forward(images: tf.Tensor) -> tf.Tensor:
        return module(tf.cast(images, tf.float32) / 255.0)

    try:
        probe = forward(tf.zeros((1, size, size, 3), tf.uint8))
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise InputError(
            f"{spec.rest} takes no pictures of {size}x{size}; check input_size, or take another."
        ) from error
    if len(probe.shape) != 2:
        raise InputError(f"{spec.rest} gives an output of shape {probe.shape}, not one vector an image; take another.")
    return Backbone(
        features=compile_forward(spec, forward),
        input_size=size,
        dimension=int(probe.shape[-1]),
        preprocessing="RGB, 0..1",
        weights_digest=_digest_files(each for each in sorted(folder.rglob("*")) if each.is_file()),
    )


def _folder(handle: str) -> Path:
    """Where the module is on this disk; a published one is fetched."""
    if (folder := Path(handle)).is_dir():
        return folder
    import tensorflow_hub  # not for a folder: it takes a second

    return Path(tensorflow_hub.resolve(handle))


def _stated_size(module: object) -> int | None:
    """The height that the module's own signature asks for, if it does."""
    call = getattr(module, "__call__", None)  # noqa: B004  (asked for what a SavedModel hangs on it, not whether it is)
    for function in getattr(call, "concrete_functions", ()):
        for tensor in tf.nest.flatten(function.structured_input_signature):
            if isinstance(tensor, tf.TensorSpec) and tensor.shape.rank == 4 and tensor.shape[1]:
                return int(tensor.shape[1])
    return None


def _digest_files(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
