"""Extraction in shards: exact, resumable, and no image disappears; on a Beam runner where that can matter."""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from model.backbones import load_backbone
from model.backbones.images import cut_crops, decode_image
from model.backbones.spec import BackboneSpec
from pipelines import storage
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Sharding
from pipelines.engines.inputs import cache_directory
from pipelines.engines.shards import ImageSource, is_shard_complete, plan_shards
from pipelines.features.extract_features import ExtractionOptions, extract_features, extract_shard
from pipelines.features.images import read_ahead
from schemas.errors import ArtifactError, ConfigurationError, InputError, MissingObjectError, StorageAccessError
from schemas.features import FeatureFile, Reject, read_features_index, read_rejects
from schemas.io.files import digest_file
from tests.support import warm_process
from tests.support.engines import SerialEngine

SPEC = BackboneSpec("efficientnet-lite2/block2", "imagenet", 32)
OPTIONS = ExtractionOptions(SPEC, "squash", "float32", "toys", batch_size=4, decode_threads=2)
# A network that takes so long that a process can be killed between its shards.
VGG = replace(OPTIONS, backbone=BackboneSpec("vgg16/block5_pool", "random:0", 32))
SERIAL = SerialEngine()
BEAM = BeamEngine(hints=(("min_ram", "1GB"),))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[ImageSource]:
    """13 images of noise, and between them an empty file, a text, a truncated image and a missing one."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(13):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"good{number:02d}.png")
    intact = (folder / "good00.png").read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not an image")
    (folder / "truncated.png").write_bytes(intact[: len(intact) // 2])
    names = sorted(path.name for path in folder.iterdir())
    names.insert(5, "missing.png")
    return [ImageSource(Path(name).stem, str(folder / name)) for name in names]


@pytest.fixture(scope="module")
def other_weights(tmp_path_factory) -> ExtractionOptions:
    """Options with a file of weights."""
    path = tmp_path_factory.mktemp("weights") / "of_mine.weights.h5"
    load_backbone(replace(SPEC, weights="random:0")).network.whole.save_weights(path)
    return replace(OPTIONS, backbone=replace(SPEC, weights=str(path)))


@pytest.fixture(scope="module")
def features_of_other_weights(images, other_weights, tmp_path_factory) -> bytes:
    """The features of the readable images."""
    directory = tmp_path_factory.mktemp("other_weights")
    run([image for image in images if image.image_id.startswith("good")], directory, other_weights)
    return (directory / "features.h5").read_bytes()


def run(images, directory, options=OPTIONS, engine=SERIAL, shards=3, max_reject_fraction=1.0):
    directory.mkdir(exist_ok=True)
    sharding = Sharding(engine, shards, str(directory / "shards"))
    return extract_features(images, directory, options, sharding, max_reject_fraction)


def test_images_become_rows_or_rejects(images, tmp_path):
    counts = run(images, tmp_path, replace(OPTIONS, backbone=replace(SPEC, weights="random:0")), BEAM)
    rejects = read_rejects(tmp_path)
    features = FeatureFile(tmp_path / "features.h5")
    assert features.image_ids == [image.image_id for image in images if image.image_id.startswith("good")]
    assert features.dimension == 24
    assert "random" not in features.description.kind
    assert {(reject.image_id, reject.stage) for reject in rejects} == {
        ("empty", "decode"),
        ("missing", "read"),
        ("text", "decode"),
        ("truncated", "decode"),
    }
    assert all("\n" not in reject.error for reject in rejects)
    assert (counts.images, counts.rejected) == (17, 4)
    assert counts.bytes_read > 0
    assert counts.batches <= counts.batch_places // 4


def test_rows_match_the_network(images, tmp_path):
    run(images, tmp_path)
    backbone = load_backbone(SPEC)
    features = FeatureFile(tmp_path / "features.h5")
    for image in images:
        if image.image_id in features:
            pixels = cut_crops(decode_image(Path(image.path).read_bytes()), 32, "squash")
            expected = backbone.features(pixels)
            np.testing.assert_allclose(features.read([image.image_id]), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("crop", ["ten_crop", "squash_flip"])
def test_crop_features_are_averaged(images, tmp_path, crop):
    run(images, tmp_path, ExtractionOptions(SPEC, crop, "float32", "toys", batch_size=4, decode_threads=2))
    good = next(image for image in images if image.image_id.startswith("good"))
    crops = cut_crops(decode_image(Path(good.path).read_bytes()), 32, crop)
    features = FeatureFile(tmp_path / "features.h5")
    expected = load_backbone(SPEC).features(crops).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(features.read([good.image_id]), expected, rtol=1e-4, atol=1e-3)


def shards_of(images, directory, count=3):
    return plan_shards(len(images), str(directory / "shards"), count, "features.h5")


def when_made(shards):
    return {shard.path: Path(shard.path).stat().st_mtime_ns for shard in shards}


def test_rerun_keeps_complete_shards_and_regenerates_damaged_ones(images, tmp_path):
    run(images, tmp_path)
    expected = (tmp_path / "features.h5").read_bytes()
    first, second, _ = shards = shards_of(images, tmp_path)
    Path(first.path).write_bytes(Path(first.path).read_bytes()[:-1])
    Path(second.receipt_path).unlink()
    before = when_made(shards)
    run(images, tmp_path)
    assert {path for path, made in when_made(shards).items() if made != before[path]} == {first.path, second.path}
    assert (tmp_path / "features.h5").read_bytes() == expected


def test_damaged_shard_of_the_same_size_is_not_merged(images, tmp_path):
    run(images, tmp_path)
    expected = (tmp_path / "features.h5").read_bytes()
    second = shards_of(images, tmp_path)[1]
    damaged = bytearray(Path(second.path).read_bytes())
    damaged[-1] ^= 1
    Path(second.path).write_bytes(damaged)
    with pytest.raises(ArtifactError, match=rf"^{second.path} is damaged; run the same command again"):
        run(images, tmp_path)
    run(images, tmp_path)
    assert (tmp_path / "features.h5").read_bytes() == expected


def test_shards_stay_files_where_there_are_more_images_than_are_merged(images, tmp_path, place):
    run(images, tmp_path / "merged", shards=5)
    directory = tmp_path / "sharded"
    directory.mkdir()
    (directory / "features").mkdir()
    (directory / "features" / "features-0000000-0000016.h5").write_bytes(b"of another plan")
    counts = extract_features(images, directory, OPTIONS, Sharding(SERIAL, 5, place), 1.0, merge_limit=16)
    assert (counts.images, counts.rejected) == (17, 4)
    merged, sharded = (FeatureFile(tmp_path / name / "features.h5") for name in ("merged", "sharded"))
    assert sharded.image_ids == merged.image_ids
    assert sharded.description == merged.description
    np.testing.assert_array_equal(sharded.read(merged.image_ids), merged.features)
    assert read_rejects(directory) == read_rejects(tmp_path / "merged")
    files = sorted((directory / "features").iterdir())
    index = read_features_index(directory / "features.h5")
    assert [shard.name for shard in index] == [path.name for path in files]
    assert [shard.sha256 for shard in index] == [digest_file(path) for path in files]
    assert len(files) == 5


def test_too_many_rejects_are_an_error_and_are_retried(images, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    mixed = [*images[3:5], *images[6:11], ImageSource("broken", str(broken))]
    with pytest.raises(InputError, match=r"1 of 8 images could not be read \(image broken: the file is empty\)"):
        run(mixed, tmp_path, max_reject_fraction=0.1)
    assert [reject.image_id for reject in read_rejects(tmp_path)] == ["broken"]
    shards = shards_of(mixed, tmp_path)
    before = when_made(shards)
    assert run(mixed, tmp_path, max_reject_fraction=0.2).rejected == 1
    assert when_made(shards) == before, "a higher limit alone makes no shard anew"
    broken.write_bytes(Path(mixed[0].path).read_bytes())
    assert run(mixed, tmp_path, max_reject_fraction=0.1).rejected == 0
    (remade,) = (path for path, made in when_made(shards).items() if made != before[path])
    assert "broken" in {image.image_id for shard in shards if shard.path == remade for image in shard.read_images()}


def test_counts_are_attributes_of_shards_and_of_the_artifact(images, tmp_path):
    total = run(images, tmp_path)
    summed = dict.fromkeys(asdict(total), 0)
    for shard in shards_of(images, tmp_path):
        with h5py.File(shard.path) as file:
            assert file.attrs["images"] == shard.count == len(file["image_ids"]) + file.attrs["rejected"]
            for name in summed:
                summed[name] += file.attrs[name].item()
    assert summed == pytest.approx(asdict(total))
    with h5py.File(tmp_path / "features.h5") as file:
        assert (file.attrs["images"], file.attrs["rejected"]) == (17, 4)


def test_typed_worker_error_is_reraised(images, tmp_path):
    with pytest.raises(InputError, match=r"^absent\.h5 cannot be used as weights of efficientnet-lite2/block2 "):
        run(images, tmp_path, replace(OPTIONS, backbone=replace(SPEC, weights="absent.h5")), BEAM, 1)
    with pytest.raises(ConfigurationError, match="no backbone 'vgg17/fc2'"):
        run(images, tmp_path, replace(OPTIONS, backbone=BackboneSpec("vgg17/fc2", "random:0", 32)), BEAM, 1)
    assert run(images, tmp_path, shards=1).images == 17, "an error of an earlier run is not taken for one of this"


def test_empty_dataset_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no images"):
        run([], tmp_path)


def test_shards_of_different_networks_are_not_merged(images, tmp_path, other_weights):
    run(images, tmp_path)
    first = shards_of(images, tmp_path)[0]
    extract_shard(first, other_weights)
    with pytest.raises(ArtifactError, match="same network"):
        run(images, tmp_path)


@pytest.mark.slow("kills and restarts many processes")
def test_run_killed_at_any_moment_resumes_to_the_same_bytes(images, tmp_path):
    folder = Path(images[0].path).parent
    present = [ImageSource(path.stem, str(path)) for path in sorted(folder.iterdir())]
    run(present, tmp_path / "undisturbed", VGG, shards=6)
    directory = tmp_path / "killed"
    shards = shards_of(present, directory, 6)
    kept: dict[str, int] = {}
    for wanted in (1, 4):  # number of completed shards at the kill
        process = warm_process.start(run, present, directory, VGG, BEAM, 6)
        while process.is_alive() and sum(Path(shard.receipt_path).exists() for shard in shards) < wanted:
            time.sleep(0.002)
        kill(process)
        assert not (directory / "features.h5").exists()
        made = when_made([shard for shard in shards if is_shard_complete(shard)])
        assert {path: made.get(path) for path in kept} == kept, "complete shards are not computed again"
        kept = made
    run(present, directory, VGG, shards=6)
    assert (directory / "features.h5").read_bytes() == (tmp_path / "undisturbed" / "features.h5").read_bytes()


def kill(process: BaseProcess) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def on_store(images: list[ImageSource], bucket: str) -> list[ImageSource]:
    """Copies the images that exist to a bucket."""
    for image in images:
        if Path(image.path).exists():
            storage.upload(Path(image.path), f"{bucket}/images/{Path(image.path).name}")
    return [ImageSource(image.image_id, f"{bucket}/images/{Path(image.path).name}") for image in images]


def run_on_store(images, directory, bucket, shards=3, engine=SERIAL):
    directory.mkdir()
    return extract_features(images, directory, OPTIONS, Sharding(engine, shards, f"{bucket}/shards"), 1.0)


def test_images_and_shards_on_a_store_give_the_same_bytes(images, tmp_path, bucket):
    run(images, tmp_path / "here")
    counts = run_on_store(on_store(images, bucket), tmp_path / "there", bucket, engine=BEAM)
    assert (tmp_path / "there" / "features.h5").read_bytes() == (tmp_path / "here" / "features.h5").read_bytes()
    assert counts.images == 17
    here, there = read_rejects(tmp_path / "here"), read_rejects(tmp_path / "there")
    missing = f"{bucket}/images/missing.png does not exist"
    assert [(each.image_id, each.stage) for each in there] == [(each.image_id, each.stage) for each in here]
    assert all(each == other or each.error.startswith(missing) for each, other in zip(there, here, strict=True))
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["features.h5", "rejects.jsonl"]


def test_weights_by_a_shared_directory_give_the_same_bytes(
    all_good, tmp_path, other_weights, features_of_other_weights, place, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sharding = Sharding(SERIAL, 3, f"{place}/shards", f"{place}/inputs")
    extract_features(all_good, tmp_path, other_weights, sharding, 0.0)
    assert (tmp_path / "features.h5").read_bytes() == features_of_other_weights
    assert [path.name for path in cache_directory().glob("*/*")] == ["of_mine.weights.h5"]


class Lost(BaseException):
    """Ends a run that handles errors but no kill."""


def lose() -> None:
    raise Lost


def wait_for_the_kill() -> None:
    time.sleep(600)


def run_two_shards_on_store(
    images: list[ImageSource], directory: Path, bucket: str, end: Callable[[], None] = wait_for_the_kill
) -> None:
    """Complete two shards and compute the next one, whose receipt is never written."""
    real, receipts = storage.write, iter(range(6))

    def write(path: str, data: bytes) -> None:
        if path.endswith(".receipt.json") and next(receipts) >= 2:
            end()
        real(path, data)

    storage.configure({"gs": {"token": "anon"}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "write", write)
        run_on_store(images, directory, bucket, 6)


@pytest.mark.parametrize("way", ["lost", pytest.param("killed", marks=pytest.mark.slow("starts a process"))])
def test_killed_run_on_a_store_resumes(images, tmp_path, bucket, way):
    present = [image for image in images if image.image_id.startswith("good")]
    run(present, tmp_path / "undisturbed", shards=6)
    far = on_store(present, bucket)

    def made() -> list[str]:
        return [name for name in storage.list_files(f"{bucket}/shards") if name.endswith(".receipt.json")]

    if way == "lost":
        with pytest.raises(Lost):
            run_two_shards_on_store(far, tmp_path / "killed", bucket, lose)
    else:
        process = warm_process.start(run_two_shards_on_store, far, tmp_path / "killed", bucket)
        while process.is_alive() and len(made()) < 2:
            time.sleep(0.1)
        kill(process)
    kept = made()
    assert len(kept) == 2
    written: list[str] = []
    real = storage.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "write", lambda path, data: written.append(path) or real(path, data))
        run_on_store(far, tmp_path / "resumed", bucket, shards=6)
    assert (tmp_path / "resumed" / "features.h5").read_bytes() == (
        tmp_path / "undisturbed" / "features.h5"
    ).read_bytes()
    assert not {Path(path).name for path in written} & {*kept}, "complete shards are not made again"
    assert len(made()) == 6


def test_unknown_protocol_is_a_configuration_error(images, tmp_path):
    with pytest.raises(ConfigurationError, match="No file system supports nowhere://bucket"):
        extract_features(images, tmp_path, OPTIONS, Sharding(SERIAL, 3, "nowhere://bucket"), 1.0)


def test_missing_bucket_and_wrong_credentials_fail_early(images, tmp_path, new_bucket, monkeypatch):
    bucket = new_bucket("s3")
    for error, address in ((MissingObjectError, "s3://absent"), (StorageAccessError, bucket)):
        if error is StorageAccessError:
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
            storage.configure({"s3": {"use_ssl": False}})  # drops the client that has the right key
        with pytest.raises(
            error, match=rf"^{address}/shards\S* (does not exist|cannot be used with these credentials)"
        ):
            run_on_store(images, tmp_path / error.__name__, address)


class Blind:
    """`read_ahead` of a worker that sees no image, the first `times` times that it is called."""

    def __init__(self, times: int):
        self.times = times

    def __call__(self, images, *arguments):
        self.times -= 1
        if self.times < 0:
            return read_ahead(images, *arguments)
        return ((image, Reject(image.image_id, "read", "No such file")) for image in images)


@pytest.fixture
def all_good(images):
    return [image for image in images if image.image_id.startswith("good")]


def test_image_invisible_to_one_worker_is_read_by_another(all_good, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.features.extract_features.read_ahead", Blind(times=1))
    run(all_good, tmp_path, max_reject_fraction=1.0)
    assert read_rejects(tmp_path) == []


def test_workers_without_the_images_are_an_error(all_good, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.features.extract_features.read_ahead", Blind(times=100))
    with pytest.raises(
        ArtifactError, match=r"^A worker could not read \S+good\d+\.png, which the driver can; give all"
    ):
        run(all_good, tmp_path, max_reject_fraction=1.0)
