"""TrainSelfCritical: the trained m-RNN, trained on by the CIDEr-D of what it says."""

import luigi

from tasks.base.mixins import FeatureSourceParam, FinetuneBackboneParam, ImageInputParam
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace
from tasks.training.train_model import TrainModel
from tasks.training.trained_model import model_features_stage, trained_model_stage


class TrainSelfCritical(Stage, FeatureSourceParam, ImageInputParam, FinetuneBackboneParam):
    """Self-critical sequence training (Rennie et al. 2017); keeps the epoch of the best validation CIDEr."""

    preload = TENSORFLOW
    content = TrainModel.content

    samples = luigi.IntParameter(default=5, description="captions drawn for an image in a step")
    baseline = luigi.ChoiceParameter(
        default="greedy",
        choices=["greedy", "samples"],
        description="rewards are compared with that of greedy search, or with the mean of the image's other samples",
    )
    bleu = luigi.FloatParameter(
        default=0.0, description="weight of the BLEU similarity (0 to 1) in the reward, beside CIDEr-D (0 to 10)"
    )
    likelihood = luigi.FloatParameter(
        default=0.0, description="share of the cost that is -ln P of people's captions, a word, as in TrainModel"
    )
    epochs = luigi.IntParameter(default=10, description="at most")
    batch_size = luigi.IntParameter(default=32, description="images a batch")
    learning_rate = luigi.FloatParameter(default=1e-4, description="of Adam, at its peak")
    schedule = luigi.ChoiceParameter(
        default="constant", choices=["constant", "cosine"], description="see model/training/optimizers.py"
    )
    clip_norm = luigi.FloatParameter(default=5.0, description="largest global norm of the gradient; 0: none")
    patience = luigi.IntParameter(default=3, description="epochs without a better one before the end")
    max_length = luigi.IntParameter(default=20, description="words at which samples and validation captions are cut")
    beam_width = luigi.IntParameter(default=1, description="of the search for validation captions; 1: greedy")
    seed = luigi.OptionalIntParameter(
        default=None, description="of the trained model, and so of the samples; default: TrainModel's"
    )

    def requires(self) -> dict[str, Stage]:
        """The trained model, captions and features."""
        seed = {} if self.seed is None else {"seed": self.seed}
        return {
            "model": trained_model_stage(self, **seed),
            "captions": self.upstream(TokenizeCaptions),
            "features": model_features_stage(self),
        }

    def work(self, workspace: Workspace) -> None:
        """Writes what TrainModel writes."""
        from model.mrnn.network import load_network
        from model.training.history import TrainingOptions
        from model.training.self_critical import Estimate, SelfCriticalTrainer
        from model.training.trainer import make_deterministic
        from pipelines.training.data import read_training_data
        from pipelines.training.train_model import write_trained_model
        from schemas.checkpoint import read_checkpoint

        make_deterministic()
        checkpoint = read_checkpoint(workspace.inputs["model"])
        network = load_network(checkpoint.network)
        shuffle_seed = network.seed if self.image_input == "shuffled" else None
        train, val = (
            read_training_data(workspace.inputs["captions"], workspace.inputs["features"], split, shuffle_seed)
            for split in ("train", "val")
        )
        options = TrainingOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer="adam",
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            select_by="cider",
            patience=self.patience,
            max_length=self.max_length,
            beam_width=self.beam_width,
            seed=network.seed,
        )
        estimate = Estimate(self.samples, self.baseline, self.bleu, self.likelihood)
        trainer = SelfCriticalTrainer(network, checkpoint.vocabulary, train, val, options, estimate)
        curve = trainer.train(workspace.directory / "training" / "state.h5", workspace.progress)
        workspace.counts.update(write_trained_model(workspace.directory, network, checkpoint.vocabulary, train, curve))
