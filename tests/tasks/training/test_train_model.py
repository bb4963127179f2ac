"""What TrainModel and the configuration files say about training."""

from configparser import ConfigParser
from dataclasses import fields
from pathlib import Path

import pytest

from model.mrnn.variants import VARIANTS
from model.training.history import TrainingOptions
from tasks.training.train_model import TrainModel

PARAMETERS = {name for name, _ in TrainModel.get_params()}
CONFIGURATIONS = [
    path
    for path in sorted(Path(__file__).parents[3].glob("configs/*.cfg"))
    if "[TrainModel]" in path.read_text(encoding="utf-8")
]


def test_every_option_of_training_is_a_parameter():
    assert {field.name for field in fields(TrainingOptions)} <= PARAMETERS


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_configurations_set_what_is_there_to_be_set(path):
    parser = ConfigParser()
    parser.read(path)
    section = parser["TrainModel"]
    assert {*section} <= PARAMETERS
    assert section.get("variant", "mrnn") in VARIANTS
    assert f"mrnn run {'' if path.stem == 'default' else path.stem}" in path.read_text(encoding="utf-8")


def test_every_variant_has_a_configuration_that_names_it():
    texts = "".join(path.read_text(encoding="utf-8") for path in CONFIGURATIONS)
    assert [variant for variant in VARIANTS if variant not in texts] == []
