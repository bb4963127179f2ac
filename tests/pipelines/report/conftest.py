"""One imitated run, and its report in three forms."""

from typing import Any

import pytest

from pipelines.report.collect import collect_contents
from pipelines.report.data import ReportContents
from pipelines.report.render import render_report
from tests.support.imitation import imitate_run
from tests.support.report_page import Page, parse


@pytest.fixture(scope="session")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `collect_contents` takes."""
    return imitate_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def contents(arguments: dict[str, Any]) -> ReportContents:
    """What the report shows."""
    return collect_contents(**arguments)


@pytest.fixture(scope="session")
def html(contents: ReportContents) -> str:
    """The report."""
    return render_report(contents)


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    """The report, parsed."""
    return parse(html)
