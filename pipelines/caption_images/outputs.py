"""The captions of pictures for people and programs: JSON lines, CSV, and a gallery."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model.text.detokenize import detokenize
from pipelines.features.images import ImageSource
from pipelines.html.csv import write_csv
from pipelines.html.page import render_page
from pipelines.html.thumbnails import Thumbnails
from schemas.annotations import AnnotatedImage
from schemas.features import read_rejects
from schemas.hypotheses import read_hypotheses
from schemas.io.files import read_json_lines, write_json_lines, write_text

SHOWN = 500  # pictures of the gallery at most; the other files have all
SIDE = 320  # of a picture in the gallery, in pixels


@dataclass(frozen=True)
class FoundCaption:
    """A caption: ln P(caption | picture) in nats, P itself, and the consensus score if captions were reranked."""

    caption: str
    log_prob: float
    probability: float
    consensus: float | None


@dataclass(frozen=True)
class CaptionResult:
    """A picture, its captions, best first, and the training images that were nearest, if captions were reranked."""

    picture: str
    captions: tuple[FoundCaption, ...]
    neighbors: tuple[str, ...]


def read_captioned(directory: Path) -> list[CaptionResult]:
    """What `caption_pictures` wrote."""
    reranked = directory / "reranked.jsonl"
    records = {each["image_id"]: each for each in read_json_lines(reranked)} if reranked.exists() else {}
    found = []
    for image in read_hypotheses(directory):
        record = records.get(image.image_id, {"scores": [None] * len(image.captions), "neighbors": []})
        captions = tuple(
            FoundCaption(detokenize(each.tokens), each.log_prob, math.exp(each.log_prob), consensus)
            for each, consensus in zip(image.captions, record["scores"], strict=True)
        )
        found.append(CaptionResult(image.image_id, captions, tuple(record["neighbors"])))
    return found


def write_outcome(directory: Path, pictures: Sequence[ImageSource]) -> None:
    """Writes `captions.jsonl` (a line a picture), `captions.csv` (a row a caption) and `gallery.html`."""
    found = read_captioned(directory)
    write_json_lines(directory / "captions.jsonl", (asdict(each) for each in found))
    write_csv(
        directory / "captions.csv",
        ("picture", "rank", "caption", "probability", "log_prob", "consensus"),
        (
            (each.picture, rank, one.caption, one.probability, one.log_prob, one.consensus)
            for each in found
            for rank, one in enumerate(each.captions, start=1)
        ),
    )
    paths = {picture.image_id: picture.path for picture in pictures}
    shown = {
        each.picture: AnnotatedImage(each.picture, paths[each.picture], "", 0, 0, (each.captions[0].caption,))
        for each in found[:SHOWN]
    }
    thumbnails = Thumbnails(Path("/"), shown)
    page = render_page(
        Path(__file__).with_name("gallery.html"),
        found=found[:SHOWN],
        left_out=len(found[SHOWN:]),
        thumbnail=lambda name: thumbnails.thumbnail(name, SIDE),
        rejects=read_rejects(directory),
        reranked=any(each.captions[0].consensus is not None for each in found),
        compared=any(each.neighbors for each in found),
    )
    write_text(directory / "gallery.html", page)
