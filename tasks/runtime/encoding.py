"""Text encodings of the commands, whatever the locale."""

import os
import sys


def use_utf8() -> None:
    """Start this command again in Python's UTF-8 mode where the locale, such as C, has another encoding of file names.

    Names of files that are not ASCII could neither be compared with captions nor be written to a file otherwise.
    Processes that this one starts inherit the mode.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, sys.orig_argv)


def make_output_safe() -> None:
    """Escape characters that the terminal's encoding lacks, in place of failing."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
