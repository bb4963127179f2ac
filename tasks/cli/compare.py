"""CompareRuns: all runs in the data directory, side by side."""

from pathlib import Path

import luigi

from schemas.errors import InputError
from tasks.cli.command import Command


class CompareRuns(Command):
    """Prints the scores of all runs, the parameters in which they differ and their time; writes CSV and a page."""

    data_dir = luigi.Parameter(
        config_path={"section": "pipeline", "name": "data_dir"}, description="root of all artifacts"
    )
    out = luigi.Parameter(
        default="", description="folder for runs.csv and runs.html; default: `comparison` in data_dir"
    )

    def act(self) -> None:
        """Reads, prints and writes.

        Raises:
            InputError: nothing was scored in this data directory.
        """
        from pipelines.artifacts.compare_runs.runs import find_runs
        from pipelines.artifacts.compare_runs.tables import format_runs, write_runs_csv, write_runs_page

        runs, problems = find_runs(Path(self.data_dir))
        for problem in problems:
            print(f"Warning: {problem}")
        if not runs:
            raise InputError(f"{self.data_dir} has no scores to compare; run FullPipeline, or set --data-dir.")
        out = Path(self.out).expanduser() if self.out else Path(self.data_dir) / "comparison"
        write_runs_csv(out / "runs.csv", runs)
        write_runs_page(out / "runs.html", runs, problems)
        print(format_runs(runs))
        print(f"{len(runs)} runs: {out / 'runs.csv'}, {out / 'runs.html'}")
