"""Layered configuration: packaged defaults, the user's files, and the files that these include.

Each layer overrides those before it: `configs/default.cfg`, the files that Luigi looks for (`/etc/luigi/luigi.cfg`,
`luigi.cfg` in the working directory), and the file that `LUIGI_CONFIG_PATH` names. The section `[include]` of a file
names files to read before it. If none of them names a dataset, `configs/shapes.cfg` follows the first one.
"""

import configparser
import os
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path

from schemas.errors import ConfigurationError
from schemas.text import reason

CONFIGS = Path(__file__).parents[1] / "configs"
DEFAULTS = CONFIGS / "default.cfg"
SHAPES = CONFIGS / "shapes.cfg"
LOGGING = CONFIGS / "logging.cfg"
VARIABLE = "LUIGI_CONFIG_PATH"
_SEARCHED = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")  # as Luigi does
_INCLUDE = "include"

RENAMED = {
    "FindNeighbours": "FindNeighbors",
    "TokeniseCaptions": "TokenizeCaptions",
    "TuneOnCider": "TrainSelfCritical",
    "against": "method",
    "average": "ema_decay",
    "neighbours": "neighbors",
    "normalisation_images": "normalization_images",
    "optimiser": "optimizer",
    "shards_at": "shared_dir",
    "tokeniser": "tokenizer",
    "wide_beam_width": "n_best",
}
"""Old name of a stage or of a parameter -> the name that took its place."""

RENAMED_VALUES = {
    ("search", "wide"): "n-best",
    ("captions", "wide"): "n-best",
    ("split", "unlabelled"): "unlabeled",
    ("method", "neighbours"): "consensus",
    ("method", "self"): "self-consensus",
}
"""(parameter, old value) -> the value that took its place."""

COMMANDS = {
    "CaptionImages": "mrnn caption",
    "CollectGarbage": "mrnn gc",
    "CompareRuns": "mrnn compare",
    "EvaluateFile": "mrnn evaluate",
    "Invalidate": "mrnn invalidate",
    "RerankFile": "mrnn rerank",
    "ShowPipeline": "mrnn show",
    "ValidateDataset": "mrnn validate",
    "VerifyArtifacts": "mrnn verify",
    "VerifyRelease": "mrnn verify RELEASE",
}
"""Former task -> the command that took its place."""

REMOVED = {
    "ensemble": "model_seeds lists the seeds of all models of an ensemble",
    "index": "the search for neighbors is exact",
    "probes": "the search for neighbors is exact",
}
"""Removed parameter -> reason."""

_LUIGI_SECTIONS = frozenset(
    "batch_notifier bigquery core cors elasticsearch email execution_summary hadoop hdfs hive kubernetes logging "
    "mysql postgres prometheus redshift resources retcode scalding scheduler sendgrid smtp spark task_history webhdfs "
    "worker".split()
)


def configuration_names() -> list[str]:
    """Return the names of the packaged configurations, such as `flickr8k`."""
    return sorted(path.stem for path in CONFIGS.glob("*.cfg") if path != LOGGING)


def is_configuration(name: str) -> bool:
    """Return whether `name` is a configuration file's path or a packaged configuration's name."""
    return Path(name).expanduser().is_file() or name in configuration_names()


def find_configuration(name: str) -> Path:
    """Return the path of a configuration file.

    Args:
        name: Path, or name of a packaged configuration.

    Raises:
        ConfigurationError: There is no such file; the message gives the nearest name.
    """
    if not is_configuration(name):
        near = suggest(Path(name).stem, configuration_names())
        raise ConfigurationError(f"There is no configuration file {name}{near}")
    path = Path(name).expanduser()
    return path.absolute() if path.is_file() else CONFIGS / f"{name}.cfg"


def configuration_files(path: Path | None = None) -> list[Path]:
    """Return all files of the configuration in the order in which they are read.

    Args:
        path: The user's file; that of `LUIGI_CONFIG_PATH` by default.

    Raises:
        ConfigurationError: A file is missing or malformed.
    """
    given = path or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    found = [Path(each) for each in _SEARCHED if Path(each).is_file()]
    files = [file for each in [*found, *([given] if given else [])] for file in _with_includes(each)]
    named = any("dataset" in read_configuration(file).get("pipeline", {}) for file in files)
    return [DEFAULTS, *([] if named else [SHAPES]), *files]


