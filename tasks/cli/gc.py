"""CollectGarbage: artifacts that no configuration reaches."""

import time
from datetime import timedelta
from pathlib import Path

import luigi

from schemas.errors import ConfigurationError
from tasks.cli.command import Command
from tasks.cli.graph import remove_artifacts
from tasks.cli.reachable import reachable, reachable_by
from tasks.runtime.locks import is_locked


class CollectGarbage(Command):
    """Prints, and with `delete` removes, complete artifacts that no task needs under the given configurations.

    The newest of each stage stay, and what the kept ones were made from. What was begun and never completed, releases
    elsewhere, downloaded archives and whatever else lies in the data directory are not touched.
    """

    configs = luigi.ListParameter(
        default=[], description="configuration files whose artifacts stay, a JSON list; default: that of this command"
    )
    keep = luigi.IntParameter(default=1, description="newest artifacts of each stage that stay anyway")
    delete = luigi.BoolParameter(description="remove them; otherwise they are only printed")
    data_dir = luigi.Parameter(
        config_path={"section": "pipeline", "name": "data_dir"}, description="root of all artifacts"
    )

    def act(self) -> None:
        """Looks, prints and, if asked to, removes.

        Raises:
            ConfigurationError: a configuration cannot be read, or an artifact is being made right now; nothing is
                removed.
        """
        from pipelines.artifacts.collect_garbage import find_artifacts, find_garbage

        data_dir = Path(self.data_dir)
        if self.delete:
            _check_idle(data_dir)
        kept = set().union(*map(reachable_by, map(Path, self.configs))) if self.configs else reachable()
        garbage = find_garbage(list(find_artifacts(data_dir)), kept, self.keep)
        for each in garbage:
            age = timedelta(seconds=round(time.time() - each.made))
            print(
                f"{'removing' if self.delete else 'would remove'} {each.directory}  {each.size / 1e6:.1f} MB, {age} old"
            )
        total = sum(each.size for each in garbage)
        if self.delete:
            remove_artifacts([each.directory for each in garbage])
        print(
            f"{len(garbage)} artifacts, {total / 1e6:.1f} MB {'removed' if self.delete else 'to remove with --delete'}"
        )


def _check_idle(data_dir: Path) -> None:
    """A stage that runs reads artifacts that only it knows of."""
    for lock in data_dir.glob("*/*/.*.lock"):
        directory = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
        if is_locked(directory):
            raise ConfigurationError(f"{directory} is being made by another process; remove garbage when it is done.")
