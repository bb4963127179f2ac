"""Artifacts by their provenance alone."""

from pathlib import Path
from typing import Any

from schemas.provenance import Provenance, Upstream, write_provenance


def make_artifact(data_dir: Path, place: str, sources: tuple[str, ...] = (), **given: Any) -> Path:
    """Completes `<dataset>/<stage>/<key>` with a provenance of defaults and of what is given; returns the folder."""
    dataset, stage, key = place.split("/")
    directory = data_dir / dataset / stage / key
    directory.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {
        "key": key,
        "stage": stage,
        "version": 1,
        "dataset": dataset,
        "parameters": {"dataset": dataset},
        "upstream": {
            f"{stage} {key}": Upstream(stage, key, "00") for _, stage, key in (each.split("/") for each in sources)
        },
        "digest": "00",
        "files": {},
        "software": {},
        "git": None,
        "host": {},
        "counts": {},
        "operational": {},
        "started": "2026-01-31T12:00:00+00:00",
        "seconds": 10.0,
        "peak_memory_bytes": 1,
        **given,
    }
    write_provenance(directory, Provenance(**values))
    return directory
