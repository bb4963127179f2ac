"""EvaluatePerplexity: perplexity of a split's reference captions under the model."""

from tasks.base.mixins import ModelParams, SplitParam
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace
from tasks.training.source import model_stage
from tasks.training.trained_model import model_features_stage


class EvaluatePerplexity(Stage, ModelParams, SplitParam):
    """Perplexity of the split's reference captions, computed once per model and split."""

    preload = TENSORFLOW

    def requires(self) -> dict[str, Stage]:
        """Return model, features and reference captions."""
        return {
            "model": model_stage(self),
            "features": model_features_stage(self),
            "captions": self.upstream(TokenizeCaptions),
        }

    def work(self, workspace: Workspace) -> None:
        """Write `perplexity.json`."""
        from pipelines.evaluation.evaluate_perplexity import EvaluatePerplexityInputs, evaluate_perplexity

        score = evaluate_perplexity(
            EvaluatePerplexityInputs(**workspace.inputs),
            workspace.directory,
            split=self.split,
            progress=workspace.progress,
        )
        workspace.counts.update(captions=score.captions, perplexity=round(score.perplexity, 4))
