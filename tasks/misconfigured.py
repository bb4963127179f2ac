"""What Luigi says of a configuration or a command line that it cannot read, in one sentence."""

import configparser
import re

import luigi.parameter

from schemas.errors import ConfigurationError

_OF_A_VALUE = re.compile(r"(\w+)\[.*Error when parsing the default value of '(\w+)'$", re.DOTALL)


def misconfigured(error: BaseException) -> str | None:
    """The sentence, if that is what `error` is about."""
    if isinstance(error, ValueError) and (found := _OF_A_VALUE.match(str(error))):
        task, name = found.groups()
        return _sentence(f"{name} of [{task}]", error.__cause__)
    if isinstance(error, configparser.Error | luigi.parameter.ParameterException):
        return _sentence("The configuration", error)
    return None


def _sentence(what: str, reason: BaseException | None) -> str:
    """As the typed error, with what is not fit for a terminal as escapes."""
    return str(ConfigurationError(f"{what} cannot be read ({reason}); correct the configuration or the command line."))
