"""Messages on the terminal: log lines, errors and interrupts of the `luigi` command."""

import logging
import sys
from types import TracebackType
from typing import TextIO

import luigi
from tqdm import tqdm

from schemas.errors import MRNNError
from tasks.runtime.errors import describe_configuration_error

INTERRUPTED = "Interrupted. Completed artifacts are kept; rerun the same command to resume."


class LoggingConfig(luigi.Config):
    """Verbosity of the terminal."""

    use_cmdline_section = False  # the option is --verbose, for every task

    verbose = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "verbose"},
        default=False,
        always_in_help=True,
        description="also show the log of Luigi, TensorFlow, Beam and other libraries",
    )


class Console(logging.StreamHandler[TextIO]):
    """Log handler that writes to standard error, above a progress bar if there is one.

    It shows the messages of stages, the warnings of Luigi and the errors of all libraries; with
    `LoggingConfig.verbose` everything of level INFO and above.
    """

    def __init__(self) -> None:
        """Create the handler, which Luigi does when it has read its command line.

        Only there it replaces `sys.excepthook`, so that an interrupt is one sentence.
        """
        super().__init__()
        sys.excepthook = report_interrupt
        try:
            verbose = LoggingConfig().verbose
        except ValueError as error:
            raise SystemExit(_sentence(error)) from error  # logging is not set up yet
        self.addFilter(lambda record: verbose or record.levelno >= _lowest_level(record.name))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, above a progress bar."""
        try:
            tqdm.write(self.format(record), file=self.stream)
        except Exception:  # as every handler does: a line that cannot be logged must not end the run
            self.handleError(record)


def _lowest_level(logger: str) -> int:
    package = logger.partition(".")[0]
    return {"tasks": logging.INFO, "luigi": logging.WARNING, "luigi-interface": logging.WARNING}.get(
        package, logging.ERROR
    )


class PlainFormatter(logging.Formatter):
    """Formats as `08:15:30 message`; an error that the user can fix is its one sentence without a traceback."""

    def __init__(self, *_: object, **__: object):
        """Ignore the arguments that `logging.config` passes."""
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, followed by the traceback of an unexpected error."""
        error = record.exc_info[1] if record.exc_info else None
        sentence = error and _sentence(error)
        return f"{self.formatTime(record, self.datefmt)} ERROR {sentence}" if sentence else super().format(record)


def _sentence(error: BaseException) -> str | None:
    return str(error) if isinstance(error, MRNNError) else describe_configuration_error(error)


def report_interrupt(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print one sentence for errors that Luigi does not catch: Ctrl-C and invalid values in its own sections.

    Args:
        kind: Type of the error.
        error: The error.
        traceback: Its traceback.
    """
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    elif sentence := _sentence(error):
        print(sentence, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
