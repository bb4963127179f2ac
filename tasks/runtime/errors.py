"""Error messages: one sentence with the problem and the remedy."""

import configparser
import errno
import os
import re
import signal
from collections.abc import Iterator

import luigi.parameter

from schemas.errors import ConfigurationError, MRNNError
from tasks.runtime.job import Job

_DISK = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space in that quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "make it writable or set another data_dir",
    errno.EACCES: "grant this user access, or set another data_dir",
    errno.EPERM: "grant this user access, or set another data_dir",
    errno.EIO: "check that disk",
}
_MEMORY_MESSAGES = ("Cannot allocate memory", "bad_alloc", "Unable to allocate", "OOM when allocating")
_ENDED_BY_LACK_MEMORY_MESSAGES = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)


def explain(error: BaseException, job: Job) -> str | None:
    """Return the sentence for an error that the user can fix; None for a bug."""
    for each in _chain(error):
        if isinstance(each, MRNNError):
            return str(each)
        if _is_memory_error(each):
            return f"memory ran out; {suggest_more_memory(job)}."
        if isinstance(each, OSError) and (number := _errno(each)) in _DISK:
            of = f" ({name})" if (name := _file(each)) else ""
            return f"{os.strerror(number)}{of}; {_DISK[number]} and run again; completed work is kept."
    return None


def describe_exit(status: int | None, job: Job) -> str:
    """Return how a process ended that did not report it.

    Args:
        status: Exit status, or the negative number of the signal that ended the process; None if it is unknown.
        job: The stage of the process.
    """
    if status is None:
        return "its process was killed together with the server that forked it"
    if status >= 0:
        return f"its process ended with exit status {status}"
    by = f"its process was ended by {signal.Signals(-status).name}"
    if -status in _ENDED_BY_LACK_MEMORY_MESSAGES:
        return f"{by}, as it is when memory runs out; if so, {suggest_more_memory(job)}"
    return by


def suggest_more_memory(job: Job) -> str:
    """Return what a user can do when memory runs out."""
    lower = f"lower --{job.name}-batch-size, which is {job.batch_size}, or " if job.batch_size else ""
    return f"{lower}give it more memory"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_memory_error(error: BaseException) -> bool:
    # TensorFlow's error by its name: this layer does not import TensorFlow.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return getattr(error, "errno", None) == errno.ENOMEM or any(text in str(error) for text in _MEMORY_MESSAGES)


def _errno(error: OSError) -> int:
    """Return the error number, which HDF5 has only in the text; 0 if there is none."""
    return error.errno or next((number for number in _DISK if f"errno = {number}," in str(error)), 0)


def _file(error: OSError) -> str | None:
    """Return the file that the error names, if any."""
    in_text = re.search(r"filename = '(.*?)'", str(error))
    return error.filename or (in_text and in_text[1])


_PARSING_ERROR = re.compile(r"(\w+)\[.*Error when parsing the default value of '(\w+)'$", re.DOTALL)


def describe_configuration_error(error: BaseException) -> str | None:
    """Return the sentence for a parameter that cannot be parsed; None for another error."""
    if isinstance(error, ValueError) and (found := _PARSING_ERROR.match(str(error))):
        task, name = found.groups()
        return _sentence(f"{name} of [{task}]", error.__cause__)
    if isinstance(error, configparser.Error | luigi.parameter.ParameterException):
        return _sentence("The configuration", error)
    return None


def _sentence(what: str, reason: BaseException | None) -> str:
    """Return the message of the typed error, whose control characters are escaped."""
    return str(ConfigurationError(f"{what} cannot be read ({reason}); correct the configuration or the command line."))