def load_configuration(path: Path | None = None) -> None:
    """Set Luigi's configuration to the layers of `configuration_files`.

    Raises:
        ConfigurationError: A file is missing or malformed.
    """
    import luigi.configuration

    config = luigi.configuration.get_config()
    files = configuration_files(path)
    config.clear()
    config.read(files, encoding="utf-8")
    if not config.has_option("core", "logging_conf_file"):
        config.set("core", "logging_conf_file", str(LOGGING).replace("%", "%%"))


def check_configuration(path: Path | None = None) -> None:
    """Check that every section and option of the configuration files exists; to be called with all stages registered.

    Raises:
        ConfigurationError: One does not; the message names the file and gives the nearest name.
    """
    known = _known_options()
    for file in configuration_files(path):
        for section, options in read_configuration(file).items():
            if section == _INCLUDE:
                continue
            if section not in known:
                unknown = describe_rename(section, known) or f"there is no section {section}{suggest(section, known)}"
                raise ConfigurationError(f"{file}: {unknown}")
            names = known[section]
            for option, value in options.items() if names is not None else ():
                if problem := _find_problem(option.replace("-", "_"), value, names or set()):
                    raise ConfigurationError(f"{file}, section [{section}]: {problem}")


def _find_problem(name: str, value: str, names: Collection[str]) -> str | None:
    if name not in names:
        return describe_rename(name, names) or f"there is no option {name}{suggest(name, names)}"
    if new := RENAMED_VALUES.get((name, value)):
        return f"{name} = {value} is now {name} = {new}."
    return None


def read_configuration(path: Path) -> dict[str, dict[str, str]]:
    """Read one file, section -> option -> value as text.

    Raises:
        ConfigurationError: There is no such file, or it is malformed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"Configuration file {path} cannot be read ({error.strerror}).") from error
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise ConfigurationError(f"{path} starts with a byte order mark; save it as UTF-8 without one.")
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(content.decode(), str(path))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}, is not UTF-8; save the file as UTF-8.") from error
    except configparser.Error as error:
        raise ConfigurationError(f"{path} is not a configuration file ({reason(error)}).") from error
    return {section: dict(parser[section]) for section in parser.sections()}


def describe_rename(name: str, known: Collection[str]) -> str | None:
    """Return one sentence that gives the new name of a renamed stage or option.

    Args:
        name: Stage, option, or both with a dot.
        known: Valid names.

    Returns:
        The sentence; None if the name is valid or was never used.
    """
    if name in known:
        return None
    if command := COMMANDS.get(name.split(".")[0]):
        return f"{name.split('.')[0]} is now the command `{command}`."
    if why := REMOVED.get(name.split(".")[-1]):
        return f"{name} was removed, because {why}; delete it."
    new = ".".join(RENAMED.get(part, part) for part in name.split("."))
    return f"{name} is now called {new}." if new in known else None


def suggest(name: str, known: Iterable[str]) -> str:
    """Suggest a valid name for an unknown one.

    Args:
        name: The unknown name.
        known: Valid names.

    Returns:
        The end of a sentence with the nearest name, or with all names.
    """
    by_lower = {each.lower(): each for each in sorted(known)}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {by_lower[near[0]]}?"
    names = list(by_lower.values())
    return f"; there are {', '.join(names)}." if len(names) <= 30 else "."


def _with_includes(path: Path, including: tuple[Path, ...] = ()) -> list[Path]:
    if path in including:
        raise ConfigurationError(f"{path} includes itself, by way of {including[-1]}; remove one of the includes.")
    options = read_configuration(path).get(_INCLUDE, {})
    if unknown := options.keys() - {"files"}:
        raise ConfigurationError(f"{path}: section [{_INCLUDE}] has the option `files` only, not {min(unknown)}.")
    found = []
    for name in options.get("files", "").split():
        candidates = [path.parent / Path(name).expanduser(), CONFIGS / name]
        chosen = next((each for each in candidates if each.is_file()), candidates[0])
        found += _with_includes(chosen, (*including, path))
    return [*found, path]


def _known_options() -> dict[str, set[str] | None]:
    """Section -> its options; None where all are accepted."""
    from luigi.task_register import Register

    known: dict[str, set[str]] = {"core": {"logging_conf_file"}}
    for task, _, name, parameter in Register.get_all_params():
        known.setdefault(task, set()).update([name, *getattr(Register.get_task_cls(task), "ignore_unconsumed", ())])
        if place := parameter._config_path:  # Luigi has no public name for it
            known.setdefault(place["section"], set()).add(place["name"].replace("-", "_"))
    return {**dict.fromkeys(_LUIGI_SECTIONS, None), **known}
