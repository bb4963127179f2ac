"""Fields of configuration dataclasses, with the metadata that parameters and reference documentation derive from."""

from collections.abc import Sequence
from dataclasses import field, fields
from typing import Any

from schemas.errors import ConfigurationError


def option(default: Any, help: str, *, choices: Sequence[Any] = (), significant: bool = True) -> Any:
    """Return a field of a frozen configuration dataclass.

    Args:
        default: Value where none is given.
        help: One sentence for users: meaning, unit, and the value that disables it.
        choices: All valid values, if they can be listed; `check_choices` enforces them.
        significant: Whether another value gives another artifact. Options of execution alone, such as the number of
            threads, are not significant.
    """
    return field(default=default, metadata={"help": help, "choices": tuple(choices), "significant": significant})


def check_choices(config: Any) -> None:
    """Check each field that has `choices`, to be called in `__post_init__`.

    Raises:
        ConfigurationError: A value is none of the choices of its field.
    """
    for each in fields(config):
        choices, value = each.metadata.get("choices"), getattr(config, each.name)
        if choices and value is not None and value not in choices:
            raise ConfigurationError(
                f"{each.name} cannot be {value!r}; choose one of {', '.join(str(choice) for choice in choices)}."
            )
