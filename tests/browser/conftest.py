"""A headless Chromium; where there is none, the tests of this directory are skipped."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")  # of axe's rules

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser per module. Its event loop ends with it, because other tests start their own."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("there is no Chromium: the browser tests are left out (`make setup-browser` installs it)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


@pytest.fixture
def complaints() -> list[str]:
    """Forbidden actions of pages: requests beyond their file, violations of their security policy, dialogs and errors.

    A test fails if any are left at its end.
    """
    return []


@pytest.fixture
def open_page(browser: Browser, complaints: list[str]) -> Iterator[OpenPage]:
    """`open_page(path, width=1280, colors="light")` shows a file."""
    opened = []

    def show(path: Path, width: int = 1280, colors: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=colors, reduced_motion="reduce"
        )
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: _allow(request.url, path, complaints))
        page.goto(path.as_uri())
        return page

    yield show
    for context in opened:
        context.close()
    assert complaints == []


def _allow(url: str, path: Path, complaints: list[str]) -> None:
    if not url.startswith("data:") and url.split("#")[0] != path.as_uri():
        complaints.append(f"request of {url}")


def violations(page: Page) -> list[str]:
    """Return the violations that axe finds, one line each."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": list(TAGS)}, "resultTypes": ["violations"]})
    return [
        f"{each['id']}: {node['html'][:120]} ({node['failureSummary']})"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]


def overflows(page: Page) -> bool:
    """Return whether the page can be scrolled horizontally."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
