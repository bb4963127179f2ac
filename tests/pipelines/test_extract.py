"""Extraction on a real Beam runner: exact, resumable, and no image disappears."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.backbones import BackboneSpec, load_backbone
from model.images import cut_crops, decode_image
from pipelines import extract
from pipelines.extract import Engine, ExtractionOptions, extract_features
from pipelines.shards import ImageSource, plan_shards, read_counts
from schemas.errors import ArtifactError, ConfigurationError, InputError
from schemas.features import FeatureFile, read_rejects

SPEC = BackboneSpec("vgg16/block5_pool", "random:0", 32)
OPTIONS = ExtractionOptions(SPEC, "squash", "float32", batch_size=4, decode_threads=2)
LOCAL = Engine("apache_beam.runners.portability.fn_api_runner.FnApiRunner", hints=(("min_ram", "1GB"),))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[ImageSource]:
    """13 pictures of noise, and between them an empty file, a text, a truncated picture and a missing one."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(13):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"good{number:02d}.png")
    whole = (folder / "good00.png").read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    names = sorted(path.name for path in folder.iterdir())
    names.insert(5, "missing.png")
    return [ImageSource(Path(name).stem, str(folder / name)) for name in names]


def run(images, directory, options=OPTIONS, engine=LOCAL, shards=3, max_reject_fraction=1.0):
    directory.mkdir(exist_ok=True)
    return extract_features(
        images,
        directory,
        str(directory / "shards"),
        shards,
        options,
        engine,
        "toys",
        max_reject_fraction,
        lambda fraction, message: None,
    )


def test_every_image_is_a_row_or_a_reject(images, tmp_path):
    counts = run(images, tmp_path)
    rejects = read_rejects(tmp_path)
    with FeatureFile(tmp_path / "features.h5") as features:
        assert features.image_ids == [image.image_id for image in images if image.image_id.startswith("good")]
        assert features.dimension == 512
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


def test_rows_are_what_the_network_gives(images, tmp_path):
    run(images, tmp_path)
    backbone = load_backbone(SPEC)
    with FeatureFile(tmp_path / "features.h5") as features:
        for image in images:
            if image.image_id in features:
                pixels = cut_crops(decode_image(Path(image.path).read_bytes()), 32, "squash")
                expected = backbone.features(pixels)
                np.testing.assert_allclose(features.read([image.image_id]), expected, rtol=1e-4, atol=1e-3)


def test_the_features_of_crops_are_averaged(images, tmp_path):
    run(images, tmp_path, ExtractionOptions(SPEC, "ten_crop", "float32", batch_size=4, decode_threads=2))
    good = next(image for image in images if image.image_id.startswith("good"))
    crops = cut_crops(decode_image(Path(good.path).read_bytes()), 32, "ten_crop")
    with FeatureFile(tmp_path / "features.h5") as features:
        expected = load_backbone(SPEC).features(crops).mean(axis=0, keepdims=True)
        np.testing.assert_allclose(features.read([good.image_id]), expected, rtol=1e-4, atol=1e-3)


def test_the_same_images_give_the_same_bytes_in_any_number_of_processes(images, tmp_path):
    run(images, tmp_path / "one")
    processes = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    run(images, tmp_path / "two", engine=Engine(LOCAL.runner, processes))
    assert (tmp_path / "one" / "features.h5").read_bytes() == (tmp_path / "two" / "features.h5").read_bytes()


def test_a_rerun_keeps_whole_shards_and_remakes_damaged_ones(images, tmp_path, monkeypatch):
    run(images, tmp_path)
    expected = (tmp_path / "features.h5").read_bytes()
    first, second, third = plan_shards(images, str(tmp_path / "shards"), 3)
    damaged = bytearray(Path(first.path).read_bytes())
    damaged[-1] ^= 1
    Path(first.path).write_bytes(damaged)
    Path(second.digest_path).unlink()
    done = []
    monkeypatch.setattr(
        extract, "write_shard", lambda shard, result: done.append(shard.path) or _write_shard(shard, result)
    )
    run(images, tmp_path)
    assert sorted(done) == sorted([first.path, second.path])
    assert read_counts(third) is not None
    assert (tmp_path / "features.h5").read_bytes() == expected


_write_shard = extract.write_shard


def test_too_many_rejects_are_an_error_and_are_looked_at_again(images, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    mixed = [*images[3:5], *images[6:11], ImageSource("broken", str(broken))]
    with pytest.raises(InputError, match=r"1 of 8 images could not be read \(image broken: the file is empty\)"):
        run(mixed, tmp_path, max_reject_fraction=0.1)
    assert [reject.image_id for reject in read_rejects(tmp_path)] == ["broken"]
    broken.write_bytes(Path(mixed[0].path).read_bytes())
    assert run(mixed, tmp_path, max_reject_fraction=0.1).rejected == 0


def test_an_image_s_shard_depends_on_its_id_alone(images):
    def shard_of(subset):
        return {image.image_id: shard.path for shard in plan_shards(subset, "d", 5) for image in shard.images}

    everything = shard_of(images)
    assert shard_of(images[::2]) == {image.image_id: everything[image.image_id] for image in images[::2]}
    assert len(set(everything.values())) > 1


def test_what_the_runner_leaves_undone_is_an_error_that_names_it(images, tmp_path, monkeypatch):
    monkeypatch.setattr(extract, "write_shard", lambda shard, result: None)
    with pytest.raises(ArtifactError, match=r"features-0000\d-of-00003\.h5 .*not there after 3 runs"):
        run(images, tmp_path)
    assert not (tmp_path / "features.h5").exists()


def test_counts_of_a_shard_are_kept_with_its_digest(images, tmp_path):
    run(images, tmp_path)
    for shard in plan_shards(images, str(tmp_path / "shards"), 3):
        summary = json.loads(Path(shard.digest_path).read_text())
        assert summary["counts"]["images"] == len(shard.images)
        assert len(summary["sha256"]) == 64


def test_an_unknown_runner_is_a_configuration_error(images, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no runner 'apache_beam\.NoRunner'"):
        run(images, tmp_path, engine=Engine("apache_beam.NoRunner"))
