"""PrepareAnnotations: the corpus's own files as `annotations.jsonl` and split lists."""

from tasks.dataset_root import dataset_root
from tasks.download_dataset import DownloadDataset
from tasks.stage import Stage
from tasks.workspace import Workspace


class PrepareAnnotations(Stage):
    """Reads the corpus; what cannot be used is described in `problems.txt`, a sentence a line."""

    def requires(self) -> dict[str, Stage]:
        """The corpus's files."""
        return {"download": self.upstream(DownloadDataset)}

    def work(self, workspace: Workspace) -> None:
        """Writes `annotations.jsonl`, the split lists and `problems.txt`."""
        from pipelines.annotate import annotate
        from pipelines.datasets import find_corpus
        from schemas.annotations import write_annotations
        from schemas.files import write_text

        root = dataset_root(workspace.inputs["download"])
        images, problems = annotate(find_corpus(self.dataset), root, workspace.progress)
        splits = write_annotations(workspace.directory, images)
        write_text(workspace.directory / "problems.txt", "".join(problem + "\n" for problem in problems))
        workspace.counts.update(images=len(images), **splits, problems=len(problems))
