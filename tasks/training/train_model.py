"""TrainModel: the m-RNN, trained on the corpus's captions and image features."""

import luigi

from tasks.base.mixins import FeatureSourceParam, ImageInputParam
from tasks.base.stage import TENSORFLOW, Stage
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.features.source import features_stage
from tasks.runtime.executor import assist
from tasks.runtime.workspace import Workspace


class TrainModel(Stage, FeatureSourceParam, ImageInputParam):
    """Trains until the CIDEr of generated validation captions no longer rises; keeps the best epoch."""

    preload = TENSORFLOW
    version = 3  # the configuration names the variant, the curve says what made an epoch the best
    content = ("model.keras", "config.json", "vocabulary.txt")
    volatile_files = ("training/curve.jsonl",)

    variant = luigi.Parameter(default="mrnn", description="which m-RNN, see docs/reference/variants.md")
    embedding_size = luigi.OptionalIntParameter(default=None, description="embedding layer I; default: the variant's")
    recurrent_size = luigi.OptionalIntParameter(default=None, description="recurrent layer, embedding layer II")
    multimodal_size = luigi.OptionalIntParameter(default=None, description="multimodal layer")
    dropout = luigi.OptionalFloatParameter(
        default=None, description="rate, on words, recurrent and multimodal layer; default: the variant's"
    )
    word_dropout = luigi.OptionalFloatParameter(default=None, description="on words, if another than `dropout`")
    recurrent_dropout = luigi.OptionalFloatParameter(default=None, description="on the recurrent layer's output")
    multimodal_dropout = luigi.OptionalFloatParameter(default=None, description="on the multimodal layer")
    image_dropout = luigi.FloatParameter(default=0.0, description="rate, on the scaled image features")
    epochs = luigi.IntParameter(default=20, description="at most")
    batch_size = luigi.IntParameter(default=64, description="captions a batch")
    optimizer = luigi.ChoiceParameter(
        default="adam", choices=["sgd", "adam", "adamw", "rmsprop"], description="sgd is without momentum, as TF-mRNN's"
    )
    learning_rate = luigi.FloatParameter(default=1e-3, description="at its peak")
    schedule = luigi.ChoiceParameter(
        default="cosine",
        choices=["constant", "cosine", "step", "plateau"],
        description="see model/training/optimizers.py",
    )
    warmup_steps = luigi.IntParameter(default=0, description="steps in which the learning rate rises to its peak")
    decay_factor = luigi.FloatParameter(default=0.85, description="of `step` and `plateau`: times so much")
    decay_keep = luigi.IntParameter(default=0, description="of `step`: steps before the learning rate falls")
    decay_every = luigi.IntParameter(default=1, description="`step`: steps, `plateau`: epochs without a better one")
    weight_decay = luigi.FloatParameter(default=0.0, description="lambda of the paper's cost; of adamw, its own")
    clip_norm = luigi.FloatParameter(default=5.0, description="largest global norm of the gradient; 0: none")
    label_smoothing = luigi.FloatParameter(default=0.0, description="share of the target spread over all words")
    scheduled_sampling = luigi.FloatParameter(
        default=0.0, description="share of the words before that are the network's own in the last epoch"
    )
    ema_decay = luigi.FloatParameter(
        default=0.0, description="share of the moving average of the weights that stays at each step; 0: no average"
    )
    select_by = luigi.ChoiceParameter(
        default="cider", choices=["cider", "perplexity"], description="of validation: which epoch is the best"
    )
    patience = luigi.IntParameter(default=4, description="epochs without a better one before the end")
    max_length = luigi.IntParameter(default=29, description="longer captions are cut to so many words")
    beam_width = luigi.IntParameter(default=3, description="of the search for validation captions")
    seed = luigi.IntParameter(default=0, description="of weights, order of captions and dropout")
    precision = luigi.ChoiceParameter(
        default="float32",
        choices=["float32", "mixed_float16", "mixed_bfloat16"],
        description="in which the network computes; weights stay float32, float16 has its loss scaled",
    )
    xla = luigi.BoolParameter(default=False, significant=False, description="compile a step with XLA")
    strategy = luigi.ChoiceParameter(
        default="one-device",
        choices=["one-device", "mirrored", "multi-worker"],
        significant=False,
        description="`mirrored`: all GPUs of this host, `multi-worker`: those of the hosts in TF_CONFIG",
    )

    def requires(self) -> dict[str, Stage]:
        """Captions and features."""
        return {"captions": self.upstream(TokenizeCaptions), "features": features_stage(self)}

    def run(self) -> None:
        """As of every stage; of several hosts that train together, one leads and the others assist it."""
        if self.strategy == "multi-worker":
            from model.training.distribution import this_worker

            host = this_worker()
            if not host.leads:
                assist(self.job(), host.name)
                return
        super().run()

    def work(self, workspace: Workspace) -> None:
        """Writes `model.keras`, `config.json`, `vocabulary.txt` and `training/` (state to resume from, curves)."""
        from dataclasses import fields

        from model.mrnn.network import MRNN
        from model.precision import precision
        from model.training.distribution import make_strategy
        from model.training.history import TrainingOptions
        from model.training.trainer import Trainer, make_deterministic
        from pipelines.training.data import read_training_data
        from pipelines.training.train_model import write_trained_model
        from schemas.vocabulary import Vocabulary

        make_deterministic()
        strategy = make_strategy(self.strategy)
        vocabulary = Vocabulary.read(workspace.inputs["captions"] / "vocabulary.txt")
        shuffle_seed = self.seed if self.image_input == "shuffled" else None
        train, val = (
            read_training_data(workspace.inputs["captions"], workspace.inputs["features"], split, shuffle_seed)
            for split in ("train", "val")
        )
        options = TrainingOptions(**{field.name: getattr(self, field.name) for field in fields(TrainingOptions)})
        with strategy.scope(), precision(self.precision):
            network = MRNN(
                len(vocabulary),
                train.features.shape[1],
                self.embedding_size,
                self.recurrent_size,
                self.multimodal_size,
                self.dropout,
                self.image_dropout,
                self.seed,
                self.variant,
                self.word_dropout,
                self.recurrent_dropout,
                self.multimodal_dropout,
            )
            trainer = Trainer(network, vocabulary, train, val, options)
            curve = trainer.train(workspace.directory / "training" / "state.h5", workspace.progress)
        if not trainer.replicas.is_chief:
            return
        workspace.counts.update(write_trained_model(workspace.directory, network, vocabulary, train, curve))
