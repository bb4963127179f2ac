"""TokenizeCaptions: vocabulary and captions as word ids."""

import luigi

from tasks.base.stage import Stage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace


class TokenizeCaptions(Stage):
    """Splits captions into words and numbers them."""

    version = 2  # combining marks, emoji and scripts without blanks; how much the vocabulary covers

    tokenizer = luigi.Parameter(default="tf-mrnn", description="`tf-mrnn` (its rule) or `treebank` (nltk)")
    min_count = luigi.IntParameter(default=5, description="a word must occur so often in training captions to be known")

    def requires(self) -> dict[str, Stage]:
        """The raw captions."""
        return {"annotations": self.upstream(PrepareAnnotations)}

    def work(self, workspace: Workspace) -> None:
        """Writes `vocabulary.txt`, `captions.h5`, `tokens.jsonl` and `coverage.json`."""
        from pipelines.data.tokenize_captions import tokenize
        from schemas.annotations import read_annotations

        images = list(read_annotations(workspace.inputs["annotations"]))
        workspace.progress(0.1, f"words of the captions of {len(images)} images")
        workspace.counts.update(tokenize(images, self.tokenizer, self.min_count, workspace.directory))
