"""The generated pages of the reference."""

import runpy

import pytest

from tests.docs.conftest import ROOT

GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate_reference.py"))


@pytest.mark.parametrize("page", GENERATOR["PAGES"])
def test_generated_page_is_current(page: str) -> None:
    committed = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert committed == GENERATOR["PAGES"][page](), "run `python docs/generate_reference.py` and commit the pages"


def test_stages_page_gives_default_of_code_and_of_packaged_configuration() -> None:
    page = GENERATOR["stages_page"]()
    assert "| `min_count` | `5` (`3`) |" in page
    assert "### TrainSelfCritical" in page


def test_command_line_page_gives_exit_codes_of_configuration() -> None:
    page = GENERATOR["command_line_page"]()
    assert "| 30 | `task_failed` |" in page
    assert "| `LUIGI_CONFIG_PATH` |" in page
