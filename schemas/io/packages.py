"""Versions of the packages that influence results."""

from functools import cache
from importlib import metadata

COMPUTING = ("m-rnn", "apache-beam", "tensorflow", "tensorflow-cpu", "keras", "h5py", "numpy", "pillow")


@cache
def version_of(package: str) -> str | None:
    """Return the installed version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions(packages: tuple[str, ...] = COMPUTING) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    return {package: version for package in packages if (version := version_of(package))}
