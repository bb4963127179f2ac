"""The HTML of the report: it loads nothing, escapes everything and is accessible."""

import base64
import hashlib
import re

from pipelines.data.datasets.flickr8k import Flickr8k
from pipelines.report.collect import collect_contents
from pipelines.report.data import ReportInputs
from pipelines.report.render import render_report
from tests.support.imitation import HOSTILE
from tests.support.report_page import Page


def test_report_loads_nothing(html: str, page: Page) -> None:
    policy = next(each for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "href", "data", "poster", "action"):
            address = attributes.get(name, "data:")
            assert address.startswith(("data:", "#")) or (tag == "a" and address == Flickr8k().homepage), (tag, address)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_report_escapes_hostile_text(html: str, page: Page) -> None:
    assert len(page.all("script")) == 1
    assert not any(name.startswith("on") or name == "style" for _, attributes in page.elements for name in attributes)
    assert not any(attributes.get("src") == "x" for attributes in page.all("img"))
    assert "<script>alert" not in html
    assert f"Random weights {HOSTILE}" in page.text
    assert f"image_11 test decode {HOSTILE} 11.png" in page.text
    assert any(HOSTILE in attributes["alt"] for attributes in page.all("img"))


def test_report_images_have_alternative_texts(page: Page, html: str) -> None:
    images = page.all("img")
    assert len(images) > 14
    assert all(image["alt"] for image in images)
    figures, thumbnails = (
        [image for image in images if image["src"].startswith(f"data:image/{kind};base64,")]
        for kind in ("svg+xml", "jpeg")
    )
    assert len(figures) == 6
    assert len(figures) + len(thumbnails) == len(images)
    assert all(0 < int(image["width"]) <= 224 and 0 < int(image["height"]) <= 224 for image in thumbnails)
    assert "Test image image_7: cannot be opened (No such file or directory)" in page.text
    assert len({each["id"] for _, each in page.elements if "id" in each}) == html.count(' id="')


def test_report_tables_are_accessible(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert all(cell.get("scope") for cell in page.all("th"))
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in page.all("div") if box.get("role") == "region")


def test_report_is_small_and_reproducible(html: str, inputs: ReportInputs) -> None:
    assert len(html.encode()) < 10 * 2**20
    assert render_report(collect_contents(inputs)) == html
