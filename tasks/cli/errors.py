"""Errors of the `mrnn` command in one sentence."""

import os

from schemas.errors import MRNNError
from schemas.text import escape_control_characters


def describe_error(error: BaseException) -> str | None:
    """Return the sentence for an error that the user can fix; None for a bug, which deserves its traceback."""
    if isinstance(error, MRNNError):
        return str(error)
    if isinstance(error, MemoryError):
        return "Memory ran out; free some, or process fewer images at a time."
    if isinstance(error, OSError) and error.errno:
        return escape_control_characters(f"{error.filename or 'A file'}: {os.strerror(error.errno)}.")
    from tasks.runtime.errors import describe_configuration_error  # imports Luigi, which reads the configuration

    return describe_configuration_error(error)
