"""What all stages share: the key that names the artifact, where it lies, and how it comes to be."""

import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import luigi

from schemas.errors import ConfigurationError
from schemas.provenance import FILE_NAME, artifact_key, is_complete
from tasks.base.params import config_of
from tasks.runtime.executor import execute, remove_scratch
from tasks.runtime.workspace import Workspace

log = logging.getLogger("tasks")
C = TypeVar("C")
LONGEST_NAME = 255  # bytes, on most file systems


class DirectoryName(luigi.Parameter):
    """A text that names one folder, so that what lies below it lies below the data directory."""

    def normalize(self, x: str) -> str:
        """The name.

        Raises:
            ConfigurationError: it leads elsewhere, or is none.
        """
        if x in ("", ".", "..") or "/" in x or not x.isprintable() or len(x.encode()) > LONGEST_NAME:
            raise ConfigurationError(f"{x!r} cannot name a folder; set dataset of [pipeline] to the name of a corpus.")
        return x


class Stage(luigi.Task):
    """A task whose output is one artifact: a directory named by its key, complete when its provenance is there.

    A subclass declares `version` (raise it when the same parameters would give another content), its parameters
    (`significant=False` for those that do not change the content), `requires` as a dictionary of stages, and `work`.
    """

    version: ClassVar[int] = 1
    content: ClassVar[tuple[str, ...]] = ("*",)  # patterns of the files that the content digest covers
    beside: ClassVar[tuple[str, ...]] = ()  # the same of files that hold times: they have digests, but are no content
    private: ClassVar[tuple[str, ...]] = ()  # parameters that are not passed on, although inherited from a common class
    page: ClassVar[str] = ""  # the file of the artifact that Luigi's status page links to

    dataset = DirectoryName(
        config_path={"section": "pipeline", "name": "dataset"}, description="name of the corpus, see pipelines/datasets"
    )
    data_dir = luigi.Parameter(
        config_path={"section": "pipeline", "name": "data_dir"},
        significant=False,
        description="root of all artifacts",
    )

    def requires(self) -> "dict[str, Stage]":
        """The stages whose artifacts this one reads, by the names that `work` knows them by."""
        return {}

    def upstream(self, stage: "type[Stage]", **parameters: Any) -> "Stage":
        """The stage to require: with the parameters that both inherit from a common class, and those given.

        Unlike `clone`, it does not pass on parameters that merely have the same name, such as two batch sizes,
        and none that are `private`.
        """
        own = dict(self.get_params())
        shared = {
            name: getattr(self, name)
            for name, parameter in stage.get_params()
            if own.get(name) is parameter and name not in self.private
        }
        return stage(**{**shared, **parameters})

    def config(self, config: type[C], **given: Any) -> C:
        """The configuration dataclass that the parameters of `luigi_parameters(config)` describe, see `config_of`."""
        return config_of(self, config, **given)

    def work(self, workspace: Workspace) -> None:
        """Makes the artifact's files in `workspace.directory`."""
        raise NotImplementedError(f"{self.stage} does not say what it does")

    @property
    def stage(self) -> str:
        """The stage's name, also on disk."""
        return str(self.task_family)

    @cached_property
    def key(self) -> str:
        """Names the artifact: a digest of stage, version, significant parameters and the keys of what it requires."""
        upstream = {name: task.key for name, task in self.requires().items()}
        return artifact_key(self.stage, self.version, self.parameters(significant=True), upstream)

    @property
    def directory(self) -> Path:
        """Where the artifact lies: `<data_dir>/<dataset>/<stage>/<key>`."""
        return Path(self.data_dir) / self.dataset / self.stage / self.key

    @property
    def log_path(self) -> Path:
        """Where what the stage's process prints goes."""
        return self.directory.with_name(f"{self.key}.log")

    def parameters(self, significant: bool) -> dict[str, Any]:
        """The significant, or the other, parameters and their values."""
        return {
            name: _plain(getattr(self, name))
            for name, parameter in self.get_params()
            if parameter.significant == significant
        }

    def output(self) -> luigi.LocalTarget:
        """The provenance file, which is written last."""
        return luigi.LocalTarget(str(self.directory / FILE_NAME))

    def complete(self) -> bool:
        """Whether the artifact is whole."""
        return is_complete(self.directory)

    def run(self) -> None:
        """Has the artifact made by a process of its own, under the artifact's lock."""
        execute(self)

    def __str__(self) -> str:
        return f"{self.stage} {self.key}"


def _plain(value: Any) -> Any:
    """Luigi's frozen lists and dictionaries as JSON's."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


@Stage.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _log_reused(task: luigi.Task) -> None:
    if isinstance(task, Stage) and is_complete(task.directory):
        remove_scratch(task.directory)  # the run that completed it may have been killed before it could
        log.info("%s is there already: %s", task, task.directory)
