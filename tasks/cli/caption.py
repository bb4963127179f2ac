"""`mrnn caption`: captions of any images by a trained model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.text import quantity
from tasks.cli.options import ConfigOption, Json, Settings

if TYPE_CHECKING:
    from model.decoding.strategies import Search
    from pipelines.caption_images.caption import CaptionedImages
    from pipelines.caption_images.captioner import Captioner
    from pipelines.engines.shards import ImageSource
    from schemas.reranking import RerankingSetting
    from tasks.base.stage import Stage

SHOWN = 3  # captions per image on the terminal
NAMED = 10  # rejected images in the error; `rejects.jsonl` and --json have all

ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Release, artifact of TrainModel or TrainSelfCritical, or hf://USER/NAME (extra `hf`); default: the "
        "model of --config, or the pretrained one."
    ),
]


def caption(
    images: Annotated[list[str], typer.Argument(help="Images, directories, or patterns such as 'holiday/*.jpg'.")],
    model: ModelOption = None,
    out: Annotated[Path | None, typer.Option(help="Directory for captions (JSON lines and CSV) and a gallery.")] = None,
    as_json: Json = False,
    rerank: Annotated[bool, typer.Option(help="Rerank by consensus, where training captions are available.")] = True,
    backbone: Annotated[str, typer.Option(help="Location of the model's backbone, if it has moved.")] = "",
    weights: Annotated[str, typer.Option(help="Location of the backbone's weights, if they have moved.")] = "",
    config: ConfigOption = None,
    settings: Settings = None,
) -> None:
    """Caption images with a pretrained or trained model.

    With --model, --config or --set, search and reranking are those of GenerateCaptions and RerankCaptions. Unreadable
    images are skipped and named, and the command then exits with 1.
    """
    from pipelines.caption_images.inputs import find_images, find_skipped
    from pipelines.data.files import describe_skipped
    from schemas.errors import InputError

    sources = find_images(images)
    if skipped := find_skipped(images):
        print(f"Skipped, since they are no images that can be read: {describe_skipped(skipped)}.", file=sys.stderr)
    captioned = _caption(sources, model, rerank, (backbone, weights), config, settings)
    if out:
        from pipelines.caption_images.outputs import write_outputs

        directory = out.expanduser()
        directory.mkdir(parents=True, exist_ok=True)
        write_outputs(directory, captioned, sources)
    if as_json:
        from tasks.cli.console import print_json

        print_json(_records(captioned))
    else:
        for image in captioned.images:
            print(image.image_id)
            for each in image.captions[:SHOWN]:
                print(f"  {each.probability:8.2g}  {each.text or '(an empty caption)'}")
        if out:
            print(f"{quantity(len(captioned.images), 'image')} captioned, gallery: {out / 'gallery.html'}")
    if rejects := captioned.rejects:
        named = "; ".join(f"{reject.image_id}: {reject.error}" for reject in rejects[:NAMED])
        more = f"; and {len(rejects) - NAMED} more" if len(rejects) > NAMED else ""
        raise InputError(f"{len(rejects)} of {len(sources)} images could not be read and were skipped ({named}{more}).")


def _caption(
    sources: "list[ImageSource]",
    model: str | None,
    rerank: bool,
    moved: tuple[str, str],
    config: str | None,
    settings: list[str] | None,
) -> "CaptionedImages":
    """Caption with the pretrained model, or with the model and options of a configuration."""
    from tasks.cli.console import progress_bar

    captioner, search, reranking = choose_captioner(model, config, settings, rerank)
    backbone, weights = moved
    with progress_bar() as progress:
        from pipelines.caption_images.caption import caption_images

        return caption_images(
            sources,
            captioner,
            backbone=backbone,
            weights=weights,
            search=search,
            reranking=reranking,
            progress=progress,
        )


def choose_captioner(
    model: str | None, config: str | None, settings: list[str] | None, rerank: bool
) -> "tuple[Captioner, Search, RerankingSetting | None]":
    """Return the pretrained captioner, or the one of the options, with its search and reranking.

    Args:
        model: Release or artifact of a model, or address of a release on the Hugging Face Hub.
        config: Configuration.
        settings: Parameters of `--set`.
        rerank: Whether to rerank, where training captions are available.

    Raises:
        ConfigurationError: The model is missing or the options do not fit together.
    """
    from tasks.cli.console import quiet_libraries

    if not (model or config or settings):
        with quiet_libraries():
            from pipelines.caption_images.caption import DEFAULT_SEARCH
        from pipelines.caption_images.captioner import find_pretrained

        return find_pretrained(), DEFAULT_SEARCH, None

    from schemas.checkpoint import read_checkpoint
    from tasks.cli.pipeline import open_configuration, parsed

    stages = open_configuration(config)
    setting = None
    with parsed(settings):
        generation: Any = stages["GenerateCaptions"]()
        reranking = stages["RerankCaptions"]() if rerank else None
        _check(generation, reranking, model)
        captioner = _find_captioner(stages, generation, model)
        if reranking and captioner.tokens:
            setting = _reranking_setting(stages, reranking)
            generation = generation.clone(search="n-best")
    vocabulary = read_checkpoint(captioner.models[0]).vocabulary
    with quiet_libraries():
        import pipelines.caption_images.caption  # noqa: F401  (loads TensorFlow)
    return captioner, generation.search_with(vocabulary), setting


def _check(generation: Any, reranking: Any, model: str | None) -> None:
    from schemas.errors import ConfigurationError

    if model and generation.model_seeds:
        raise ConfigurationError("--model is one model; set model_seeds of [GenerateCaptions] to [].")
    if model and reranking and reranking.method == "tuned":
        raise ConfigurationError(
            "Reranking is tuned for the configuration's model, not for --model; set method of [RerankCaptions] "
            "to another value, or give --no-rerank."
        )


def _find_captioner(stages: dict[str, Any], generation: Any, model: str | None) -> "Captioner":
    from pipelines.caption_images.captioner import captioner_of_artifacts, find_captioner
    from pipelines.release.hugging_face import download_captioner, is_on_hub
    from tasks.training.trained_model import model_features_stage

    if model:
        return find_captioner(download_captioner(model) if is_on_hub(model) else Path(model).expanduser())
    models = [_made(stage) for stage in generation.models().values()]
    captions = _made(generation.upstream(stages["TokenizeCaptions"]))
    return captioner_of_artifacts(models, _made(model_features_stage(generation)), captions)


def _reranking_setting(stages: dict[str, Any], reranking: Any) -> "RerankingSetting":
    tuning = _made(reranking.upstream(stages["TuneReranking"])) if reranking.method == "tuned" else None
    setting: RerankingSetting = reranking.setting(reranking.upstream(stages["FindNeighbors"]).metric, tuning)
    return setting


def _made(stage: "Stage") -> Path:
    """Return the artifact of a stage.

    Raises:
        ConfigurationError: The artifact is missing.
    """
    from schemas.errors import ConfigurationError

    if not stage.complete():
        raise ConfigurationError(
            f"{stage} is missing in {stage.data_dir}; train the model of this configuration with `mrnn run`, "
            "or give a model with --model."
        )
    return stage.directory


def _records(captioned: "CaptionedImages") -> dict[str, Any]:
    from dataclasses import asdict

    images = [
        {
            "image": image.image_id,
            "captions": [{**asdict(each), "probability": each.probability} for each in image.captions],
            "neighbors": image.neighbors,
        }
        for image in captioned.images
    ]
    return {"captioned": images, "rejected": [asdict(each) for each in captioned.rejects]}
