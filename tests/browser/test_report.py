"""The report in a real browser."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from pipelines.report.collect import collect_contents
from pipelines.report.data import ReportContents, ReportInputs
from pipelines.report.render import render_report
from tests.browser.conftest import OpenPage, overflows, violations
from tests.support.imitation import HOSTILE, imitate_run

WIDTHS = (1280, 390)  # a desk, a phone
COLORS = ("light", "dark")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """An imitated run."""
    return imitate_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def contents(inputs: ReportInputs) -> ReportContents:
    """The content of its report."""
    return collect_contents(inputs)


@pytest.fixture(scope="module")
def report(contents: ReportContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report as a file."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(contents), encoding="utf-8")
    return path


def cards(page: Page) -> list[str]:
    """Ids of the images that the gallery shows."""
    return page.locator("#cards .card:visible p code").all_inner_texts()


def open_details(page: Page) -> None:
    """Open all collapsed sections."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@pytest.mark.slow("runs axe on four views of a page")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("colors", COLORS)
def test_axe_finds_nothing(open_page: OpenPage, report: Path, width: int, colors: str) -> None:
    page = open_page(report, width, colors)
    open_details(page)
    assert violations(page) == []


def test_axe_is_at_work(open_page: OpenPage, report: Path) -> None:
    page = open_page(report)
    page.evaluate("document.querySelector('#cards img').removeAttribute('alt')")
    assert [each.split(":")[0] for each in violations(page)] == ["image-alt"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("colors", COLORS)
def test_page_fits_its_width(open_page: OpenPage, report: Path, width: int, colors: str) -> None:
    """And is neither empty nor in the wrong colors."""
    page = open_page(report, width, colors)
    assert not overflows(page)
    screenshot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"), float)
    assert screenshot.shape == (900, width)
    assert screenshot.std() > 10
    assert (np.median(screenshot) > 200) == (colors == "light")
    open_details(page)
    assert not overflows(page)


def test_numbers_are_those_of_the_scores(open_page: OpenPage, report: Path, inputs: ReportInputs) -> None:
    page = open_page(report)
    table = page.get_by_role("region", name="Score table")
    columns = table.get_by_role("columnheader").all_inner_texts()
    for label, directory in inputs.scores.items():
        scores = json.loads((directory / "scores.json").read_text())
        row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=label, exact=True))
        cells = dict(zip(columns[1:], row.get_by_role("cell").all_inner_texts(), strict=True))
        for metric, value in scores["metrics"].items():
            shown = cells[metric].split()[0]
            assert shown == f"{value:.3f}"
        for metric, (low, high) in scores["intervals"].items():
            assert f"[{low:.3f}, {high:.3f}]" in cells[metric]
        assert cells["Perplexity"] == f"{scores['perplexity']:.3f}"


def test_gallery_is_filtered_by_group(open_page: OpenPage, report: Path, contents: ReportContents) -> None:
    page = open_page(report)
    every = [image.thumbnail.image_id for image in contents.gallery]
    assert cards(page) == every
    for group in ("Worst", "Random", "Best"):
        button = page.get_by_role("button", name=group)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        of_group = [image.thumbnail.image_id for image in contents.gallery if group.lower() in image.groups]
        assert cards(page) == of_group
        expect(page.locator("#shown")).to_have_text(f"{len(of_group)} of {len(every)} images")
    page.get_by_role("button", name="All").click()
    assert cards(page) == every


def test_gallery_is_searched(open_page: OpenPage, report: Path, contents: ReportContents) -> None:
    page = open_page(report)
    search = page.get_by_role("searchbox", name="Search")
    search.fill("image_7 ")
    assert [each for each in cards(page) if each == "image_7"] == ["image_7"]
    search.fill("NOTHING of that kind")
    assert cards(page) == []
    expect(page.locator("#shown")).to_have_text(f"0 of {len(contents.gallery)} images")
    search.fill("<script>")
    assert len(cards(page)) >= 1
    search.fill("")
    assert len(cards(page)) == len(contents.gallery)


def test_gallery_works_by_keyboard(open_page: OpenPage, report: Path, contents: ReportContents) -> None:
    page = open_page(report)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.get_by_role("button", name="All").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Best")).to_have_attribute("aria-pressed", "true")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Tab")
    summary = page.locator("#cards summary").first
    expect(summary).to_be_focused()
    hypotheses = page.get_by_role("region", name=f"Hypotheses of image {contents.gallery[0].thumbnail.image_id}")
    expect(hypotheses).to_be_hidden()
    page.keyboard.press("Space")
    expect(hypotheses).to_be_visible()
    assert summary.evaluate("(each) => getComputedStyle(each).outlineStyle") != "none"


def test_card_shows_hypotheses_and_reranked_choice(open_page: OpenPage, report: Path, contents: ReportContents) -> None:
    page = open_page(report)
    image = contents.gallery[0]
    card = page.locator("#cards .card").first
    card.locator("summary").click()
    rows = [row.inner_text().split("\t") for row in card.locator("tbody tr").all()]
    assert [row[1:] for row in rows] == [
        [f"{each.log_prob:.3f}", str(each.beam_rank), f"{each.consensus:.3f}"] for each in image.hypotheses
    ]
    assert rows[0][0].split("\n")[0].removesuffix(" chosen") == image.caption
    assert (
        card.locator("p", has_text="Before reranking").inner_text() == f"Before reranking: {image.most_probable.text}"
    )
    assert card.locator(".references li").all_inner_texts() == list(image.references)
    assert card.locator(".nearest img").count() == len(image.nearest) == 3


def test_gallery_shows_every_image(open_page: OpenPage, report: Path) -> None:
    """Data URLs decode; missing images have a text."""
    page = open_page(report)
    open_details(page)
    page.evaluate(
        "Promise.all([...document.images].map((image) => { image.loading = 'eager'; return image.decode(); }))"
    )
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert page.get_by_role("img", name="by epoch").count() == 3
    assert all(figure.bounding_box()["height"] > 100 for figure in page.locator("figure img").all())


def test_links_lead_to_their_sections(open_page: OpenPage, report: Path) -> None:
    page = open_page(report)
    for link in page.get_by_role("navigation").get_by_role("link").all():
        link.click()
        expect(page.get_by_role("heading", level=2, name=link.inner_text(), exact=True)).to_be_in_viewport()


def test_hostile_texts_are_texts(open_page: OpenPage, report: Path) -> None:
    """Nothing ran (`open_page` hears dialogs) and nothing is missing."""
    page = open_page(report)
    assert HOSTILE in page.locator(".note").first.inner_text()
    assert page.locator("img[src='x']").count() == 0
    assert page.locator("script").count() == 1
    assert any(HOSTILE in text for text in page.locator(".references li").all_inner_texts())


def test_policy_blocks_injected_scripts(
    open_page: OpenPage, complaints: list[str], report: Path, tmp_path: Path
) -> None:
    """Had a text come through unescaped, it would not run, not look different and not call out."""
    smuggled = (
        "<script>document.title = 'ran'</script><img src='data:,' onerror=\"document.title = 'ran'\">"
        "<p id='styled' style='color: red'>x</p><img src='http://localhost:9/beacon'></body>"
    )
    path = tmp_path / "report.html"
    path.write_text(report.read_text(encoding="utf-8").replace("</body>", smuggled), encoding="utf-8")
    page = open_page(path)
    assert page.title() == "m-RNN report: A report"
    expect(page.locator("#styled")).not_to_have_css("color", "rgb(255, 0, 0)")
    assert sum("Content Security Policy" in complaint for complaint in complaints) == 4
    complaints.clear()
