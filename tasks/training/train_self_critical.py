"""TrainSelfCritical: the trained m-RNN, fine-tuned with self-critical sequence training."""

import luigi

from model.training.config import TrainSelfCriticalConfig
from tasks.base.mixins import FeatureSourceParam, FinetuneBackboneParam, ImageInputParam
from tasks.base.params import luigi_parameters
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace
from tasks.training.train_model import TrainModel
from tasks.training.trained_model import model_features_stage, trained_model_stage


@luigi_parameters(
    TrainSelfCriticalConfig,
    defaults={
        "epochs": 10,
        "batch_size": 32,
        "max_length": 20,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "patience": 3,
        "beam_width": 1,
    },
    exclude=("seed",),
)
class TrainSelfCritical(Stage, FeatureSourceParam, ImageInputParam, FinetuneBackboneParam):
    """Self-critical sequence training (Rennie et al. 2017); keeps the epoch with the best validation metric."""

    preload = TENSORFLOW
    version = 4  # recurrent weight gradients in one product, Adam in one pass
    content = TrainModel.content

    seed = luigi.OptionalIntParameter(
        default=None, description="Seed of the model to start from, and of the samples (default: TrainModel's)."
    )

    def requires(self) -> dict[str, Stage]:
        """Return the stages of the trained model, of captions and of features."""
        seed = {} if self.seed is None else {"seed": self.seed}
        return {
            "model": trained_model_stage(self, **seed),
            "captions": self.upstream(TokenizeCaptions),
            "features": model_features_stage(self),
        }

    def work(self, workspace: Workspace) -> None:
        """Write what TrainModel writes."""
        from model.training.trainer import make_deterministic
        from pipelines.training.data import TrainingInputs
        from pipelines.training.train_self_critical import train_self_critical

        make_deterministic()
        inputs = TrainingInputs(
            workspace.inputs["captions"], workspace.inputs["features"], shuffled=self.image_input == "shuffled"
        )
        config = self.config(TrainSelfCriticalConfig)
        model = workspace.inputs["model"]
        workspace.counts.update(train_self_critical(workspace.directory, model, inputs, config, workspace.progress))
