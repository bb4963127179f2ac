"""Files with the captions of images: JSON lines, CSV and an HTML gallery."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pipelines.caption_images.caption import Caption, CaptionedImage, CaptionedImages
from pipelines.engines.shards import ImageSource
from pipelines.html.csv import write_csv
from pipelines.html.page import render_page
from pipelines.html.thumbnails import Thumbnails
from schemas.annotations import AnnotatedImage
from schemas.features import read_rejects, write_rejects
from schemas.io.files import read_json_lines, write_json_lines, write_text

GALLERY_IMAGES = 500  # maximum number in the gallery; the other files contain all
GALLERY_SIDE = 320  # of a thumbnail, in pixels


def read_outputs(directory: Path) -> CaptionedImages:
    """Read back what `write_outputs` wrote."""
    images = [
        CaptionedImage(
            record["image"],
            tuple(Caption(each["text"], each["log_prob"], each["consensus"]) for each in record["captions"]),
            tuple(record["neighbors"]),
        )
        for record in read_json_lines(directory / "captions.jsonl")
    ]
    return CaptionedImages(tuple(images), tuple(read_rejects(directory)))


def write_outputs(directory: Path, captioned: CaptionedImages, images: Sequence[ImageSource]) -> None:
    """Write the captions into a directory.

    `captions.jsonl` has one line per image, `captions.csv` one row per caption, `rejects.jsonl` the images that could
    not be read, and `gallery.html` shows the images with their captions.

    Args:
        directory: Existing directory.
        captioned: Captions of `images`.
        images: The images, for the gallery's thumbnails.
    """
    write_rejects(directory, list(captioned.rejects))
    write_json_lines(
        directory / "captions.jsonl",
        (
            {
                "image": each.image_id,
                "captions": [{**asdict(caption), "probability": caption.probability} for caption in each.captions],
                "neighbors": each.neighbors,
            }
            for each in captioned.images
        ),
    )
    write_csv(
        directory / "captions.csv",
        ("image", "rank", "caption", "probability", "log_prob", "consensus"),
        (
            (each.image_id, rank, one.text, one.probability, one.log_prob, one.consensus)
            for each in captioned.images
            for rank, one in enumerate(each.captions, start=1)
        ),
    )
    paths = {image.image_id: image.path for image in images}
    shown = captioned.images[:GALLERY_IMAGES]
    thumbnails = Thumbnails(
        Path("/"),
        {
            each.image_id: AnnotatedImage(each.image_id, paths[each.image_id], "", 0, 0, (each.captions[0].text,))
            for each in shown
        },
    )
    page = render_page(
        Path(__file__).with_name("gallery.html"),
        images=shown,
        omitted=len(captioned.images) - len(shown),
        thumbnail=lambda name: thumbnails.thumbnail(name, GALLERY_SIDE),
        rejects=captioned.rejects,
        reranked=any(each.captions[0].consensus is not None for each in shown),
        compared=any(each.neighbors for each in shown),
    )
    write_text(directory / "gallery.html", page)
