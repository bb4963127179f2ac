"""Feature extractor: from crops of images to features as they are stored."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.backbones import load_backbone
from model.backbones.images import cut_crops
from model.backbones.spec import BackboneSpec
from model.devices import prepare_process
from pipelines.engines.shards import ImageSource
from schemas.features import FeatureDescription


class FeatureExtractor:
    """The computation of ExtractFeatures, for its workers and for arbitrary images."""

    def __init__(self, spec: BackboneSpec, crop: str, dtype: str, threads: int):
        """Load the backbone.

        Args:
            spec: Backbone.
            crop: One of `model.backbones.images.CROPS`.
            dtype: Data type of the features, `float16` or `float32`.
            threads: CPU threads of TensorFlow; 0 is its default.

        Raises:
            ConfigurationError: There is no such backbone or layer.
            InputError: The weights cannot be read.
        """
        prepare_process(threads)
        self._spec, self._backbone = spec, load_backbone(spec)
        self.crop, self.dtype = crop, dtype

    @property
    def input_size(self) -> int:
        """Side of the crops in pixels."""
        return self._backbone.input_size

    @property
    def dimension(self) -> int:
        """Length of a feature vector."""
        return self._backbone.dimension

    def cut(self, _: ImageSource, image: Image.Image) -> NDArray[np.uint8]:
        """Cut the crops of an image, uint8 (crops, S, S, 3); for `read_ahead`."""
        return cut_crops(image, self.input_size, self.crop)

    def features(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.floating]:
        """Map crops of each image, uint8 (crops, S, S, 3), to features averaged over crops (images, dimension)."""
        of_crops = self._backbone.features(np.concatenate(images))
        features: NDArray[np.floating] = (
            of_crops.reshape(len(images), -1, self.dimension).mean(axis=1).astype(self.dtype)
        )
        return features

    def description(self, dataset: str) -> FeatureDescription:
        """Describe the features of a dataset."""
        return FeatureDescription(
            kind=self._spec.kind,
            preprocessing=f"{self.crop} crop to {self.input_size}, {self._backbone.preprocessing}",
            weights_digest=self._backbone.weights_digest,
            dataset=dataset,
        )
