"""TokenizeCaptions: vocabulary and captions as token ids."""

import luigi

from tasks.base.stage import Stage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace


class TokenizeCaptions(Stage):
    """Tokenize the captions and build the vocabulary of the training captions."""

    version = 2  # combining marks, emoji and scripts without blanks; how much the vocabulary covers

    tokenizer = luigi.Parameter(
        default="tf-mrnn", description="Tokenizer: tf-mrnn (TF-mRNN's rule) or treebank (nltk)."
    )
    min_count = luigi.IntParameter(
        default=5, description="Minimum number of occurrences of a token in the training captions."
    )

    def requires(self) -> dict[str, Stage]:
        """Return the raw captions."""
        return {"annotations": self.upstream(PrepareAnnotations)}

    def work(self, workspace: Workspace) -> None:
        """Write `vocabulary.txt`, `captions.h5`, `tokens.jsonl` and `coverage.json`."""
        from pipelines.data.tokenize_captions import tokenize
        from schemas.annotations import read_annotations

        images = list(read_annotations(workspace.inputs["annotations"]))
        workspace.progress(0.1, f"words of the captions of {len(images)} images")
        workspace.counts.update(tokenize(images, self.tokenizer, self.min_count, workspace.directory))
