"""Luigi parameters derived from configuration dataclasses, so that each option is described once.

    @luigi_parameters(OptimizerConfig, ScheduleConfig, defaults={"epochs": 10}, exclude=("decay_keep",))
    class TrainSomething(Stage):
        def work(self, workspace):
            optimizer = self.config(OptimizerConfig)

Each use of the decorator makes new parameters. A stage therefore passes them on to the stages that it requires only
if both inherit them from one decorated mixin, see `Stage.upstream`.
"""

import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import luigi

T = TypeVar("T", bound=type)
C = TypeVar("C")

_SCALARS = {int: luigi.IntParameter, float: luigi.FloatParameter, str: luigi.Parameter}
_OPTIONAL = {int: luigi.OptionalIntParameter, float: luigi.OptionalFloatParameter, str: luigi.OptionalParameter}


def luigi_parameters(
    *configs: type, defaults: Mapping[str, Any] | None = None, exclude: Collection[str] = ()
) -> Callable[[T], T]:
    """Return a class decorator that adds a Luigi parameter for each field of configuration dataclasses.

    Args:
        configs: Frozen dataclasses whose fields are made by `schemas.options.option`, or are such dataclasses.
        defaults: Defaults of this class, by name, in place of those of the fields.
        exclude: Names of fields that get no parameter; `config_of` leaves them at the default of the dataclass.

    Raises:
        TypeError: Two dataclasses share a field, a name in `defaults` or `exclude` is no field, the class has the
            attribute already, or a type has no Luigi parameter. All of these are programming errors.
    """
    given = dict(defaults or {})

    def decorate(cls: T) -> T:
        known: set[str] = set()
        for config in configs:
            for each, hint in _options(config):
                if each.name in known or (each.name not in exclude and hasattr(cls, each.name)):
                    raise TypeError(f"{cls.__name__} has two parameters {each.name}; rename one or exclude it.")
                known.add(each.name)
                if each.name not in exclude:
                    parameter = _parameter(each, hint, given.get(each.name, each.default))
                    setattr(cls, each.name, parameter)
                    parameter.__set_name__(cls, each.name)  # Python calls it in the body of a class only
        if unknown := {*given, *exclude} - known:
            raise TypeError(f"{', '.join(sorted(unknown))}: no such field in the configurations of {cls.__name__}.")
        return cls

    return decorate


def config_of(task: luigi.Task, config: type[C], **given: Any) -> C:
    """Return the configuration that the parameters of a task describe.

    Args:
        task: An instance of a class decorated with `luigi_parameters(config)`.
        config: The configuration dataclass.
        given: Values of fields that are no parameters of the task, or that replace its parameters; fields of a nested
            dataclass are set by giving that dataclass.

    Raises:
        ConfigurationError: The dataclass rejects a value.
    """
    names, values, hints = {name for name, _ in task.get_params()}, dict(given), get_type_hints(config)
    for each in fields(config):  # type: ignore[arg-type]
        if each.name in values:
            continue
        if is_dataclass(hints[each.name]):
            values[each.name] = config_of(task, hints[each.name])
        elif each.name in names:
            values[each.name] = getattr(task, each.name)
    return config(**values)


def _options(config: type) -> Iterator[tuple[Field[Any], Any]]:
    """Yield the options of a configuration and of those nested in it, with their types."""
    hints = get_type_hints(config)
    for each in fields(config):
        if is_dataclass(hints[each.name]):
            yield from _options(hints[each.name])
        else:
            yield each, hints[each.name]


def plain(value: Any) -> Any:
    """Return Luigi's frozen lists and dictionaries as those of JSON."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple) else value


def _parameter(option: Field[Any], hint: Any, default: Any) -> luigi.Parameter:
    """Return the Luigi parameter of one field; its type and choices select the class."""
    common = {
        "default": default,
        "description": option.metadata["help"],
        "significant": option.metadata["significant"],
    }
    is_optional = get_origin(hint) in (types.UnionType,) and type(None) in get_args(hint)
    if is_optional:
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    if option.metadata["choices"]:
        choice = luigi.OptionalChoiceParameter if is_optional else luigi.ChoiceParameter
        return choice(choices=option.metadata["choices"], var_type=hint, **common)
    if hint is bool and not is_optional:
        return luigi.BoolParameter(parsing=luigi.BoolParameter.EXPLICIT_PARSING, **common)
    if get_origin(hint) in (tuple, list) and not is_optional:
        return luigi.ListParameter(**common)
    parameters = _OPTIONAL if is_optional else _SCALARS
    if hint not in parameters:
        raise TypeError(f"The type {hint} of {option.name} has no Luigi parameter; extend tasks/base/params.py.")
    return parameters[hint](**common)
