"""One imitated run, and its report in three forms."""

import pytest

from pipelines.report.collect import collect_contents
from pipelines.report.data import ReportContents, ReportInputs
from pipelines.report.render import render_report
from tests.support.imitation import imitate_run
from tests.support.report_page import Page, parse


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """The artifacts of the run."""
    return imitate_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def contents(inputs: ReportInputs) -> ReportContents:
    """The content of its report."""
    return collect_contents(inputs)


@pytest.fixture(scope="session")
def html(contents: ReportContents) -> str:
    """The report."""
    return render_report(contents)


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    """The report, parsed."""
    return parse(html)
