"""Versions of the packages that decide on what is computed."""

from functools import cache
from importlib import metadata

COMPUTING = ("m-rnn", "apache-beam", "tensorflow", "tensorflow-cpu", "keras", "h5py", "numpy", "pillow")


@cache
def version_of(package: str) -> str | None:
    """The installed version; None where the package is not installed as one."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions(packages: tuple[str, ...] = COMPUTING) -> dict[str, str]:
    """Of those that are installed."""
    return {package: version for package in packages if (version := version_of(package))}
