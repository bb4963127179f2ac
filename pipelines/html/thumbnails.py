"""Small copies of a corpus's images, inside the page."""

import base64
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from PIL import Image

from model.backbones.images import decode_image
from pipelines.report.data import Picture
from schemas.annotations import AnnotatedImage
from schemas.errors import InputError

JPEG_QUALITY = 80


class Thumbnails:
    """Makes pictures of a corpus's images; each image is read once a size."""

    def __init__(self, root: Path, images: Mapping[str, AnnotatedImage]):
        """The files of `images` (by id) lie below `root`."""
        self._root = root
        self._images = images
        self.picture = cache(self._make)

    def _make(self, image_id: str, side: int) -> Picture:
        """The image, at most `side` pixels wide and high; one that cannot be read becomes a picture with a problem."""
        image = self._images[image_id]
        caption = next(iter(image.captions), "")
        try:
            small = decode_image((self._root / image.file).read_bytes())
        except OSError as error:
            return Picture(image_id, caption, None, side, side, f"cannot be opened ({error.strerror})")
        except InputError as error:
            return Picture(image_id, caption, None, side, side, str(error))
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        return Picture(image_id, caption, _data_uri(small), small.width, small.height, "")


def _data_uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
