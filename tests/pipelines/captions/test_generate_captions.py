"""Captions from shards equal those of the search."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from model.decoding.beam_search import PLAIN
from model.decoding.constraints import DEFAULT_CONSTRAINTS
from model.decoding.sampling import Sampling
from model.decoding.strategies import BeamStrategy, SamplingStrategy
from model.mrnn.network import MRNN
from pipelines import storage
from pipelines.captions.generate_captions import GenerationJob, generate_captions
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Engine, Sharding
from pipelines.engines.inputs import cache_directory
from pipelines.engines.shards import plan_shards
from schemas.checkpoint import MODEL_FILES
from schemas.errors import MissingObjectError, StorageAccessError
from schemas.features import FeatureFile
from schemas.hypotheses import read_hypotheses
from tests.support.engines import SerialEngine
from tests.support.tiny_model import VOCABULARY, write_images, write_model

SERIAL, BEAM = SerialEngine(), BeamEngine()
BATCH = 3
SEARCHES = [
    BeamStrategy(4, 6, DEFAULT_CONSTRAINTS, PLAIN),
    SamplingStrategy(4, Sampling(temperature=1.5, top_k=5), seed=7, max_length=6, constraints=DEFAULT_CONSTRAINTS),
]


@dataclass(frozen=True)
class Artifacts:
    """A network in the directory `model`, and images of which the second has no `features`."""

    model: Path
    features: Path
    network: MRNN
    image_ids: list[str]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Artifacts:
    root = tmp_path_factory.mktemp("artifacts")
    network = write_model(root / "model")
    image_ids = write_images(root / "features", 14)
    return Artifacts(root / "model", root / "features", network, [image_ids[0], "lost", *image_ids[1:]])


def run(
    artifacts: Artifacts, root: Path, search, shards: int, others: tuple[Path, ...] = (), engine: Engine = SERIAL
) -> bytes:
    job = GenerationJob((artifacts.model, *others), artifacts.features, search, BATCH)
    captioned = generate_captions(
        job, artifacts.image_ids, root / "out", Sharding(engine, shards, str(root / "shards"))
    )
    assert captioned == 14
    return (root / "out" / "hypotheses.jsonl").read_bytes()


@pytest.mark.parametrize("search", SEARCHES, ids=["beam", "draws"])
def test_any_number_of_shards_gives_the_captions_of_the_search(artifacts, tmp_path, search):
    known = [image_id for image_id in artifacts.image_ids if image_id != "lost"]
    rows = FeatureFile(artifacts.features / "features.h5").read(known)
    decode = search(artifacts.network)
    expected = [found for start in range(0, 14, BATCH) for found in decode(rows[start : start + BATCH], start)]
    made = {
        run(artifacts, tmp_path, search, shards, engine=engine)
        for shards, engine in ((1, SERIAL), (3, BEAM), (16, SERIAL))
    }
    assert len(made) == 1
    images = list(read_hypotheses(tmp_path / "out"))
    assert [image.image_id for image in images] == known
    for image, found in zip(images, expected, strict=True):
        assert [each.tokens for each in image.captions] == [tuple(VOCABULARY.decode(each.tokens)) for each in found]
        assert [each.log_prob for each in image.captions] == pytest.approx([each.log_prob for each in found], abs=1e-5)
        assert [each.log_prob for each in image.captions] == sorted(
            (each.log_prob for each in image.captions), reverse=True
        )


def run_on_store(artifacts: Artifacts, root: Path, shared: str) -> bytes:
    sharding = Sharding(SERIAL, 3, f"{shared}/shards", f"{shared}/inputs")
    job = GenerationJob((artifacts.model,), artifacts.features, SEARCHES[0], BATCH)
    generate_captions(job, artifacts.image_ids, root / "far", sharding)
    return (root / "far" / "hypotheses.jsonl").read_bytes()


def test_captions_by_a_shared_directory_are_the_same_bytes(artifacts, tmp_path, place, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run_on_store(artifacts, tmp_path, place) == run(artifacts, tmp_path, SEARCHES[0], 3)
    (copy,) = (path for path in cache_directory().iterdir() if path.is_dir())
    assert sorted(path.name for path in copy.iterdir()) == sorted(MODEL_FILES)
    names = storage.list_files(f"{place}/shards")
    assert sum(name.endswith(".features.npy") for name in names) == 3

    written, write = [], storage.write
    monkeypatch.setattr(storage, "write", lambda path, data: written.append(path) or write(path, data))
    monkeypatch.setattr(storage, "upload", lambda source, path: written.append(path))
    run_on_store(artifacts, tmp_path, place)
    assert len(written) == 3
    assert all(path.endswith(".manifest.jsonl") for path in written), "nothing is computed or sent again"


def test_store_that_cannot_be_used_is_one_sentence(artifacts, tmp_path, new_bucket, monkeypatch):
    bucket = new_bucket("s3")
    with pytest.raises(MissingObjectError, match=r"^s3://absent/shards\S* does not exist"):
        run_on_store(artifacts, tmp_path, "s3://absent")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage.configure({"s3": {"use_ssl": False}})  # drops the client that has the right key
    with pytest.raises(StorageAccessError, match=rf"^{bucket}/shards\S* cannot be used with these credentials"):
        run_on_store(artifacts, tmp_path, bucket)


def test_interrupted_generation_keeps_finished_shards(artifacts, tmp_path):
    expected = run(artifacts, tmp_path, SEARCHES[0], 4)
    kept, lost, *_ = plan_shards(14, str(tmp_path / "shards"), 4, "hypotheses.jsonl", BATCH)
    Path(lost.path).unlink()
    before = Path(kept.path).stat().st_mtime_ns
    assert run(artifacts, tmp_path, SEARCHES[0], 4) == expected
    assert Path(kept.path).stat().st_mtime_ns == before


def test_several_models_are_an_ensemble(artifacts, tmp_path):
    write_model(tmp_path / "other", seed=1)
    alone = run(artifacts, tmp_path, SEARCHES[0], 2)
    for path in (tmp_path / "shards").iterdir():
        path.unlink()
    assert run(artifacts, tmp_path, SEARCHES[0], 2, others=(tmp_path / "other",)) != alone
