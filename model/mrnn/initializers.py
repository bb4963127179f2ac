"""Initializers with seeds of their own, so that making a network leaves all global random generators alone."""

import random

import keras

_MAX_SEED = 10**9


class Initializers:
    """Makes initializers whose seeds are drawn one after another from a generator of this object."""

    def __init__(self, seed: int):
        """Equal seeds give equal initial weights, if initializers are made in the same order."""
        self._random = random.Random(seed)

    def glorot_uniform(self) -> keras.initializers.Initializer:
        """For dense layers."""
        return keras.initializers.GlorotUniform(self._next_seed())

    def orthogonal(self) -> keras.initializers.Initializer:
        """For recurrent weights."""
        return keras.initializers.Orthogonal(seed=self._next_seed())

    def uniform(self) -> keras.initializers.Initializer:
        """For embeddings."""
        return keras.initializers.RandomUniform(seed=self._next_seed())

    def _next_seed(self) -> int:
        return self._random.randint(1, _MAX_SEED)
