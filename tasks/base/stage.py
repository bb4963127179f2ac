"""The base class of all stages: key, location and execution of an artifact."""

import logging
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register

from schemas.errors import ConfigurationError
from schemas.provenance import FILE_NAME, artifact_key, is_complete
from tasks.base.params import config_of, plain
from tasks.runtime.console import LoggingConfig
from tasks.runtime.executor import execute, remove_scratch
from tasks.runtime.forkserver import prepare
from tasks.runtime.job import Job
from tasks.runtime.workspace import Workspace

log = logging.getLogger("tasks")
C = TypeVar("C")
MAX_NAME_BYTES = 255  # on most file systems
TENSORFLOW = ("tensorflow", "keras", "h5py")  # `preload` of stages that compute with TensorFlow
METRICS = ("model.metrics.captions", "h5py")  # `preload` of stages that score or compare captions


class DirectoryName(luigi.Parameter):
    """A name of a directory, so that everything below it is located below the data directory."""

    def normalize(self, x: str) -> str:
        """Return the name.

        Raises:
            ConfigurationError: The name is empty or leads to another directory.
        """
        if x in ("", ".", "..") or "/" in x or not x.isprintable() or len(x.encode()) > MAX_NAME_BYTES:
            raise ConfigurationError(f"{x!r} cannot name a directory; set dataset of [pipeline] to a dataset's name.")
        return x


class Stage(luigi.Task):
    """A task whose output is one artifact: a directory named by its key, complete when it contains its provenance.

    A subclass declares its parameters (`significant=False` for those that do not change the content), `requires` as a
    dictionary of stages, and `work`.

    Attributes:
        version: Raised when the same parameters give another content than before.
        content: Glob patterns of the files that the content digest covers.
        volatile_files: Glob patterns of files with digests that are no content, because they contain times.
        private: Inherited parameters that `upstream` does not pass on.
        page: File of the artifact that Luigi's status page links to.
        preload: Modules that take long to import and that `work` needs, such as `TENSORFLOW` or `METRICS`.
        keyed_by_content: Names of required stages whose keys do not count, because `parameters` has a digest of what
            is used of their artifacts.
    """

    version: ClassVar[int] = 1
    content: ClassVar[tuple[str, ...]] = ("*",)
    volatile_files: ClassVar[tuple[str, ...]] = ()
    private: ClassVar[tuple[str, ...]] = ()
    page: ClassVar[str] = ""
    preload: ClassVar[tuple[str, ...]] = ()
    keyed_by_content: ClassVar[tuple[str, ...]] = ()

    dataset = DirectoryName(
        config_path={"section": "pipeline", "name": "dataset"},
        description="Name of the dataset, see docs/reference/datasets.md.",
    )
    data_dir = luigi.Parameter(
        config_path={"section": "pipeline", "name": "data_dir"},
        significant=False,
        description="Root directory of all artifacts.",
    )

    @classmethod
    @cache
    def get_params(cls) -> list[tuple[str, luigi.Parameter]]:
        """Return names and parameters in order; Luigi would find and sort them for each task that it creates."""
        params: list[tuple[str, luigi.Parameter]] = super().get_params()
        return params

    def requires(self) -> "dict[str, Stage]":
        """Return the stages whose artifacts this one reads, by the names under which `work` finds them."""
        return {}

    def upstream(self, stage: "type[Stage]", **parameters: Any) -> "Stage":
        """Return a stage to require: with the parameters that both inherit from a common class, and those given.

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
        """Return the configuration dataclass that the parameters describe, see `config_of`."""
        return config_of(self, config, **given)

    def work(self, workspace: Workspace) -> None:
        """Make the artifact's files in `workspace.directory`."""
        raise NotImplementedError(f"{self.stage} does not implement work")

    @property
    def stage(self) -> str:
        """Name of the stage, also on disk."""
        return str(self.task_family)

    @cached_property
    def key(self) -> str:
        """Name of the artifact: a digest of stage, version, significant parameters and keys of the required stages."""
        upstream = {name: task.key for name, task in self.requires().items() if name not in self.keyed_by_content}
        return artifact_key(self.stage, self.version, self.parameters(significant=True), upstream)

    @property
    def directory(self) -> Path:
        """Directory of the artifact: `<data_dir>/<dataset>/<stage>/<key>`."""
        return Path(self.data_dir) / self.dataset / self.stage / self.key

    @property
    def log_path(self) -> Path:
        """File that receives the output of the stage's process."""
        return self.directory.with_name(f"{self.key}.log")

    def parameters(self, significant: bool) -> dict[str, Any]:
        """Return the significant, or the other, parameters and their values."""
        return {
            name: plain(getattr(self, name))
            for name, parameter in self.get_params()
            if parameter.significant == significant
        }

    def output(self) -> luigi.LocalTarget:
        """Return the provenance file, which is written last."""
        return luigi.LocalTarget(str(self.directory / FILE_NAME))

    def complete(self) -> bool:
        """Return whether the artifact is complete."""
        return is_complete(self.directory)

    def deps(self) -> list[luigi.Task]:
        """Return the required stages; Luigi calls this in its main process for each stage that it has to run.

        The libraries that the stage needs are imported in the background from then on.
        """
        prepare(self.preload, LoggingConfig().verbose)
        dependencies: list[luigi.Task] = super().deps()
        return dependencies

    def run(self) -> None:
        """Make the artifact in a process of its own, under the artifact's lock."""
        execute(self.job(), LuigiStatus(self))

    def job(self) -> Job:
        """Return the description of this stage that the runtime executes."""
        return Job(
            name=self.stage,
            key=self.key,
            version=self.version,
            dataset=self.dataset,
            directory=self.directory,
            log_path=self.log_path,
            module=self.task_module,
            family=self.task_family,
            arguments=self.to_str_params(),
            command_line=command_line(),
            configuration=configuration_sections(),
            inputs={name: required.directory for name, required in self.requires().items()},
            parameters=self.parameters(significant=True),
            operational=self.parameters(significant=False),
            keyed_by_content=self.keyed_by_content,
            content=self.content,
            volatile_files=self.volatile_files,
            page=self.page,
            preload=self.preload,
            verbose=LoggingConfig().verbose,
        )

    def __str__(self) -> str:
        return f"{self.stage} {self.key}"


