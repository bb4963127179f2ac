"""Luigi parameters derived from configuration dataclasses."""

from dataclasses import dataclass, field

import luigi
import pytest
from luigi.cmdline_parser import CmdlineParser

from schemas.errors import ConfigurationError
from schemas.options import check_choices, option
from tasks.base.params import config_of, luigi_parameters
from tasks.base.stage import Stage


@dataclass(frozen=True)
class SearchConfig:
    width: int = option(3, "Beam width.")
    penalty: float = option(0.5, "Length penalty (0 disables it).")
    search: str = option("beam", "Search strategy.", choices=("beam", "greedy"))
    name: str = option("", "Title of the run.")
    fast: bool = option(False, "Compile with XLA.", significant=False)
    forbidden: tuple[str, ...] = option(("<unk>",), "Tokens that are never generated.")
    limit: int | None = option(None, "Maximum number of images (default: all).")
    rate: float | None = option(None, "Dropout rate (default: the variant's).")
    backend: str | None = option(None, "Backend (default: chosen by the device).", choices=("cpu", "gpu"))

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True)
class OtherConfig:
    seed: int = option(0, "Random seed.")


@dataclass(frozen=True)
class NestedConfig:
    search: SearchConfig = field(default_factory=SearchConfig)
    other: OtherConfig = field(default_factory=OtherConfig)


@luigi_parameters(NestedConfig, defaults={"seed": 5}, exclude=("search",))
class SearchNested(Stage):
    pass


@luigi_parameters(SearchConfig, OtherConfig)
class SearchToys(Stage):
    pass


@luigi_parameters(SearchConfig, defaults={"width": 7}, exclude=("search",))
class SearchWidely(Stage):
    pass


def parse(family: str, *arguments: str) -> luigi.Task:
    with CmdlineParser.global_instance([family, *arguments]) as parser:
        return parser.get_task_obj()


def test_defaults_are_those_of_the_dataclass():
    assert SearchToys().config(SearchConfig) == SearchConfig()
    assert SearchToys().config(OtherConfig) == OtherConfig()


def test_command_line_values_reach_the_dataclass_with_its_types():
    task = parse(
        *("SearchToys", "--width", "5", "--penalty", "1.25", "--search", "greedy", "--name", "x", "--fast", "true"),
        *("--forbidden", '["a", "b"]', "--limit", "9", "--rate", "0.25", "--backend", "gpu"),
    )
    expected = SearchConfig(5, 1.25, "greedy", "x", True, ("a", "b"), 9, 0.25, "gpu")
    assert task.config(SearchConfig) == expected
    assert [type(value) for value in vars(task.config(SearchConfig)).values()] == [
        type(value) for value in vars(expected).values()
    ]


def test_configuration_file_sets_parameters():
    luigi.configuration.get_config().set("SearchToys", "fast", "true")
    luigi.configuration.get_config().set("SearchToys", "limit", "12")
    try:
        config = SearchToys().config(SearchConfig)
    finally:
        luigi.configuration.get_config().remove_section("SearchToys")
    assert (config.fast, config.limit) == (True, 12)


@pytest.mark.parametrize("arguments", [("--width", "wide"), ("--search", "best"), ("--backend", "tpu")])
def test_command_line_rejects_invalid_values(arguments):
    with pytest.raises((ValueError, SystemExit)):
        parse("SearchToys", *arguments)


def test_descriptions_and_significance_are_the_metadata():
    parameters = dict(SearchToys.get_params())
    assert parameters["width"].description == "Beam width."
    assert parameters["width"].significant
    assert not parameters["fast"].significant
    assert "fast" not in SearchToys().parameters(significant=True)


def test_defaults_and_exclude_change_one_class_only():
    names = [name for name, _ in SearchWidely.get_params()]
    assert "search" not in names
    assert SearchWidely().config(SearchConfig) == SearchConfig(width=7)
    assert SearchToys().width == 3


def test_config_of_takes_further_values():
    assert SearchWidely().config(SearchConfig, search="greedy", width=2) == SearchConfig(width=2, search="greedy")
    with pytest.raises(ConfigurationError, match="search cannot be 'best'; choose one of beam, greedy"):
        config_of(SearchWidely(), SearchConfig, search="best")


def test_nested_dataclasses_are_flattened_and_rebuilt():
    task = parse("SearchNested", "--width", "9")
    assert task.config(NestedConfig) == NestedConfig(SearchConfig(width=9), OtherConfig(seed=5))
    other = OtherConfig(seed=6)
    assert task.config(NestedConfig, other=other) == NestedConfig(SearchConfig(width=9), other)


def test_parameters_are_passed_upstream_only_within_a_common_mixin():
    @luigi_parameters(OtherConfig)
    class Seeded(Stage):
        pass

    class First(Seeded):
        pass

    class Second(Seeded):
        pass

    @luigi_parameters(OtherConfig)
    class Unrelated(Stage):
        pass

    assert Second(seed=4).upstream(First).seed == 4
    assert Second(seed=4).upstream(Unrelated).seed == 0


def test_luigi_parameters_rejects_mistakes_of_the_programmer():
    with pytest.raises(TypeError, match="two parameters width"):
        luigi_parameters(SearchConfig, SearchConfig)(type("Twice", (Stage,), {}))
    with pytest.raises(TypeError, match="two parameters data_dir"):
        luigi_parameters(dataclass(frozen=True)(type("C", (), {"__annotations__": {"data_dir": str}, "data_dir": ""})))(
            type("Taken", (Stage,), {})
        )
    with pytest.raises(TypeError, match="deep: no such field"):
        luigi_parameters(SearchConfig, exclude=("deep",))(type("Unknown", (Stage,), {}))
    config = dataclass(frozen=True)(
        type("D", (), {"__annotations__": {"table": dict[str, int]}, "table": option(None, "A table.")})
    )
    with pytest.raises(TypeError, match="has no Luigi parameter"):
        luigi_parameters(config)(type("Untyped", (Stage,), {}))
