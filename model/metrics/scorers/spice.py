"""SPICE 1.0 (Anderson et al. 2016) by its authors' Java program, also on Java 15 and later.

The program is part of pycocoevalcap; `mrnn metrics install spice` fetches the parser that it needs. It looks up a
JavaScript engine, which Java no longer has since version 15: Nashorn, on the class path, is that engine.
"""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.metrics.bootstrap import Statistics, mean_of
from model.metrics.java import ScorerMissing, find_java, package_directory, run_java
from model.metrics.tokenized import TokenizedCaptions

NAMES, VERSION, NEEDS_JAVA = ("SPICE",), "1.0", True
_START_SECONDS, _SECONDS_PER_CAPTION = 600.0, 0.5


@dataclass(frozen=True)
class Jar:
    """A Java archive of Maven Central.

    Attributes:
        path: Path below the root of the repository.
        size: Bytes.
        sha256: SHA-256 in hex.
    """

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """File name."""
        return self.path.rpartition("/")[2]


JARS = (
    Jar(
        "edu/stanford/nlp/stanford-corenlp/3.6.0/stanford-corenlp-3.6.0.jar",
        7270741,
        "d341d5863276f55782c5ef73212222d6b3b48e02ae1951ab6de7618d28b12742",
    ),
    Jar(
        "edu/stanford/nlp/stanford-corenlp/3.6.0/stanford-corenlp-3.6.0-models.jar",
        378116526,
        "d285157bd7887ee3018094b5dbae092e49088b023361ccdb550ee1daf9b2c9bd",
    ),
    Jar(
        "org/openjdk/nashorn/nashorn-core/15.4/nashorn-core-15.4.jar",
        2167292,
        "6f816e84dfd63a81d4eaa7829c08337bbaff3ec683ff3bf6bbd90d017a00dc6f",
    ),
    *(
        Jar(f"org/ow2/asm/{name}/7.3.1/{name}-7.3.1.jar", size, sha256)
        for name, size, sha256 in (
            ("asm", 121836, "2f67e11ceec819ebd88ddee5300aba699b1cbab2e20c22e97cf027d3be93959b"),
            ("asm-analysis", 33446, "46b8a8efd4b94facb5ab4b35afe30ee0546ae7a43d2c64e6def56c2f168fefa5"),
            ("asm-commons", 71548, "87cd8bb3c6bf6bcbb33fca48060c5065f66ebf6a3d7de9bf18bff51bcf156ebc"),
            ("asm-tree", 52826, "f91a4a8aa868c5c4665bb4fd134019a91f9f8b9216527fba295e3c8b5422b78b"),
            ("asm-util", 84817, "182128592742ed4883ac82bf205f137b6bfbe1234c68e6feb13759e75a85b729"),
        )
    ),
)


def jar_directory() -> Path:
    """Return where the jars are installed: `m-rnn/spice` in the user's cache (`XDG_CACHE_HOME`)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "m-rnn" / "spice"


def score(captions: TokenizedCaptions) -> dict[str, Statistics]:
    """Return the statistics of SPICE, a mean over images in 0..1.

    Raises:
        ScorerMissing: Java, pycocoevalcap or the parser is not installed, or the program fails, does not end in time or
            writes no scores.
    """
    java = find_java("SPICE", bundled=False)
    program = package_directory("pycocoevalcap", "SPICE") / "spice"
    directory = jar_directory()
    missing = next((jar.name for jar in JARS if not (directory / jar.name).is_file()), None)
    if missing is not None:
        raise ScorerMissing(f"{directory} has no {missing}; run `mrnn metrics install spice`.")
    count = sum(1 + len(references) for references in captions.references)
    with tempfile.TemporaryDirectory() as scratch:
        given, written = Path(scratch) / "captions.json", Path(scratch) / "scores.json"
        images = [
            {"image_id": index, "test": caption, "refs": list(references)}
            for index, (caption, references) in enumerate(zip(captions.captions, captions.references, strict=True))
        ]
        given.write_text(json.dumps(images), encoding="utf-8")
        jars = (program / "spice-1.0.jar", program / "lib" / "*", directory / "*")  # `*`: all jars of a directory
        command = [java, "-Xmx8G", "-cp", os.pathsep.join(map(str, jars)), "edu.anu.spice.SpiceScorer"]
        command += [str(given), "-out", str(written), "-silent"]
        run_java("SPICE", command, Path(scratch), "", _START_SECONDS + _SECONDS_PER_CAPTION * count)
        try:
            records = json.loads(written.read_text("utf-8"))
            scores = {int(record["image_id"]): float(record["scores"]["All"]["f"]) for record in records}
            each = [scores[index] for index in range(len(images))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ScorerMissing(f"the SPICE program wrote no scores ({error!r}).") from error
    return {"SPICE": mean_of(np.array(each))}
