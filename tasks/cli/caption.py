"""CaptionImages: captions of anybody's pictures by a trained model."""

from functools import cached_property
from pathlib import Path
from typing import Any

import luigi

from schemas.errors import ConfigurationError, InputError
from tasks.base.stage import Stage
from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.generate_captions import GenerateCaptions
from tasks.captions.rerank_captions import RerankCaptions
from tasks.captions.tune_reranking import TuneReranking
from tasks.cli.command import Command
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.executor import run_process
from tasks.runtime.workspace import Workspace
from tasks.training.source import ModelSource

SETTINGS = "settings.json"
SHOWN = 3  # captions a picture on the terminal
NAMED = 10  # pictures that could not be read, in the last sentence; `rejects.jsonl` has all


class CaptionImages(Command, ModelSource):
    """Captions pictures with the model of the configuration, or of a release; prints, and writes files to a folder.

    Search and reranking are those of GenerateCaptions and RerankCaptions.
    """

    images = luigi.Parameter(description="a picture, a folder of pictures, or a pattern such as 'holiday/*.jpg'")
    model = luigi.Parameter(
        default="",
        description="a release, or an artifact of TrainModel or TrainSelfCritical, if not the configuration's",
    )
    backbone = luigi.Parameter(default="", description="where the model's image network is, if not where it was")
    weights = luigi.Parameter(default="", description="where its weights are, if not where they were")
    rerank = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="order captions by consensus with those of similar training images, where these are at hand",
    )
    out = luigi.Parameter(default="", significant=False, description="folder for what is written; default: in data_dir")

    def requires(self) -> dict[str, Stage]:
        """The models of the configuration and what they were made from, unless another is named.

        Raises:
            ConfigurationError: another is named, and the configuration wants something of its own models.
        """
        generation = self.upstream(GenerateCaptions)
        tuned = self.rerank and self.upstream(RerankCaptions).against == "tuned"
        if self.model:
            if generation.ensemble:
                raise ConfigurationError("--model is one model; set ensemble of [GenerateCaptions] to [].")
            if tuned:
                raise ConfigurationError(
                    "Reranking is tuned for the configuration's model, not for that of --model; set against of "
                    "[RerankCaptions] to neighbors or self, or --rerank to false."
                )
            return {}
        return {
            **generation.models(),
            "features": self.features(),
            "captions": self.upstream(TokenizeCaptions),
            **({"tuning": self.upstream(TuneReranking)} if tuned else {}),
        }

    def parameters(self, significant: bool) -> dict[str, Any]:
        """As of every stage; paths are absolute, and text whatever bytes they have."""
        values = super().parameters(significant)
        for name in ("images", "model"):
            if values.get(name):
                values[name] = ascii(str(Path(values[name]).expanduser().absolute()))
        return values

    @cached_property
    def directory(self) -> Path:
        """`out`, or the folder that is named by pictures and model."""
        return Path(self.out).expanduser() if self.out else super().directory

    @property
    def log_path(self) -> Path:
        """In the folder itself: what is beside it may be anybody's."""
        return self.directory / "log.txt"

    def act(self) -> None:
        """Captions, writes, prints.

        Raises:
            InputError: there is no picture, or some could not be read; the others have their captions.
        """
        from pipelines.caption_images.inputs import find_images
        from pipelines.caption_images.outputs import read_outputs
        from schemas.io.files import write_json

        find_images(self.images)  # says what is wrong before TensorFlow is loaded
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json(self.directory / SETTINGS, self.settings())
        counts = run_process(self.job(), self.log_path)["counts"]
        captioned = read_outputs(self.directory)
        for each in captioned.images:
            print(each.image_id)
            for caption in each.captions[:SHOWN]:
                print(f"  {caption.probability:8.2g}  {caption.text or '(an empty caption)'}")
        print(f"captioned pictures: {counts['captioned']}, gallery: {self.directory / 'gallery.html'}")
        rejects = captioned.rejects
        if rejects:
            named = "; ".join(f"{reject.image_id}: {reject.error}" for reject in rejects[:NAMED])
            more = f"; and {len(rejects) - NAMED} more" if len(rejects) > NAMED else ""
            raise InputError(
                f"{len(rejects)} of {counts['pictures']} pictures could not be read and were skipped ({named}{more}); "
                "mend or remove them."
            )

    def settings(self) -> dict[str, Any]:
        """Search and reranking: what the command line says of other tasks is known only where it is read."""
        from dataclasses import asdict

        settings: dict[str, Any] = {"search": self.upstream(GenerateCaptions).to_str_params()}
        if self.rerank:
            tuning = self.requires().get("tuning")
            setting = self.upstream(RerankCaptions).setting(
                self.upstream(FindNeighbors).metric, tuning.directory if tuning else None
            )
            settings["reranking"] = asdict(setting)
        return settings

    def work(self, workspace: Workspace) -> None:
        """Writes hypotheses, captions and the gallery."""
        from pipelines.caption_images.caption import caption_images
        from pipelines.caption_images.captioner import captioner_of_artifacts, find_captioner
        from pipelines.caption_images.inputs import find_images
        from pipelines.caption_images.outputs import write_outputs
        from schemas.checkpoint import read_checkpoint
        from schemas.io.files import read_json
        from schemas.reranking import RerankingSetting

        images = find_images(self.images)
        inputs, settings = workspace.inputs, read_json(workspace.directory / SETTINGS)
        generation = GenerateCaptions.from_str_params(settings["search"])
        captioner = (
            find_captioner(Path(self.model).expanduser())
            if self.model
            else captioner_of_artifacts(generation.models_among(inputs), inputs["features"], inputs["captions"])
        )
        setting = None
        if self.rerank and captioner.tokens:
            setting, generation = RerankingSetting(**settings["reranking"]), generation.clone(search="wide")
        captioned = caption_images(
            images,
            captioner,
            backbone=self.backbone,
            weights=self.weights,
            search=generation.search_with(read_checkpoint(captioner.models[0]).vocabulary),
            reranking=setting,
            progress=workspace.progress,
        )
        write_outputs(workspace.directory, captioned, images)
        workspace.counts.update(pictures=len(images), captioned=len(captioned.images), rejected=len(captioned.rejects))
