"""The demo page in a real browser, served by `mrnn demo`."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.caption_images.explain import NEIGHBORS
from tests.browser.conftest import overflows, violations
from tests.support.ports import free_port
from tests.support.toy_captioner import WORDS, ToyCaptioner

pytestmark = pytest.mark.slow("starts servers of the demo page")

ROOT = Path(__file__).parents[2]
LIMIT = 1  # megabytes of an upload
WAIT = 60_000  # milliseconds; the first image takes longest


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> ToyCaptioner:
    """The captioner of the demo, whose tokens and captions contain markup."""
    return ToyCaptioner(tmp_path_factory.mktemp("toys"), "hub")


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory for temporary files of the demo."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def address(browser: Browser, artifacts: ToyCaptioner, uploads: Path) -> Iterator[str]:
    """URL of the page; the demo must end at Ctrl-C without errors and delete uploads."""
    port = free_port()
    command = [sys.executable, "-m", "tasks.cli", "demo", "--model", artifacts.model, "--port", port]
    command += ["--set", "GenerateCaptions.min_length=3", "--set", "GenerateCaptions.max_length=6"]
    demo = subprocess.Popen(
        [*map(str, command), "--upload-limit", str(LIMIT)],
        cwd=uploads,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(uploads)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout
    found = re.fullmatch(r"Captioning at (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\.\n", demo.stdout.readline())
    if not found:
        demo.kill()
        pytest.fail(f"The demo did not start: {demo.communicate()[1]}")
    yield found[1]
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (0, "")
    assert not [*uploads.rglob("*.png")]


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page; a test fails if it raises an error or requests anything from another host."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: _allow(request.url, address, complaints))
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("m-RNN captions a photograph", timeout=WAIT)
    expect(page.locator("input[type=file]")).to_be_attached(timeout=WAIT)  # the heading may come earlier
    yield page
    context.close()
    assert complaints == []


def _allow(url: str, address: str, complaints: list[str]) -> None:
    if urlsplit(url).scheme != "data" and urlsplit(url).netloc != urlsplit(address).netloc:
        complaints.append(f"request of {url}")


def upload(page: Page, path: Path) -> None:
    """Choose a file like the button's dialog."""
    page.locator("input[type=file]").set_input_files(path)


def test_upload_shows_caption_alternatives_tokens_and_neighbors(page: Page, artifacts: ToyCaptioner) -> None:
    expect(page.get_by_text(re.compile("up to 1 MB.*captions of toys"))).to_be_visible()
    upload(page, artifacts.images_dir / "p3.png")
    expect(page.locator(".caption")).to_be_visible(timeout=WAIT)
    alternatives, tokens = page.locator(".mrnn table").all()
    assert alternatives.locator("tbody tr").count() == 3  # the default beam
    words = [word for word in tokens.locator("tbody th").all_inner_texts() if word != "(end)"]
    assert len(words) >= 3 and set(words) <= {*WORDS}
    assert page.locator(".caption").inner_text() == " ".join(words)
    for kind in ("original", "refined"):
        section = page.locator("section", has=page.get_by_role("heading", name=f"Nearest training images by {kind}"))
        assert section.locator("img").count() == NEIGHBORS
        expect(section.locator("figcaption").first).to_contain_text(re.compile(r"^toy <b>p\d\.png</b> distance 0"))


@pytest.mark.parametrize("colors", ["light", "dark"])
def test_axe_finds_nothing(page: Page, artifacts: ToyCaptioner, colors: str) -> None:
    page.emulate_media(color_scheme="dark" if colors == "dark" else "light")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=WAIT)
    assert violations(page) == []
    upload(page, artifacts.images_dir / "p0.png")
    expect(page.locator(".caption")).to_be_visible(timeout=WAIT)
    assert violations(page) == []


def test_narrow_page_needs_no_sideways_scrolling(page: Page, artifacts: ToyCaptioner) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    upload(page, artifacts.images_dir / "p0.png")
    expect(page.locator(".caption")).to_be_visible(timeout=WAIT)
    assert not overflows(page)


def test_broken_file_gives_a_sentence(page: Page, artifacts: ToyCaptioner, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    upload(page, tmp_path / "broken.jpg")
    alert = page.get_by_text("broken.jpg cannot be captioned: the file is not an image in a known format.")
    expect(alert).to_be_visible(timeout=WAIT)
    assert page.locator(".caption").count() == 0


def test_large_file_is_refused(page: Page, artifacts: ToyCaptioner, tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(LIMIT * 1024 * 1024 + 1))
    upload(page, tmp_path / "large.jpg")
    expect(page.get_by_text(re.compile("exceed|too large|maximum", re.IGNORECASE)).first).to_be_visible(timeout=WAIT)
    assert page.locator(".caption").count() == 0


def test_keyboard_alone_captions_and_removes_a_photograph(page: Page, artifacts: ToyCaptioner) -> None:
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    chooser.value.set_files(artifacts.images_dir / "p1.png")
    expect(page.locator(".caption")).to_be_visible(timeout=WAIT)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("/clear|remove/i.test(document.activeElement.ariaLabel)"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".caption")).to_have_count(0)
