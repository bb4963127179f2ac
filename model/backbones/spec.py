"""Specification of a backbone as text that fits into a configuration file; does not import TensorFlow."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError

AVERAGE = "average"


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone and how it computes.

    Attributes:
        name: `efficientnet-lite2` (also lite0 and lite1, or blocks as in `efficientnet-lite2/block10,block15`),
            `vgg16/fc2` (also vgg19, fc1, block5_pool), `alexnet/fc7` (also fc6, pool5), `keras:NAME` (any network of
            `keras.applications`), `hub:HANDLE` (a TensorFlow Hub URL or a SavedModel directory), or `concat:A+B` (the
            features of several networks side by side).
        weights: `imagenet`, `random:SEED` or a file of Keras weights; empty for `hub`.
        input_size: Side of the input in pixels; 0 is the network's default.
        precision: One of `model.precision.PRECISIONS`.
        xla: Compile with XLA.
        pool: Pooling of the last feature map of EfficientNet-Lite and of `keras:` networks: `average`, or `grid:N` for
            the averages of N x N cells.
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
        """The name of the features in artifacts, without any path of this machine."""
        if self.network != "hub":
            name = self.name.replace(":", "/")
            return name if self.pool == AVERAGE else f"{name}/{self.pool.replace(':', '')}"
        return f"hub/{urlsplit(self.rest).path.strip('/') if '://' in self.rest else Path(self.rest).name}"

    @property
    def local_path(self) -> Path | None:
        """The file of the weights, or the directory of the module, which must be read; None if a package has them."""
        if self.network == "hub":
            return None if "://" in self.rest else Path(self.rest)
        is_file = self.weights not in ("", "imagenet") and not self.weights.startswith("random:")
        return Path(self.weights) if is_file else None

    def with_files_in(self, directory: Path) -> "BackboneSpec":
        """Return this specification with the file or directory of `local_path` in another directory."""
        assert self.local_path is not None
        path = directory / self.local_path.name
        return replace(self, name=f"hub:{path}") if self.network == "hub" else replace(self, weights=str(path))
