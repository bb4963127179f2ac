"""Which image network, in words that fit into a configuration file. Loads no TensorFlow: whoever plans needs none."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError

AVERAGE = "average"
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class BackboneSpec:
    """Which network, and how it computes.

    name: `vgg16/fc2` (also vgg19, fc1, block5_pool), `alexnet/fc7` (also fc6, pool5), `keras:NAME` (any network of
    `keras.applications`, its last feature map averaged) or `hub:HANDLE` (a TensorFlow Hub address or a SavedModel
    folder); weights: `imagenet`, `random:SEED` or a file of Keras weights, none for `hub`; input_size: side of the
    input in pixels, 0 for the network's own; precision: one of `PRECISIONS`; xla: compile with XLA; pool: how the last
    feature map of EfficientNet-Lite and of `keras:` networks becomes a vector, `average` or `grid:N` (the averages of
    N x N cells side by side).
    """

    name: str
    weights: str
    input_size: int = 0
    precision: str = "float32"
    xla: bool = False
    pool: str = AVERAGE

    @property
    def grid(self) -> int:
        """Number of cells along each side of the pooled feature map; 1 is the average over the map.

        Raises:
            ConfigurationError: There is no such `pool`.
        """
        if self.pool == AVERAGE:
            return 1
        found = re.fullmatch(r"grid:([1-9]\d?)", self.pool)
        if not found:
            raise ConfigurationError(f"There is no pool {self.pool!r}; set it to {AVERAGE} or grid:N, such as grid:2.")
        return int(found[1])

    @property
    def network(self) -> str:
        """The name up to its first `/` or `:`."""
        return re.split("[/:]", self.name, maxsplit=1)[0]

    @property
    def rest(self) -> str:
        """The name after its first `/` or `:`."""
        return self.name[len(self.network) + 1 :]

    @property
    def kind(self) -> str:
        """How the features are called in artifacts; says nothing of where the network lies on this disk."""
        if self.network != "hub":
            name = self.name.replace(":", "/")
            return name if self.pool == AVERAGE else f"{name}/{self.pool.replace(':', '')}"
        return f"hub/{urlsplit(self.rest).path.strip('/') if '://' in self.rest else Path(self.rest).name}"