class LuigiStatus:
    """The entry of a stage on the status page of Luigi's scheduler."""

    def __init__(self, task: luigi.Task):
        """Remember the task; while it runs, Luigi sets its functions that reach the scheduler."""
        self._task = task

    def show(self, percentage: int, message: str) -> None:
        """Show the progress of the stage."""
        if self._task.set_status_message:
            self._task.set_progress_percentage(percentage)
            self._task.set_status_message(message)

    def link(self, path: Path) -> None:
        """Link to a file of the artifact."""
        if self._task.set_tracking_url:
            self._task.set_tracking_url(path.resolve().as_uri())


def configuration_sections() -> dict[str, dict[str, str]]:
    """Return the sections of Luigi's configuration, without interpolation of their values."""
    config = luigi.configuration.get_config()
    return {section: dict(config.items(section, raw=True)) for section in config.sections()}


def command_line() -> tuple[str, ...] | None:
    """Return the command line that Luigi has parsed, with the parameters that it sets for all tasks.

    Returns:
        Luigi's arguments; None where stages are not run by Luigi's command line.
    """
    parser = CmdlineParser.get_instance()
    if parser is None:
        return None
    values = vars(parser.known_args)
    options = []
    for task, without_section, name, _ in Register.get_all_params():
        value = values.get(f"{task}_{name}")
        if value not in (None, False):
            flag = "--" + (name if without_section else f"{task}_{name}").replace("_", "-")
            options.append(flag if value is True else f"{flag}={value}")
    return (values["root_task"], *options)


@Stage.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _log_reused(task: luigi.Task) -> None:
    if isinstance(task, Stage) and is_complete(task.directory):
        remove_scratch(task.directory)  # the run that completed it may have been killed before it could
        log.info("%s is there already: %s", task, task.directory)
