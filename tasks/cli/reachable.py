"""Artifacts that a configuration reaches: all that a stage without further parameters may need."""

from collections.abc import Sequence
from pathlib import Path


def reachable(configs: Sequence[str]) -> set[str]:
    """Return the places below any data directory, `<dataset>/<stage>/<key>`, whether an artifact is there or not.

    Args:
        configs: Files or packaged names; none for the configuration of this process.

    Raises:
        ConfigurationError: A configuration is missing or malformed, or has an unknown name or an invalid value.
    """
    from tasks.configuration import check_configuration, configuration_files, find_configuration, load_configuration
    from tasks.stages import load_stages

    configuration_files()  # before Luigi reads them, for clear error messages
    load_stages()
    found: set[str] = set()
    paths: list[Path | None] = [find_configuration(config) for config in configs]
    for path in paths or [None]:
        check_configuration(path)
        load_configuration(path)
        found |= _reachable()
    load_configuration()
    return found


def _reachable() -> set[str]:
    from luigi.parameter import MissingParameterException

    from tasks.cli.graph import inputs_first
    from tasks.stages import load_stages

    found: set[str] = set()
    for stage in load_stages().values():
        stage.clear_instance_cache()  # parameters are those of the configuration that is loaded now
        try:
            root = stage()
        except MissingParameterException:  # nothing is reached by the configuration alone
            continue
        for task in inputs_first(root):
            found.add(f"{task.dataset}/{task.stage}/{task.key}")
    return found
