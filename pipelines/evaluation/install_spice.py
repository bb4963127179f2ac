"""Installation of the parser that SPICE needs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from model.metrics.scorers.spice import JARS, jar_directory
from pipelines.data.dataset import Archive
from pipelines.data.download.fetch import fetch_all

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"


def install_spice(mirrors: Sequence[str], progress: Callable[[float, str], None]) -> Path:
    """Fetch the jars of SPICE's parser, 388 MB, and verify their checksums; what is there already is kept.

    Args:
        mirrors: Directories or URLs that have the jars by name, tried before Maven Central.
        progress: Receives the finished fraction and a message.

    Returns:
        The directory of the jars.

    Raises:
        DownloadError: A jar cannot be fetched, or its checksum differs from the recorded one.
    """
    archives = [Archive(jar.name, (f"{MAVEN_CENTRAL}/{jar.path}",), jar.size, jar.sha256) for jar in JARS]
    directory = jar_directory()
    for found in fetch_all(archives, directory, mirrors, progress):
        jar = directory / found.path.name
        if found.path != jar:
            jar.unlink(missing_ok=True)  # one whose checksum was wrong
            jar.symlink_to(found.path)
    return directory
