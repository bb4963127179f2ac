"""VerifyArtifacts: are the artifacts of the data directory as they were made?"""

from pathlib import Path

import luigi

from schemas.errors import ArtifactError
from tasks.cli.command import Command
from tasks.cli.graph import remove_artifacts


class VerifyArtifacts(Command):
    """Checks the digests of all artifacts of all corpora; prints a sentence for each that is damaged."""

    data_dir = luigi.Parameter(
        config_path={"section": "pipeline", "name": "data_dir"}, description="root of all artifacts"
    )
    remove = luigi.BoolParameter(
        description="remove those that are damaged, and nothing else: the next run makes them again"
    )

    def act(self) -> None:
        """Checks, prints, and removes if asked to.

        Raises:
            ArtifactError: artifacts are damaged and still there.
            ConfigurationError: one that is damaged is being made anew right now.
        """
        from pipelines.artifacts.verify_artifacts import verify_artifacts

        found = dict(verify_artifacts(Path(self.data_dir)))
        damaged = [directory for directory, problem in found.items() if problem]
        for directory in damaged:
            print(found[directory])
        if self.remove:
            remove_artifacts(damaged)
            print(f"{len(damaged)} of {len(found)} artifacts were removed; run the pipeline to make them again.")
        elif damaged:
            raise ArtifactError(
                f"{len(damaged)} of {len(found)} artifacts in {self.data_dir} are damaged; --remove removes them, and "
                "the next run makes them again."
            )
        else:
            print(f"All {len(found)} artifacts in {self.data_dir} are as they were made.")
