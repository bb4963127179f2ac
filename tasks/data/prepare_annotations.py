"""PrepareAnnotations: the corpus's own files as `annotations.jsonl` and split lists."""

from typing import Any

import luigi

from tasks.base.stage import Stage
from tasks.data.download_dataset import DownloadDataset, dataset_root
from tasks.runtime.workspace import Workspace


class PrepareAnnotations(Stage):
    """Reads the corpus; what cannot be used is described in `problems.txt`, a sentence a line."""

    partition = luigi.Parameter(
        default="published",
        description="published, lists, lists:FOLDER, karpathy, karpathy:FILE or random:VAL:TEST:SEED",
    )

    def requires(self) -> dict[str, Stage]:
        """The corpus's files."""
        return {"download": self.upstream(DownloadDataset)}

    def parameters(self, significant: bool) -> dict[str, Any]:
        """As of every stage; what the files that `partition` names hold is significant too."""
        values = super().parameters(significant)
        if significant and ":" in self.partition:
            from pipelines.data.splits import digest_partition

            values["partition_content"] = digest_partition(self.partition)
        return values

    def work(self, workspace: Workspace) -> None:
        """Writes `annotations.jsonl`, the split lists and `problems.txt`."""
        from pipelines.data.datasets import find_dataset
        from pipelines.data.prepare_annotations import annotate
        from schemas.annotations import write_annotations
        from schemas.io.files import write_text

        root = dataset_root(workspace.inputs["download"])
        images, problems = annotate(find_dataset(self.dataset), root, workspace.progress, self.partition)
        splits = write_annotations(workspace.directory, images)
        write_text(workspace.directory / "problems.txt", "".join(problem + "\n" for problem in problems))
        workspace.counts.update(images=len(images), **splits, problems=len(problems))
