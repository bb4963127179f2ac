"""Extracted features are named by the network, wherever that lies, and not by how it is run."""

from tasks import ExtractFeatures


def key(**parameters):
    # A task of the same parameters is the same object within a process; another run of the program is played here.
    ExtractFeatures.clear_instance_cache()
    return ExtractFeatures(dataset="shapes", data_dir="var", **parameters).key


def test_a_weights_file_counts_by_what_it_holds(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"weights")
    (tmp_path / "b.h5").write_bytes(b"weights")
    (tmp_path / "c.h5").write_bytes(b"others")
    keys = [key(backbone="vgg16/fc2", weights=str(tmp_path / name)) for name in ("a.h5", "b.h5", "c.h5", "absent.h5")]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_module_counts_by_its_name_and_what_it_holds(tmp_path):
    for place, content in (("one", "x"), ("two", "x"), ("three", "y")):
        (tmp_path / place / "net").mkdir(parents=True)
        (tmp_path / place / "net" / "saved_model.pb").write_text(content)
    keys = [key(backbone=f"hub:{tmp_path / place / 'net'}") for place in ("one", "two", "three")]
    assert keys[0] == keys[1] != keys[2]
    (tmp_path / "one" / "net").rename(tmp_path / "one" / "other")
    assert key(backbone=f"hub:{tmp_path / 'one' / 'other'}") != keys[1]


def test_the_place_is_told_all_the_same(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"weights")
    ExtractFeatures.clear_instance_cache()
    task = ExtractFeatures(dataset="shapes", data_dir="var", weights=str(tmp_path / "a.h5"))
    assert task.parameters(significant=False)["weights"] == str(tmp_path / "a.h5")


def test_how_it_is_run_does_not_count():
    usual = key()
    assert key(runner="some.Runner", runner_options=["--x"], resource_hints={"min_ram": "8GB"}) == usual
    assert key(shards=3, batch_size=7, decode_threads=9, inference_threads=2, xla=True) == usual
    assert key(images_at="gs://bucket/images", shards_at="gs://bucket/shards", max_reject_fraction=0.5) == usual
    assert key(precision="mixed_bfloat16") != usual
