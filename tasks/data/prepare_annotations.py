"""PrepareAnnotations: annotations and split lists of a dataset."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi

from tasks.base.stage import Stage
from tasks.data.download_dataset import DownloadDataset, dataset_root, source_root
from tasks.runtime.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.data.prepare_annotations import DatasetDigests

DIGESTS = ".digests.sqlite"  # below the data directory


class PrepareAnnotations(Stage):
    """Read images, captions and splits of the dataset.

    Invalid captions are left out and listed in `rejects.jsonl`; these and all else that is left out or odd are
    described in `problems.txt`, one sentence per line.
    """

    partition = luigi.Parameter(
        default="published",
        description="Split: published, lists, lists:DIR, karpathy, karpathy:FILE or random:VAL:TEST:SEED.",
    )
    max_invalid_fraction = luigi.FloatParameter(
        default=0.01,
        significant=False,
        description="Maximum fraction of invalid captions, which are left out.",
    )

    def requires(self) -> dict[str, Stage]:
        """Return the dataset's files."""
        return {"download": self.upstream(DownloadDataset)}

    def parameters(self, significant: bool) -> dict[str, Any]:
        """Return the parameters; the content of a `source` and of files that `partition` names is significant too."""
        values = super().parameters(significant)
        if significant and (digests := self.digests):
            values["content"] = digests.annotations
        if significant and ":" in self.partition:
            from pipelines.data.splits import digest_partition

            values["partition_content"] = digest_partition(self.partition)
        return values

    @cached_property
    def digests(self) -> "DatasetDigests | None":
        """Return checksums of a dataset that is used in place; None for others, which archives or seed determine."""
        from pipelines.data.datasets import find_dataset
        from pipelines.data.prepare_annotations import digest_dataset

        source = self.upstream(DownloadDataset).source
        if not source:
            return None
        cache = Path(self.data_dir) / DIGESTS
        return digest_dataset(find_dataset(self.dataset), source_root(source), self.partition, cache)

    @property
    def images_digest(self) -> str:
        """Return what features depend on: ids and contents of the images, not captions or splits."""
        return self.digests.images if self.digests else self.key

    def work(self, workspace: Workspace) -> None:
        """Write `annotations.jsonl`, the split lists, `rejects.jsonl` and `problems.txt`."""
        from pipelines.data.datasets import find_dataset
        from pipelines.data.prepare_annotations import annotate
        from schemas.annotations import write_annotations
        from schemas.io.files import write_json_lines, write_text
        from schemas.text import escape_control_characters

        root = dataset_root(workspace.inputs["download"])
        images, findings = annotate(
            find_dataset(self.dataset), root, workspace.progress, self.partition, self.max_invalid_fraction
        )
        splits = write_annotations(workspace.directory, images)
        problems = [escape_control_characters(finding.message) + "\n" for finding in findings]
        write_text(workspace.directory / "problems.txt", "".join(problems))
        rejects = [
            {"kind": finding.kind, "message": finding.message} for finding in findings if finding.level == "invalid"
        ]
        write_json_lines(workspace.directory / "rejects.jsonl", rejects)
        workspace.counts.update(images=len(images), **splits, invalid_captions=len(rejects), problems=len(findings))
