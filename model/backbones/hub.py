"""Backbones published as SavedModels on TensorFlow Hub."""

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
    """Load the module of a handle, a URL or a directory; by convention of the Hub its input is RGB in 0..1."""
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
        raise ConfigurationError(f"{spec.rest} has no fixed input size; set input_size.")

    def forward(images: tf.Tensor) -> tf.Tensor:
        return module(tf.cast(images, tf.float32) / 255.0)

    try:
        probe = forward(tf.zeros((1, size, size, 3), tf.uint8))
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise InputError(
            f"{spec.rest} does not accept images of {size}x{size}; check input_size, or choose another module."
        ) from error
    if len(probe.shape) != 2:
        raise InputError(
            f"{spec.rest} returns the shape {probe.shape}, not one vector per image; choose another module."
        )
    return Backbone(
        features=compile_forward(spec, forward),
        input_size=size,
        dimension=int(probe.shape[-1]),
        preprocessing="RGB, 0..1",
        weights_digest=_digest_files(each for each in sorted(folder.rglob("*")) if each.is_file()),
    )


def _folder(handle: str) -> Path:
    """Locate the module on this machine; a published one is downloaded."""
    if (folder := Path(handle)).is_dir():
        return folder
    import tensorflow_hub  # takes a second, and a directory does not need it

    return Path(tensorflow_hub.resolve(handle))


def _stated_size(module: object) -> int | None:
    """Read the input height from the signature of the module, if it is fixed."""
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
