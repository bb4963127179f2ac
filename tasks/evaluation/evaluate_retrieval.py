"""EvaluateRetrieval: captions retrieved by image, and images by caption."""

import luigi

from tasks.base.mixins import ModelParams, SplitParam
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace
from tasks.training.source import model_stage
from tasks.training.trained_model import model_features_stage


class EvaluateRetrieval(Stage, ModelParams, SplitParam):
    """R@1, R@5, R@10, median and mean rank over images and references of the split."""

    preload = TENSORFLOW
    version = 4  # exact ranks from bounds
    content = ("scores.json",)

    protocol = luigi.ChoiceParameter(
        default="all",
        choices=["all", "1k", "5fold"],
        description="All images of the split, its first thousand, or the mean over five thousands.",
    )
    normalization_images = luigi.IntParameter(
        default=100, description="Number of training images sampled for P(w) in the image-to-caption score."
    )
    seed = luigi.IntParameter(default=0, description="Random seed of this sample.")

    def requires(self) -> dict[str, Stage]:
        """Return model, features and captions."""
        return {
            "model": model_stage(self),
            "features": model_features_stage(self),
            "captions": self.upstream(TokenizeCaptions),
        }

    def work(self, workspace: Workspace) -> None:
        """Write `scores.json`."""
        from pipelines.evaluation.evaluate_retrieval import evaluate_retrieval
        from schemas.scores import write_retrieval_scores

        scores = evaluate_retrieval(
            model=workspace.inputs["model"],
            features=workspace.inputs["features"],
            captions=workspace.inputs["captions"],
            split=self.split,
            protocol=self.protocol,
            normalization_images=self.normalization_images,
            seed=self.seed,
            scratch=workspace.scratch,
            progress=workspace.progress,
        )
        write_retrieval_scores(workspace.directory, scores)
        workspace.counts.update(images=scores.images, sentences=scores.sentences)
