"""VerifyRelease: is a release, made here or fetched, whole and sound?"""

from pathlib import Path

import luigi

from schemas.errors import ArtifactError
from tasks.cli.command import Command


class VerifyRelease(Command):
    """Checks every digest, shape, id and count of a release; prints a sentence for each problem."""

    release = luigi.Parameter(description="folder of the release")

    def act(self) -> None:
        """Checks and prints.

        Raises:
            ArtifactError: there are problems.
        """
        from pipelines.release.verify import verify_release

        problems = verify_release(Path(self.release))
        for problem in problems:
            print(problem)
        if problems:
            raise ArtifactError(f"{self.release} has {len(problems)} problems; the sentences above say which.")
        print(f"{self.release} is whole and sound.")
