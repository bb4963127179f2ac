"""SPICE (Anderson et al. 2016) by its authors' Java program, which is in pycocoevalcap, if its models are there."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pycocoevalcap.spice import spice as package

from model.metrics.java import ScorerMissing, require_java

NAME, NEEDS_JAVA = "SPICE", True
HOME = Path(package.__file__).parent
MODELS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")  # 0.4 GB, not part of the package
START_SECONDS = 300.0  # of patience for loading the parser, to which every caption adds
SECONDS_A_CAPTION = 0.5


def score(
    references: Mapping[str, Sequence[str]],
    hypotheses: Mapping[str, Sequence[str]],
    home: Path = HOME,
    patience: float | None = None,
) -> tuple[float, list[float]]:
    """SPICE of the corpus, which is the mean over images, and of each image, in 0..1; texts are words joined by blanks.

    home: where `spice-1.0.jar` and `lib` are; patience: seconds after which the program counts as dead.

    Raises:
        ScorerMissing: there is no Java, the models are not there, or the program died, fell silent or gave no numbers.
    """
    require_java(NAME, "8; its parser fails on much later ones")
    missing = [name for name in MODELS if not (home / "lib" / name).is_file()]
    if missing:
        raise ScorerMissing(
            f"SPICE's models are not there (lib/{missing[0]} beside pycocoevalcap's spice-1.0.jar); they are in "
            "Stanford CoreNLP 3.6.0."
        )
    captions = sum(1 + len(texts) for texts in references.values())
    seconds = START_SECONDS + SECONDS_A_CAPTION * captions if patience is None else patience
    with tempfile.TemporaryDirectory() as scratch:
        given, made = Path(scratch) / "captions.json", Path(scratch) / "scores.json"
        images = [
            {"image_id": each, "test": hypotheses[each][0], "refs": list(references[each])} for each in references
        ]
        given.write_text(json.dumps(images), encoding="utf-8")
        _run(["java", "-Xmx8G", "-jar", "spice-1.0.jar", str(given), "-out", str(made), "-silent"], home, seconds)
        try:
            scores = {
                record["image_id"]: float(record["scores"]["All"]["f"])
                for record in json.loads(made.read_text("utf-8"))
            }
            of_images = [scores[image] for image in references]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ScorerMissing(f"the SPICE scorer gave no scores ({error!r}).") from error
    return sum(of_images) / len(of_images), of_images


def _run(command: Sequence[str], directory: Path, seconds: float) -> None:
    """Runs the program and all that it starts, for so long at most."""
    try:
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    except OSError as error:
        raise ScorerMissing(f"the SPICE scorer cannot be started ({error}).") from error
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ScorerMissing(f"the SPICE scorer did not answer within {seconds:.0f} s.") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        last = (said.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise ScorerMissing(f"the SPICE scorer died ({last}).")
