"""What is said on a terminal, and how."""

import logging
import sys
from types import TracebackType

import luigi
from tqdm import tqdm

from schemas.errors import MRNNError
from tasks.runtime.errors import describe_configuration_error

STOPPED = "Stopped: what is complete is kept, and the same command goes on with what is missing."


class LoggingConfig(luigi.Config):
    """How much is said."""

    use_cmdline_section = False  # the option is --verbose, of every task

    verbose = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "verbose"},
        default=False,
        always_in_help=True,
        description="also show what Luigi, TensorFlow, Beam and others say",
    )


class Console(logging.StreamHandler):
    """Standard error, above a progress bar if there is one.

    Shows a stage's lines, Luigi's warnings and everybody's errors; all of INFO and above if `LoggingConfig.verbose`.
    """

    def __init__(self) -> None:
        """To be made when Luigi has read its command line."""
        super().__init__()
        try:
            verbose = LoggingConfig().verbose
        except ValueError as error:
            raise SystemExit(_sentence(error)) from error  # there is no log yet that could say it
        self.addFilter(lambda record: verbose or record.levelno >= _lowest_level(record.name))

    def emit(self, record: logging.LogRecord) -> None:
        """One line; a bar moves down for it."""
        try:
            tqdm.write(self.format(record), file=self.stream)
        except Exception:  # as every handler does: what cannot be logged ends no work
            self.handleError(record)


def _lowest_level(logger: str) -> int:
    package = logger.partition(".")[0]
    return {"tasks": logging.INFO, "luigi": logging.WARNING, "luigi-interface": logging.WARNING}.get(
        package, logging.ERROR
    )


class PlainFormatter(logging.Formatter):
    """`08:15:30 message`; errors that a user can mend are their one sentence, without a traceback."""

    def __init__(self, *_: object, **__: object):
        """Arguments, which `logging.config` gives from its file, are not needed."""
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """One line, unless there is an error nobody foresaw."""
        error = record.exc_info[1] if record.exc_info else None
        sentence = error and _sentence(error)
        return f"{self.formatTime(record, self.datefmt)} ERROR {sentence}" if sentence else super().format(record)


def _sentence(error: BaseException) -> str | None:
    return str(error) if isinstance(error, MRNNError) else describe_configuration_error(error)


def report_interrupt(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """A `sys.excepthook`: one sentence for what Luigi lets through: Ctrl-C, bad values of its own sections."""
    if issubclass(kind, KeyboardInterrupt):
        print(STOPPED, file=sys.stderr)
    elif sentence := _sentence(error):
        print(sentence, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
