"""From the bytes of an image file, as found in the wild, to the pixels that a network sees."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from schemas.errors import InputError

MAX_PIXELS = 100_000_000  # beyond it a file is taken for a decompression bomb
CROPS = ("center", "squash")


def decode_image(data: bytes) -> Image.Image:
    """Reads JPEG, PNG, GIF, WebP, ... into 8-bit RGB, upright by its EXIF orientation, the first frame of several.

    Transparent pixels lie on white; 16-bit grey is scaled to 8 bits.

    Raises:
        InputError: the bytes are empty, no image, cut short, or more than `MAX_PIXELS` pixels; one line says which.
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
            return _rgb(ImageOps.exif_transpose(image))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError("the file is not an image in a known format") from error
    except Image.DecompressionBombError as error:
        raise InputError("the file is a decompression bomb") from error
    except Exception as error:  # what Pillow raises on damaged files depends on the format
        raise InputError(f"the image is damaged ({' '.join(str(error).split())})") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        levels = np.asarray(image, np.float64)
        # "I;16" tells the depth; plain "I" does not, and there small values are taken for 8 bits.
        if image.mode.startswith("I;16") or (image.mode == "I" and levels.max(initial=0) > 255):
            levels = levels / 257.0
        return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def crop_image(image: Image.Image, size: int, crop: str) -> np.ndarray:
    """RGB image -> uint8 (size, size, 3).

    crop: `center` resizes the short side to size*256/224 and cuts the middle, as is usual for VGG; `squash` resizes
    both sides to `size`. Both with antialiased bicubic interpolation.
    """
    if crop == "squash":
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    short = round(size * 256 / 224)
    scale = short / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size, top + size)))
