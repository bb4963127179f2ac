"""Decoding and cropping of images of any origin; others are refused in one line."""

import io

import numpy as np
import pytest
from PIL import Image

from model.backbones import images
from model.backbones.images import cut_crops, decode_image
from schemas.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)


def encode(image, form="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def rotated(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def decoded(data):
    image = decode_image(data)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_lossless_formats_give_the_pixels(form):
    few_colors = RGB.quantize(16).convert("RGB")
    np.testing.assert_array_equal(decoded(encode(few_colors, form)), np.asarray(few_colors))


@pytest.mark.parametrize(("form", "options"), [("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"quality": 95})])
def test_lossy_formats_give_nearly_the_pixels(form, options):
    smooth = Image.linear_gradient("L").resize((16, 16)).convert("RGB")
    np.testing.assert_allclose(decoded(encode(smooth, form, **options)), np.asarray(smooth), atol=6)


def test_progressive_jpeg_decodes_to_the_same_image():
    np.testing.assert_array_equal(
        decoded(encode(RGB, "JPEG", progressive=True)), decoded(encode(RGB, "JPEG", progressive=False))
    )


def test_grey_has_three_equal_channels():
    grey = PIXELS[:, :, 0]
    np.testing.assert_array_equal(decoded(encode(Image.fromarray(grey))), np.repeat(grey[:, :, None], 3, axis=2))


def test_black_and_white():
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert decoded(encode(bits)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_sixteen_bits_of_grey_become_eight_also_in_dark_images():
    levels = np.array([[0, 128, 257, 32896, 65535]], np.uint16)
    assert decoded(encode(Image.fromarray(levels)))[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert decoded(encode(Image.fromarray(levels[:, :2])))[0, :, 0].tolist() == [0, 0]


def test_transparent_pixels_are_composed_on_white():
    rgba = Image.new("RGBA", (3, 1))
    rgba.putdata([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 51)])
    assert decoded(encode(rgba)).tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 204]]]


def test_transparent_gray_is_composed_on_white():
    assert decoded(encode(Image.new("LA", (1, 1), (10, 0)))).tolist() == [[[255, 255, 255]]]


def test_transparent_palette_is_composed_on_white():
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    palette.putpalette([200, 0, 0, 0, 0, 200])
    assert decoded(encode(palette, transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 200]]]


def test_transparent_color_of_an_image_without_palette_is_white():
    two = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert decoded(encode(two, transparency=(1, 2, 3))).tolist() == [[[255, 255, 255], [4, 5, 6]]]


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_printers_colors_become_rgb(form):
    red = decoded(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), form))
    assert red[4, 4, 0] > 200 and red[4, 4, 1:].max() < 60


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (6, lambda a: np.rot90(a, -1)), (8, np.rot90)],
)
def test_images_are_turned_upright_by_their_exif_orientation(orientation, upright):
    np.testing.assert_array_equal(decoded(encode(RGB, exif=rotated(orientation))), upright(PIXELS))


def test_exif_orientation_is_applied():
    assert decoded(encode(RGB, "JPEG", exif=rotated(6))).shape == (9, 6, 3)


def test_animation_yields_its_first_frame():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "not an image"),
        (encode(RGB, "JPEG")[:-200], "damaged"),
        (encode(RGB)[:-60], "damaged"),
    ],
)
def test_undecodable_image_is_one_line(data, message):
    with pytest.raises(InputError, match=message) as caught:
        decode_image(data)
    assert "\n" not in str(caught.value)


def test_images_over_the_limit_are_refused_before_they_are_decoded(monkeypatch):
    data = encode(RGB)
    monkeypatch.setattr(images, "MAX_PIXELS", 6 * 9 - 1)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(InputError, match="9x6 pixels are over the limit of 53"):
        decode_image(data)


def test_exif_data_of_a_wrong_type_are_an_input_error():
    exif = rotated(6)
    exif[0x0100] = 5
    data = encode(RGB, "JPEG", exif=exif)
    number, text = bytes.fromhex("01000004"), bytes.fromhex("01000002")
    assert number in data
    with pytest.raises(InputError, match="damaged"):
        decode_image(data.replace(number, text))


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (10, 500), (1, 1), (1, 1_000_000)])
@pytest.mark.parametrize(("crop", "count"), [("center", 1), ("ten_crop", 10), ("squash", 1), ("squash_flip", 2)])
def test_crops_are_squares_of_the_requested_size(size, crop, count):
    crops = cut_crops(Image.new("RGB", size, (10, 20, 30)), 224, crop)
    assert crops.shape == (count, 224, 224, 3) and crops.dtype == np.uint8
    assert (crops == [10, 20, 30]).all()


def test_center_crop_takes_the_middle_of_256_pixels():
    # Already 256 high: nothing is resized, and the crop begins at ((512 - 224) / 2, (256 - 224) / 2).
    pixels = np.random.default_rng(0).integers(0, 256, (256, 512, 3), dtype=np.uint8)
    (crop,) = cut_crops(Image.fromarray(pixels), 224, "center")
    np.testing.assert_array_equal(crop, pixels[16:240, 144:368])


def test_ten_crops_are_corners_and_center_and_their_mirror_images():
    pixels = np.random.default_rng(0).integers(0, 256, (256, 512, 3), dtype=np.uint8)
    crops = cut_crops(Image.fromarray(pixels), 224, "ten_crop")
    for crop, (top, left) in zip(crops, [(0, 0), (0, 288), (32, 0), (32, 288), (16, 144)], strict=False):
        np.testing.assert_array_equal(crop, pixels[top : top + 224, left : left + 224])
    np.testing.assert_array_equal(crops[5:], crops[:5, :, ::-1])


def test_center_crop_drops_the_margins():
    wide = Image.new("RGB", (900, 300), "white")
    wide.paste("black", (0, 0, 300, 300))
    wide.paste("black", (600, 0, 900, 300))
    assert cut_crops(wide, 64, "center").min() == 255


def test_squashing_keeps_the_sides():
    halves = Image.new("RGB", (400, 100), "white")
    halves.paste("black", (0, 0, 200, 100))
    (squashed,) = cut_crops(halves, 20, "squash")
    assert (squashed[:, :8] == 0).all() and (squashed[:, 12:] == 255).all()


def test_squashing_and_flipping_adds_the_mirror_image():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    squashed, mirrored = cut_crops(Image.fromarray(pixels), 32, "squash_flip")
    np.testing.assert_array_equal(squashed, cut_crops(Image.fromarray(pixels), 32, "squash")[0])
    for left, right in zip(range(32), reversed(range(32)), strict=True):
        np.testing.assert_array_equal(mirrored[:, left], squashed[:, right])
