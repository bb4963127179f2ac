"""Decoding and cropping of image files: from bytes to the pixels that a network receives."""

import io
import warnings
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from schemas.errors import InputError
from schemas.text import reason

with suppress(ImportError):  # the extra `heif`
    import pillow_heif

    pillow_heif.register_heif_opener()

_FORMATS = frozenset("AVIF BMP DIB GIF HEIF JPEG JPEG2000 MPO PCX PNG PPM QOI SGI TGA TIFF WEBP".split())


HEIF_SUFFIXES = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
EXTRA = 'pip install "m-rnn[heif]"'


def describe_unread(name: str) -> str:
    """Return the end of a sentence with the reason why a file is not a readable image, and the fix."""
    if name[name.rfind(".") :].lower() in HEIF_SUFFIXES - image_suffixes():
        return f"is a HEIF image, which cannot be read without a further package; run {EXTRA}"
    return "has no file extension of a readable image; convert it to JPEG or PNG"


def image_suffixes() -> frozenset[str]:
    """Return the lower-case file extensions of readable images: Pillow's formats for photographs."""
    registered = Image.registered_extensions()
    return frozenset({".mpo"} | {end for end, form in registered.items() if form in _FORMATS and form in Image.OPEN})


MAX_PIXELS = 100_000_000  # beyond it a file is taken for a decompression bomb
CROPS = {"center": 1, "squash": 1, "squash_flip": 2, "ten_crop": 10}  # number of crops by name


def decode_image(data: bytes) -> Image.Image:
    """Read JPEG, PNG, GIF, WebP, ... into 8-bit RGB, upright by its EXIF orientation, the first frame of several.

    Transparent pixels are blended with white; 16-bit grey is scaled to 8 bits.

    Raises:
        InputError: The bytes are empty, not an image, truncated, or more than `MAX_PIXELS` pixels.
    """
    if not data:
        raise InputError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dubious metadata and of sizes that are checked below
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{image.width}x{image.height} pixels are over the limit of {MAX_PIXELS}")
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # a copy of a large image is large too
            return _rgb(image)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
            raise InputError(
                f"the file is a HEIF image, which cannot be read without a further package: {EXTRA}"
            ) from error
        raise InputError("the file is not an image in a known format") from error
    except Image.DecompressionBombError as error:
        raise InputError("the file is a decompression bomb") from error
    except Exception as error:  # what Pillow raises on damaged files depends on the format
        raise InputError(f"the image is damaged ({reason(error)})") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        levels = np.asarray(image, np.float64)
        # "I;16" has 16 bits; plain "I" has no known depth, and small values are taken for 8 bits.
        if image.mode.startswith("I;16") or (image.mode == "I" and levels.max(initial=0) > 255):
            levels = levels / 257.0
        return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def cut_crops(image: Image.Image, size: int, crop: str) -> NDArray[np.uint8]:
    """Cut the crops of an image, whose features are to be averaged.

    Each crop is resized with antialiased bicubic interpolation.

    Args:
        image: RGB image.
        size: Side of the crops in pixels.
        crop: `squash` resizes both sides to `size`, `squash_flip` also mirrors the result. `center` cuts a square of
            224/256 of the short side from the center, as is usual for VGG. `ten_crop` cuts such squares from the four
            corners and the center, and mirrors them (the paper's Section 8.1).

    Returns:
        uint8 (crops, size, size, 3).
    """
    if crop in ("squash", "squash_flip"):
        squashed = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
        return np.stack([squashed, squashed[:, ::-1]][: CROPS[crop]])
    side = min(image.size) * 224 / 256
    right, bottom = image.width - side, image.height - side
    corners = [(right / 2, bottom / 2)]
    if crop == "ten_crop":
        corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), *corners]
    crops = np.stack(
        [
            np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side)))
            for left, top in corners
        ]
    )
    return np.concatenate([crops, crops[:, :, ::-1]]) if crop == "ten_crop" else crops
