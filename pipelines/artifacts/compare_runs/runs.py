"""Scored runs of a data directory, and the parameters in which they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ArtifactError, MRNNError
from schemas.io.files import canonical_json
from schemas.provenance import FILE_NAME, Provenance, is_complete, read_provenance
from schemas.scores import CaptionScores, in_order, read_caption_scores


@dataclass(frozen=True)
class Run:
    """A score sheet and its origin.

    Attributes:
        dataset: Name of the dataset.
        key: Key of the score artifact.
        scores: The score sheet.
        parameters: Values, as text, of the parameters of all stages it depends on, by name (`TrainModel.dropout`).
        seconds: Total time of these stages in seconds.
        made: Start of the evaluation, ISO 8601.
        lost: Number of artifacts it depends on that are deleted, with their parameters.
    """

    dataset: str
    key: str
    scores: CaptionScores
    parameters: Mapping[str, str]
    seconds: float
    made: str
    lost: int


def find_runs(data_dir: Path) -> tuple[list[Run], list[str]]:
    """Return all runs by dataset and split, best CIDEr-D first, and a sentence per unreadable score sheet."""
    runs, problems = [], []
    for path in sorted(data_dir.glob(f"*/EvaluateCaptions/*/{FILE_NAME}")):
        try:
            runs.append(_read_run(path.parent))
        except MRNNError as error:
            problems.append(str(error))
        except (TypeError, ValueError, KeyError, AttributeError) as error:  # JSON of another structure
            problems.append(f"{path.parent} has no readable score sheet ({error!r}); run EvaluateCaptions again.")
    return sorted(
        runs, key=lambda run: (run.dataset, run.scores.split, -run.scores.metrics["CIDEr-D"], run.key)
    ), problems


def metrics_of(runs: Sequence[Run]) -> list[str]:
    """Return the metrics that occur in any run, in the usual order."""
    return in_order({metric for run in runs for metric in run.scores.metrics})


def differences(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Return per run the parameters in which the runs differ, by their short names if these are unambiguous."""
    names = _short_names(runs)
    shown = [{names[name]: value for name, value in run.parameters.items()} for run in runs]
    every = dict.fromkeys(name for parameters in shown for name in sorted(parameters))
    differing = [name for name in every if len({parameters.get(name) for parameters in shown}) > 1]
    return [{name: parameters[name] for name in differing if name in parameters} for parameters in shown]


def _read_run(directory: Path) -> Run:
    own = read_provenance(directory)
    scores = read_caption_scores(directory)
    numbers = [scores.n, scores.perplexity, *scores.metrics.values(), *(low for low, _ in scores.intervals.values())]
    numbers += [high for _, high in scores.intervals.values()]
    if "CIDEr-D" not in scores.metrics or not all(isinstance(number, int | float) for number in numbers):
        raise ArtifactError(
            f"{directory / 'scores.json'} has no CIDEr-D, or values that are not numbers; run EvaluateCaptions again."
        )
    parameters: dict[str, dict[str, None]] = {}  # dictionaries as sets that keep their order
    seconds, lost = 0.0, 0
    for made in _made_from(own, directory.parent.parent):
        if made is None:
            lost += 1
            continue
        seconds += made.seconds
        for name, value in made.parameters.items():
            if name != "dataset":
                parameters.setdefault(f"{made.stage}.{name}", {})[_as_text(value)] = None
    return Run(
        dataset=own.dataset,
        key=own.key,
        scores=scores,
        parameters={name: " / ".join(values) for name, values in parameters.items()},
        seconds=seconds,
        made=own.started,
        lost=lost,
    )


def _made_from(own: Provenance, dataset_directory: Path) -> Iterator[Provenance | None]:
    """Yield the artifact and all upstream artifacts, each once; None for a deleted one."""
    waiting, seen = [own], {(own.stage, own.key)}
    while waiting:
        made = waiting.pop()
        yield made
        for upstream in made.upstream.values():
            if (upstream.stage, upstream.key) in seen:
                continue
            seen.add((upstream.stage, upstream.key))
            directory = dataset_directory / upstream.stage / upstream.key
            if is_complete(directory):
                waiting.append(read_provenance(directory))
            else:
                yield None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _short_names(runs: Sequence[Run]) -> dict[str, str]:
    """`TrainModel.dropout` -> `dropout`, unless stages of one run have different values by that name."""
    unclear = set()
    for run in runs:
        values: dict[str, str] = {}
        for name, value in run.parameters.items():
            short = name.partition(".")[2]
            if values.setdefault(short, value) != value:
                unclear.add(short)
    every = dict.fromkeys(name for run in runs for name in run.parameters)
    return {name: name if name.partition(".")[2] in unclear else name.partition(".")[2] for name in every}
