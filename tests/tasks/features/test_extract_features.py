"""ExtractFeatures: its key depends on the contents of images and weights only."""

from pathlib import Path

import numpy as np

from pipelines.artifacts.verify_artifacts import verify_artifacts
from schemas.provenance import read_provenance
from tasks import DownloadDataset, ExtractFeatures, ImportFeatures, PrepareAnnotations

# The first block, with weights that no Keras model has to be built for.
BACKBONE = {"backbone": "efficientnet-lite2/block0", "weights": "imagenet", "input_size": 32, "pool": "average"}


def key(**parameters):
    # A task of the same parameters is the same object within a process; another run of the program is played here.
    ExtractFeatures.clear_instance_cache()
    return ExtractFeatures(dataset="shapes", data_dir="var", **parameters).key


def test_weights_file_key_depends_on_content(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"weights")
    (tmp_path / "b.h5").write_bytes(b"weights")
    (tmp_path / "c.h5").write_bytes(b"others")
    keys = [key(backbone="vgg16/fc2", weights=str(tmp_path / name)) for name in ("a.h5", "b.h5", "c.h5", "absent.h5")]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_hub_module_key_depends_on_name_and_content(tmp_path):
    for place, content in (("one", "x"), ("two", "x"), ("three", "y")):
        (tmp_path / place / "net").mkdir(parents=True)
        (tmp_path / place / "net" / "saved_model.pb").write_text(content)
    keys = [key(backbone=f"hub:{tmp_path / place / 'net'}") for place in ("one", "two", "three")]
    assert keys[0] == keys[1] != keys[2]
    (tmp_path / "one" / "net").rename(tmp_path / "one" / "other")
    assert key(backbone=f"hub:{tmp_path / 'one' / 'other'}") != keys[1]


def test_provenance_contains_the_path(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"weights")
    ExtractFeatures.clear_instance_cache()
    task = ExtractFeatures(dataset="shapes", data_dir="var", weights=str(tmp_path / "a.h5"))
    assert task.parameters(significant=False)["weights"] == str(tmp_path / "a.h5")


def test_how_it_is_run_does_not_count():
    usual = key()
    assert key(runner="some.Runner", runner_options=["--x"], resource_hints={"min_ram": "8GB"}) == usual
    assert key(shards=3, batch_size=7, decode_threads=9, inference_threads=2, xla=True) == usual
    assert key(images_at="gs://bucket/images", shared_dir="gs://bucket/shared", max_reject_fraction=0.5) == usual
    assert key(precision="mixed_bfloat16") != usual


def fresh(stage, cls, **parameters):
    """A stage as another run of the program makes it: keys are computed anew."""
    for each in (DownloadDataset, PrepareAnnotations, cls):
        each.clear_instance_cache()
    return stage(cls, **parameters)


def replace_image(path):
    """Write another image of as many bytes."""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert path.stat().st_size == size


def test_extract_features_runs_again_only_for_other_images(stage, source, run):
    options = {**BACKBONE, "shards": 1}
    extract = fresh(stage, ExtractFeatures, **options)
    assert run(extract)
    annotations = extract.requires()["annotations"].key
    made = (extract.directory / "features.h5").stat().st_mtime_ns

    (source / "README.txt").write_text("Read me")
    captions = source / "captions.csv"
    captions.write_text(captions.read_text().replace("cat", "dog"))
    after_correction = fresh(stage, ExtractFeatures, **options)
    assert after_correction.requires()["annotations"].key != annotations
    assert after_correction.directory == extract.directory
    assert after_correction.complete()
    assert run(after_correction)
    assert (extract.directory / "features.h5").stat().st_mtime_ns == made

    replace_image(source / "0.png")
    after_replacement = fresh(stage, ExtractFeatures, **options)
    assert after_replacement.directory != extract.directory
    assert not after_replacement.complete()
    assert [problem for _, problem in verify_artifacts(Path(extract.data_dir)) if problem] == []


def test_import_features_runs_again_only_for_other_images(stage, source, tmp_path):
    np.savez(tmp_path / "features.npz", ids=np.array(["0", "1", "2"]), F=np.eye(3, dtype=np.float32))
    path = str(tmp_path / "features.npz")
    key = fresh(stage, ImportFeatures, path=path).key
    captions = source / "captions.csv"
    captions.write_text(captions.read_text().replace("cat", "dog"))
    assert fresh(stage, ImportFeatures, path=path).key == key
    replace_image(source / "0.png")
    assert fresh(stage, ImportFeatures, path=path).key != key


def test_extract_features_keeps_shards_of_many_images(stage, source, run):
    extract = fresh(stage, ExtractFeatures, **BACKBONE, shards=2, merge_limit=1)
    assert run(extract)
    files = read_provenance(extract.directory).files
    shards = [name for name, made in files.items() if made.get("check") == "size"]
    assert len(shards) == 2
    assert sorted(files) == sorted(["features.h5", "rejects.jsonl", *shards])
    assert not (extract.directory / "scratch").exists()
    shard = extract.directory / shards[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x77")
    (problem,) = [problem for _, problem in verify_artifacts(Path(extract.data_dir)) if problem]
    assert shards[0] in problem
