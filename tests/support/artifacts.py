"""Artifacts by their provenance alone, and features in shards."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from schemas.features import SHARDS, FeatureFile, FeatureShard, create_features_index, write_features
from schemas.io.files import digest_file
from schemas.io.hdf5 import encode_strings
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


def shard_features(path: Path, files: int) -> None:
    """Replaces a features file by the index of a sharded artifact with the same rows in some files."""
    whole = FeatureFile(path)
    (path.parent / SHARDS).mkdir()
    shards = []
    for number, rows in enumerate(np.array_split(np.arange(len(whole.features)), files)):
        part = path.parent / SHARDS / f"{number}.h5"
        write_features(part, [whole.image_ids[row] for row in rows], whole.features[rows], whole.description)
        with h5py.File(part) as file:
            offset = file["features"].id.get_offset() or 0
        shards.append(FeatureShard(part.name, len(rows), offset, digest_file(part)))
    ids, dtype = encode_strings(whole.image_ids), str(whole.features.dtype)
    create_features_index(path, shards, ids, whole.dimension, dtype, whole.description)
