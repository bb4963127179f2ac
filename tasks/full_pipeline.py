"""FullPipeline: the report and the release."""

import luigi

from tasks.base.stage import Stage
from tasks.evaluation.score_rows import AllScores
from tasks.release.publish_features import PublishFeatures
from tasks.report.build_report import BuildReport


class FullPipeline(AllScores, luigi.WrapperTask):
    """Run the whole pipeline; print scores, ten captions, and the locations of report and release."""

    def requires(self) -> dict[str, Stage]:
        """Return report and release."""
        return {"report": self.upstream(BuildReport), "release": self.upstream(PublishFeatures)}

    def complete(self) -> bool:
        """Return whether both are complete; this task has no artifact of its own."""
        return all(task.complete() for task in self.requires().values())

    def output(self) -> list[luigi.LocalTarget]:
        """Return the outputs of both."""
        return [task.output() for task in self.requires().values()]

    def run(self) -> None:
        """Do nothing: the required report and release are the result."""

    def summary(self) -> str:
        """Return scores, captions and locations for the terminal."""
        from pipelines.report.summary import format_summary
        from schemas.io.files import read_json

        report, release = (self.requires()[name].directory for name in ("report", "release"))
        return (
            f"\n{format_summary(read_json(report / 'summary.json'))}\n\n"
            f"report   {report / 'report.html'}\n"
            f"scores   {report / 'summary.json'}\n"
            f"release  {release}"
        )


@FullPipeline.event_handler(luigi.Event.SUCCESS)
def _print_summary(task: FullPipeline) -> None:
    print(task.summary(), flush=True)


@FullPipeline.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_nothing_to_do(task: FullPipeline) -> None:
    print(f"Nothing to do: all artifacts exist.\n{task.summary()}", flush=True)
