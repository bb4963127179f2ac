"""GenerateCaptions: hypotheses of the images of a split."""

import luigi

from tasks.model_source import UsesModel
from tasks.prepare_annotations import PrepareAnnotations
from tasks.stage import Stage
from tasks.train_model import ModelVariant
from tasks.workspace import Workspace


class OfSplit(UsesModel, ModelVariant):
    """A stage that looks at the images of one split."""

    split = luigi.ChoiceParameter(
        default="test", choices=["train", "val", "test", "unlabelled"], description="whose images"
    )


class GenerateCaptions(OfSplit):
    """Beam search, greedy search or sampling, over every image of the split that has features."""

    version = 2  # other samples: words are no longer sorted before one is drawn

    search = luigi.ChoiceParameter(
        default="beam",
        choices=["greedy", "beam", "wide", "sample"],
        description="`wide` gives the hypotheses for reranking, `sample` draws as many from the model's distribution",
    )
    beam_width = luigi.IntParameter(default=3, description="of `beam`: for the best single caption (TF-mRNN: 3)")
    wide_beam_width = luigi.IntParameter(default=10, description="of `wide`: for many (paper, Section 8: 10)")
    temperature = luigi.FloatParameter(default=1.0, description="of `sample`: log-probabilities are divided by it")
    top_k = luigi.IntParameter(default=0, description="of `sample`: only the so many likeliest words; 0: all")
    top_p = luigi.FloatParameter(default=1.0, description="of `sample`: only the likeliest words of this probability")
    seed = luigi.IntParameter(default=0, description="of `sample`")
    max_length = luigi.IntParameter(default=29, description="words of a hypothesis at most")
    ensemble = luigi.ListParameter(
        default=[], description="seeds of further models, trained alike, whose probabilities are averaged"
    )
    batch_size = luigi.IntParameter(default=50, significant=False, description="images at a time")

    @property
    def width(self) -> int:
        """The width of the search, or how many captions are drawn."""
        widths = {"greedy": 1, "beam": self.beam_width, "wide": self.wide_beam_width, "sample": self.wide_beam_width}
        return int(widths[self.search])

    def requires(self) -> dict[str, Stage]:
        """The trained models, the features and the list of images."""
        return {
            "model": self.model(),
            **{f"model of seed {seed}": self.model(seed=seed) for seed in self.ensemble},
            "features": self.features(),
            "annotations": self.upstream(PrepareAnnotations),
        }

    def work(self, workspace: Workspace) -> None:
        """Writes `hypotheses.jsonl`."""
        from model.decoding import BeamSearch, decode_images
        from model.ensemble import Ensemble
        from model.network import load_network
        from model.sampling import Sampling, sample_images
        from schemas.annotations import read_annotations
        from schemas.checkpoint import read_checkpoint
        from schemas.features import FeatureFile
        from schemas.hypotheses import Hypothesis, ImageHypotheses, write_hypotheses

        checkpoint = read_checkpoint(workspace.inputs["model"])
        networks = [
            load_network(read_checkpoint(path).network)
            for name, path in workspace.inputs.items()
            if name.startswith("model")
        ]
        network = Ensemble(networks) if self.ensemble else networks[0]
        image_ids = [image.image_id for image in read_annotations(workspace.inputs["annotations"], self.split)]
        with FeatureFile(workspace.inputs["features"] / "features.h5") as features:
            with_features = [image_id for image_id in image_ids if image_id in features]
            rows = features.read(with_features)

        def progress(done: float) -> None:
            workspace.progress(done, f"{len(rows)} images, {self.search}, {self.width} captions each")

        if self.search == "sample":
            sampling = Sampling(self.temperature, self.top_k, self.top_p)
            found = sample_images(
                network, rows, self.width, sampling, self.seed, self.max_length, self.batch_size, progress
            )
        else:
            found = decode_images(BeamSearch(network, self.width, self.max_length), rows, self.batch_size, progress)
        decode = checkpoint.vocabulary.decode
        images = (
            ImageHypotheses(
                image_id, tuple(Hypothesis(tuple(decode(each.tokens)), each.log_prob) for each in hypotheses)
            )
            for image_id, hypotheses in zip(with_features, found, strict=True)
        )
        captioned = write_hypotheses(workspace.directory, images)
        workspace.counts.update(
            images=len(image_ids),
            captioned=captioned,
            rejected=len(image_ids) - captioned,
            beam_width=self.width,
        )
