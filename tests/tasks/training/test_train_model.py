"""Parameters of the stages that train, and the configuration files that set them."""

from configparser import ConfigParser
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from model.mrnn.variants import VARIANTS
from model.training.config import FineTuneBackboneConfig, TrainModelConfig, TrainSelfCriticalConfig
from schemas.errors import ConfigurationError
from tasks.training.fine_tune_backbone import FineTuneBackbone
from tasks.training.train_model import TrainModel
from tasks.training.train_self_critical import TrainSelfCritical
from tests.support.training import configure

PARAMETERS = {name for name, _ in TrainModel.get_params()}
CONFIGURATIONS = [
    path
    for path in sorted(Path(__file__).parents[3].glob("configs/*.cfg"))
    if "[TrainModel]" in path.read_text(encoding="utf-8")
]


OF_SHAPES = {"dataset": "shapes", "data_dir": "var"}


def options_of(config):
    """Names and values of all options, also of nested configurations."""
    found = {}
    for field in fields(config):
        value = getattr(config, field.name)
        found.update(options_of(value) if is_dataclass(value) else {field.name: value})
    return found


@pytest.mark.parametrize(
    ("stage", "config"),
    [
        (TrainModel, TrainModelConfig),
        (FineTuneBackbone, FineTuneBackboneConfig),
        (TrainSelfCritical, TrainSelfCriticalConfig),
    ],
)
def test_every_parameter_reaches_the_configuration(stage, config):
    """Each option is set to another value than its default; its configuration must have that value."""
    defaults = options_of(stage(**OF_SHAPES).config(config))
    other = {
        name: {"precision": "mixed_bfloat16", "strategy": "mirrored", "optimizer": "adamw", "schedule": "plateau"}.get(
            name
        )
        or {"select_by": "perplexity", "baseline": "samples", "variant": "tf-mrnn"}.get(name)
        or {bool: True, int: 7, float: 0.25, type(None): 0.5 if name.endswith("dropout") else 9}[type(value)]
        for name, value in defaults.items()
    }
    assert options_of(stage(**OF_SHAPES, **other).config(config)) == other


def test_train_self_critical_has_its_own_defaults():
    config = TrainSelfCritical(**OF_SHAPES).config(TrainSelfCriticalConfig)
    assert (config.fit.training.epochs, config.fit.training.batch_size, config.fit.training.max_length) == (10, 32, 20)
    assert (config.fit.optimizer.learning_rate, config.fit.schedule.schedule) == (1e-4, "constant")
    assert (config.fit.validation.patience, config.fit.validation.beam_width) == (3, 1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"optimizer": "newton"}, "optimizer cannot be 'newton'; choose one of sgd, adam, adamw, rmsprop"),
        ({"schedule": "up"}, "schedule cannot be 'up'"),
        ({"select_by": "luck"}, "select_by cannot be 'luck'; choose one of cider, perplexity"),
        ({"precision": "int8"}, "precision cannot be 'int8'"),
        ({"strategy": "cloud"}, "strategy cannot be 'cloud'"),
    ],
)
def test_value_outside_the_choices_is_rejected(option, message):
    with pytest.raises(ConfigurationError, match=message):
        configure(TrainModelConfig(), **option)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_configuration_files_set_existing_parameters(path):
    parser = ConfigParser()
    parser.read(path)
    section = parser["TrainModel"]
    assert {*section} <= PARAMETERS
    assert section.get("variant", "mrnn") in VARIANTS
    assert f"mrnn run {'' if path.stem == 'default' else path.stem}" in path.read_text(encoding="utf-8")


def test_every_variant_has_a_configuration_file():
    texts = "".join(path.read_text(encoding="utf-8") for path in CONFIGURATIONS)
    assert [variant for variant in VARIANTS if variant not in texts] == []
