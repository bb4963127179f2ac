"""Thumbnails of the images of a dataset, embedded in an HTML page."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from model.backbones.images import decode_image
from schemas.annotations import AnnotatedImage
from schemas.errors import InputError

JPEG_QUALITY = 80


@dataclass(frozen=True)
class Thumbnail:
    """A small copy of an image.

    Attributes:
        image_id: Id of the image.
        caption: The first caption of the image, or an empty string.
        data_uri: The JPEG in a `data:` URI; None if the image could not be read.
        width: Width in pixels.
        height: Height in pixels.
        problem: Why the image could not be read; empty if it was.
    """

    image_id: str
    caption: str
    data_uri: str | None
    width: int
    height: int
    problem: str


class Thumbnails:
    """Creates thumbnails of a dataset's images; each image is decoded once per size."""

    def __init__(self, root: Path, images: Mapping[str, AnnotatedImage]):
        """Create the store.

        Args:
            root: Directory that the files of the images are relative to.
            images: The images by id.
        """
        self._root = root
        self._images = images
        self.thumbnail = cache(self._make)

    def _make(self, image_id: str, side: int) -> Thumbnail:
        """Scale the image down to `side` pixels; an unreadable image becomes a thumbnail with a problem."""
        image = self._images[image_id]
        caption = next(iter(image.captions), "")
        try:
            small = decode_image((self._root / image.file).read_bytes())
        except OSError as error:
            return Thumbnail(image_id, caption, None, side, side, f"cannot be opened ({error.strerror})")
        except InputError as error:
            return Thumbnail(image_id, caption, None, side, side, str(error))
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        return Thumbnail(image_id, caption, _data_uri(small), small.width, small.height, "")


def _data_uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
