"""TrainModel: an m-RNN, trained on captions and image features."""

from model.training.config import TrainModelConfig
from tasks.base.mixins import FeatureSourceParam, ImageInputParam
from tasks.base.params import luigi_parameters
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.features.source import features_stage
from tasks.runtime.executor import assist
from tasks.runtime.workspace import Workspace


@luigi_parameters(TrainModelConfig)
class TrainModel(Stage, FeatureSourceParam, ImageInputParam):
    """Trains an m-RNN with early stopping on a validation metric and keeps the best epoch."""

    preload = TENSORFLOW
    version = 6  # recurrent weight gradients in one product, Adam in one pass
    content = ("model.keras", "config.json", "vocabulary.txt")
    volatile_files = ("training/curve.jsonl",)

    def requires(self) -> dict[str, Stage]:
        """Tokenized captions and image features."""
        return {"captions": self.upstream(TokenizeCaptions), "features": features_stage(self)}

    def run(self) -> None:
        """Run the stage; in multi-worker training, workers other than the chief only compute along."""
        if self.strategy == "multi-worker":
            from model.training.distribution import this_worker

            worker = this_worker()
            if not worker.is_chief:
                assist(self.job(), worker.name)
                return
        super().run()

    def work(self, workspace: Workspace) -> None:
        """Write `model.keras`, `config.json`, `vocabulary.txt` and `training/` (checkpoint, curves)."""
        from model.training.trainer import make_deterministic
        from pipelines.training.data import TrainingInputs
        from pipelines.training.train_model import train_model

        make_deterministic()
        inputs = TrainingInputs(
            workspace.inputs["captions"], workspace.inputs["features"], shuffled=self.image_input == "shuffled"
        )
        config = self.config(TrainModelConfig)
        workspace.counts.update(train_model(workspace.directory, inputs, config, workspace.progress))
