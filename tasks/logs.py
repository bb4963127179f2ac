"""How log lines look on a terminal."""

import logging

from schemas.errors import MRNNError


class PlainFormatter(logging.Formatter):
    """`08:15:30 message`; errors that a user can mend are their one sentence, without a traceback."""

    def __init__(self, *_: object, **__: object):
        """Arguments, which `logging.config` gives from its file, are not needed."""
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """One line, unless there is an error nobody foresaw."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, MRNNError):
            return f"{self.formatTime(record, self.datefmt)} ERROR {error}"
        return super().format(record)
