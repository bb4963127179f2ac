"""Concatenated features of several backbones, from one pass over the images."""

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from model.backbones.base import Backbone, Preprocess, TrainableNetwork
from model.backbones.blocks import SplitModel
from model.backbones.spec import BackboneSpec
from schemas.errors import ConfigurationError, InputError
from schemas.text import reason

NETWORKS = ("concat",)
USAGE = "concat:A+B"


def load(spec: BackboneSpec) -> Backbone:
    """Load the backbones of `concat:A+B`, all with the same input size, precision and pool.

    Their weights are of the same option, or from one file of `ParallelNetworks.save_weights`.

    Raises:
        ConfigurationError: There are fewer than two, one is a SavedModel, or their input sizes differ.
        InputError: Weights cannot be read or do not fit.
    """
    names = spec.rest.split("+")
    if len(names) < 2 or any(name.startswith(("hub:", "concat:")) for name in names):
        raise ConfigurationError(
            f"{spec.name!r} does not name two or more networks other than hub: modules; set backbone to "
            "concat:efficientnet-lite0+efficientnet-lite2, for example."
        )
    parts = _load_parts(spec, names)
    sizes = sorted({part.input_size for part in parts})
    if len(sizes) > 1:
        raise ConfigurationError(f"The networks of {spec.name} have input sizes of {sizes}; set input_size to one.")

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([part.features(images) for part in parts], axis=1)

    def build_network() -> "ParallelNetworks":
        networks = [part.network for part in parts if part.network]
        if len({network.preprocess for network in networks}) > 1:
            raise ConfigurationError(
                f"The networks of {spec.name} preprocess images in different ways and cannot be trained together; set "
                "backbone to networks of one family."
            )
        return ParallelNetworks(networks)

    return Backbone(
        features=features,
        input_size=sizes[0],
        dimension=sum(part.dimension for part in parts),
        preprocessing="; ".join(part.preprocessing for part in parts),
        weights_digest=hashlib.sha256("".join(part.weights_digest for part in parts).encode()).hexdigest(),
        build_network=build_network,
    )


@dataclass(frozen=True)
class ParallelNetworks:
    """A `TrainableNetwork` of several, which have the same preprocessing.

    Attributes:
        parts: The networks, in the order of their features.
    """

    parts: list[TrainableNetwork]

    @property
    def preprocess(self) -> Preprocess:
        """Preprocessing of all parts."""
        return self.parts[0].preprocess

    def split(self, count: int) -> SplitModel:
        """Split each network below its last `count` blocks; activations at the split points are flat, side by side."""
        splits = [part.split(count) for part in self.parts]
        images = keras.Input(splits[0].frozen.input_shape[1:])
        frozen = layers.Concatenate()([layers.Flatten()(split.frozen(images)) for split in splits])
        shapes = [split.trainable.input_shape[1:] for split in splits]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)]).tolist()
        row = keras.Input((ends[-1],))
        features = [
            split.trainable(layers.Reshape(shape)(row[:, start:end]))
            for split, shape, (start, end) in zip(splits, shapes, pairwise(ends), strict=True)
        ]
        variables = [variable for split in splits for variable in split.variables]
        return SplitModel(keras.Model(images, frozen), keras.Model(row, layers.Concatenate()(features)), variables)

    def save_weights(self, path: Path) -> None:
        """Write one HDF5 file with a group for each network, `0`, `1` and so on, in Keras's format."""
        with TemporaryDirectory() as directory, h5py.File(path, "w") as file:
            for position, part in enumerate(self.parts):
                own = Path(directory) / f"{position}.weights.h5"
                part.save_weights(own)
                with h5py.File(own) as saved:
                    file.copy(saved["/"], str(position))


def _load_parts(spec: BackboneSpec, names: list[str]) -> list[Backbone]:
    """Load the networks with weights of one option, or from a file of `ParallelNetworks.save_weights`."""
    from model.backbones import load_backbone  # which imports this module by name

    if spec.local_path is None:
        return [load_backbone(replace(spec, name=name)) for name in names]
    parts = []
    try:
        with h5py.File(spec.local_path) as file, TemporaryDirectory() as directory:
            if sorted(file) != sorted(map(str, range(len(names)))):
                raise ValueError(f"it does not have the weights of {len(names)} networks")
            for position, name in enumerate(names):
                own = Path(directory) / f"{position}.weights.h5"
                with h5py.File(own, "w") as target:
                    for group in file[str(position)]:
                        file.copy(f"{position}/{group}", target)
                parts.append(load_backbone(replace(spec, name=name, weights=str(own))))
    except (OSError, ValueError, InputError) as error:
        raise InputError(
            f"{spec.local_path} cannot be used as weights of {spec.name} ({reason(error, 300)}); set weights to a file "
            "of these networks, fine-tuned together."
        ) from error
    return parts
