"""Views of an image: what they keep of it, and what they change."""

import numpy as np
import pytest
from PIL import Image

from model.backbones.augmentation import augment, can_be_mirrored

SIZE = (60, 40)
# Red grows from left to right, green from top to bottom, from 50 to 200.
PLACES = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
PLACES[..., 0] = np.linspace(50, 200, SIZE[0])
PLACES[..., 1] = np.linspace(50, 200, SIZE[1])[:, None]


def views(count, mirror, pixels=PLACES):
    return [augment(Image.fromarray(pixels), np.random.default_rng(seed), mirror) for seed in range(count)]


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        (["a dog leaves the pool", "bright lights"], True),
        (["a dog", "a man on the left"], False),
        (["the right hand"], False),
        ([], True),
    ],
)
def test_captions_that_name_a_side_forbid_mirror_images(captions, expected):
    assert can_be_mirrored(caption.split() for caption in captions) is expected


def is_mirrored(view):
    red = np.asarray(view)[..., 0].astype(float)
    return bool(red[:, :20].mean() > red[:, -20:].mean())


def test_views_are_mirrored_only_where_it_is_allowed():
    assert not any(map(is_mirrored, views(40, mirror=False)))
    assert 10 < sum(map(is_mirrored, views(40, mirror=True))) < 30


def test_view_has_the_size_of_the_image_and_depends_on_the_seed_alone():
    first, again, other = (augment(Image.fromarray(PLACES), np.random.default_rng(seed), True) for seed in (1, 1, 2))
    assert first.mode == "RGB" and first.size == SIZE
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_view_shows_half_of_the_area_or_more(monkeypatch):
    """Without changes of color, its range of red and green are its width and height as shares of the image's."""
    monkeypatch.setattr("model.backbones.augmentation._COLOR", 0.0)
    areas = []
    for view in views(40, mirror=True):
        width, height = (np.ptp(np.asarray(view)[..., channel].astype(float)) / 150 for channel in (0, 1))
        assert width == pytest.approx(height, abs=0.06)
        areas.append(width * height)
    assert 0.45 < min(areas) < 0.6 and 0.9 < max(areas) <= 1.0


def test_colors_change_by_a_fifth_at_most():
    gray = np.full((8, 8, 3), 100, np.uint8)
    levels = [int(np.asarray(view)[0, 0, 0]) for view in views(40, mirror=False, pixels=gray)]
    assert all(80 <= level <= 120 for level in levels)
    assert min(levels) < 90 and max(levels) > 110
