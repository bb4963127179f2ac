"""Specifications of backbones, and their files."""

from pathlib import Path

import pytest

from model.backbones.spec import BackboneSpec


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("vgg16/fc2", "imagenet", None),
        ("vgg16/fc2", "random:0", None),
        ("vgg16/fc2", "", None),
        ("vgg16/fc2", "mine/vgg.weights.h5", "mine/vgg.weights.h5"),
        ("hub:https://tfhub.dev/google/module/4", "", None),
        ("hub:/modules/mine", "", "/modules/mine"),
    ],
)
def test_local_path_is_that_of_weights_or_module(name, weights, expected):
    assert BackboneSpec(name, weights).local_path == (expected and Path(expected))


def test_with_files_in_another_directory():
    spec = BackboneSpec("vgg16/fc2", "mine/vgg.weights.h5", 32)
    assert spec.with_files_in(Path("/copy")) == BackboneSpec("vgg16/fc2", "/copy/vgg.weights.h5", 32)
    module = BackboneSpec("hub:/modules/mine", "", pool="grid:2")
    moved = module.with_files_in(Path("/copy"))
    assert moved == BackboneSpec("hub:/copy/mine", "", pool="grid:2")
    assert moved.kind == module.kind
