"""Images of the gallery and their nearest training images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.html.thumbnails import Thumbnails
from pipelines.report.data import ReportContents
from pipelines.report.gallery import choose_images
from pipelines.report.neighbors import compare_neighbors
from schemas.annotations import AnnotatedImage
from schemas.errors import ArtifactError
from schemas.neighbors import Neighbors
from tests.support.report_page import Page


def test_gallery_shows_the_scored_caption(page: Page, contents: ReportContents) -> None:
    cards = page.all("article")
    assert len(cards) == len(contents.gallery) == 14
    assert [card["data-groups"].split()[0] for card in cards] == ["best"] * 7 + ["worst"] * 7
    scores = [image.cider for image in contents.gallery]
    assert scores[:7] == sorted(scores, reverse=True)[:7]
    image = contents.gallery[0]
    assert image.caption == image.hypotheses[0].text
    assert [each.beam_rank for each in image.hypotheses] == [4, 3, 2, 1]
    assert [each.consensus for each in image.hypotheses] == [0.9, 0.7, 0.5, 0.3]
    assert image.most_probable.text == image.hypotheses[3].text
    assert len(image.nearest) == 3


def test_choose_images_groups_by_score() -> None:
    groups = choose_images({f"{n:03}": n / 100 for n in range(100)})
    by_group = {name: [each for each in groups if name in groups[each]] for name in ("best", "worst", "random")}
    assert by_group["best"] == [f"{n:03}" for n in range(99, 91, -1)]
    assert by_group["worst"] == [f"{n:03}" for n in range(8)]
    assert len(by_group["random"]) == 16
    assert choose_images({"only": 1.0}) == {"only": ("best", "random")}


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    """Of seven images."""
    images = {name: AnnotatedImage(name, f"{name}.png", "train", 8, 8, (f"caption {name}",)) for name in "abcdefg"}
    for name in images:
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    return Thumbnails(tmp_path, images)


def near(order: dict[str, str], references: str = "cdefg") -> Neighbors:
    """order: the nearest references of each target."""
    indices = np.array([[references.index(each) for each in nearest] for nearest in order.values()], np.int32)
    return Neighbors(list(order), list(references), indices, np.zeros(indices.shape, np.float32), "k", "euclidean")


def test_compare_neighbors_measures_the_overlap(thumbnails: Thumbnails) -> None:
    """Two of three and one of three neighbors agree; the references may be in another order."""
    original = near({"a": "cde", "b": "cde"})
    refined = near({"a": "ecf", "b": "gfe"}, references="gfedc")
    comparison = compare_neighbors({"original": original, "refined": refined}, ["b"], thumbnails)
    assert (comparison.depth, comparison.shared) == (3, 0.5)
    (panel,) = comparison.panels
    assert panel.thumbnail.image_id == "b"
    ids = {kind: "".join(image.image_id for image in images) for kind, images in panel.nearest.items()}
    assert ids == {"original": "cde", "refined": "gfe"}


def test_compare_neighbors_refuses_different_images(thumbnails: Thumbnails) -> None:
    original, refined = (near({target: "cd"}) for target in "ab")
    with pytest.raises(ArtifactError, match="cover different images"):
        compare_neighbors({"original": original, "refined": refined}, ["a"], thumbnails)


def test_report_shows_neighbors_by_both_kinds_of_features(page: Page, contents: ReportContents) -> None:
    assert len(contents.neighbors.panels) == 8
    assert page.text.count("By original features") == page.text.count("By refined features") == 8
