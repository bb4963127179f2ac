"""Seeded initializers, so that creating a network does not touch global random generators."""

import random

import keras

_MAX_SEED = 10**9


class Initializers:
    """Source of initializers, whose seeds are drawn in order from a generator of this object."""

    def __init__(self, seed: int):
        """Seed the generator; equal seeds give equal weights if initializers are created in the same order."""
        self._random = random.Random(seed)

    def glorot_uniform(self) -> keras.initializers.Initializer:
        """Return an initializer for dense layers."""
        return keras.initializers.GlorotUniform(self._next_seed())

    def orthogonal(self) -> keras.initializers.Initializer:
        """Return an initializer for recurrent weights."""
        return keras.initializers.Orthogonal(seed=self._next_seed())

    def uniform(self) -> keras.initializers.Initializer:
        """Return an initializer for embeddings."""
        return keras.initializers.RandomUniform(seed=self._next_seed())

    def _next_seed(self) -> int:
        return self._random.randint(1, _MAX_SEED)
