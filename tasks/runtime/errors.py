"""What a stage says when the machine fails it: one sentence that names what ran out and the remedy."""

import configparser
import errno
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import luigi.parameter

from schemas.errors import ConfigurationError, MRNNError

_DISK = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room in that quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "make it writable or set another data_dir",
    errno.EACCES: "give this user the right to use it, or set another data_dir",
    errno.EPERM: "give this user the right to use it, or set another data_dir",
    errno.EIO: "check that disk",
}
_OF_MEMORY = ("Cannot allocate memory", "bad_alloc", "Unable to allocate", "OOM when allocating")
_ENDED_BY_LACK_OF_MEMORY = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)


def explain(error: BaseException, stage: Any) -> str | None:
    """The sentence for an error that is not of this program's making; None for a bug."""
    for each in _chain(error):
        if isinstance(each, MRNNError):
            return str(each)
        if _is_of_memory(each):
            return f"memory ran out; {suggest_more_memory(stage)}."
        if isinstance(each, OSError) and (number := _errno(each)) in _DISK:
            of = f" ({name})" if (name := _file(each)) else ""
            return f"{os.strerror(number)}{of}; {_DISK[number]} and run again: what is done is kept."
    return None


def describe_exit(status: int, stage: Any) -> str:
    """How a process ended that could say nothing itself."""
    if status >= 0:
        return f"its process ended with exit status {status}"
    by = f"its process was ended by {signal.Signals(-status).name}"
    if -status in _ENDED_BY_LACK_OF_MEMORY:
        return f"{by}, as it is when memory runs out; if so, {suggest_more_memory(stage)}"
    return by


def suggest_more_memory(stage: Any) -> str:
    """What a person can do about it."""
    size = getattr(stage, "batch_size", None)
    lower = f"lower --{stage.stage}-batch-size, which is {size}, or " if size else ""
    return f"{lower}give it more memory"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_memory(error: BaseException) -> bool:
    # TensorFlow's error by its name: this floor does not import TensorFlow.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return getattr(error, "errno", None) == errno.ENOMEM or any(text in str(error) for text in _OF_MEMORY)


def _errno(error: OSError) -> int:
    """Its number, which HDF5 may say in the text only; 0 if it has none."""
    return error.errno or next((number for number in _DISK if f"errno = {number}," in str(error)), 0)


def _file(error: OSError) -> str | None:
    """The file that it is about, if it says so."""
    in_text = re.search(r"filename = '(.*?)'", str(error))
    return error.filename or (in_text and in_text[1])


_OF_A_VALUE = re.compile(r"(\w+)\[.*Error when parsing the default value of '(\w+)'$", re.DOTALL)


def describe_configuration_error(error: BaseException) -> str | None:
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
