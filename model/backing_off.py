"""Batches that memory has no room for are computed in halves."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from schemas.errors import ResourceError


class BackingOff:
    """`compute(images (B, ...)) -> (B, ...)`; once memory has run out, on a GPU or a CPU, each batch goes in halves."""

    def __init__(self, compute: Callable[[np.ndarray], np.ndarray]):
        """`compute` treats the images of a batch alike."""
        self.compute = compute
        self.parts = 1

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The same as `compute`.

        Raises:
            ResourceError: memory runs out for half a batch too.
        """
        try:
            return self._in_parts(images)
        except tf.errors.ResourceExhaustedError as error:
            if self.parts == 2 or len(images) < 2:
                raise ResourceError(
                    f"Memory ran out for {len(images)} images in {self.parts} parts; lower batch_size."
                ) from error
            self.parts = 2
        return self(images)  # out here the error and what it holds on to are gone

    def _in_parts(self, images: np.ndarray) -> np.ndarray:
        parts = np.array_split(images, min(self.parts, len(images)))
        return np.concatenate([self.compute(part) for part in parts]) if len(parts) > 1 else self.compute(images)
