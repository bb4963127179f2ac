"""From `ReportContents` to one HTML file that needs nothing else: styles, script and pictures are inside it."""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipelines.report.contents import ReportContents
from pipelines.report.facts import in_words, run_facts
from pipelines.report.plots import best_epoch, cider_plot, perplexity_plot
from pipelines.report.published import MARKS
from pipelines.report.score_table import conditions, left_out_notes, left_out_reason, metric_columns

LISTED = 100  # rejected images and problems that are shown; the artifacts have them all
_FOLDER = Path(__file__).parent


def render_report(contents: ReportContents) -> str:
    """The report as HTML. The same contents give the same text.

    Whatever comes from artifacts is escaped. A content security policy lets the page load nothing, and admits its style
    and its script by their digests.
    """
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=_score,
        count=_count,
        statistic=_statistic,
        percent=_percent,
        size=_size,
        duration=_duration,
        in_words=in_words,
    )
    marks = {each.mark for each in contents.published} | {each.mark for each in contents.published_retrieval}
    return environment.get_template("report.html").render(
        contents=contents,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        plots=[Markup(plot(contents.curve)) for plot in (perplexity_plot, cider_plot)] if contents.curve else [],
        kept=best_epoch(contents.curve).number if contents.curve else None,
        facts=run_facts(contents),
        metrics=metric_columns(contents),
        notes=left_out_notes(contents.rows),
        left_out_reason=left_out_reason,
        conditions=conditions(contents.rows),
        marks={mark: meaning for mark, meaning in MARKS.items() if mark in marks},
        listed=LISTED,
    )


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _score(value: float) -> str:
    return f"{value:.3f}"


def _count(value: int) -> str:
    return f"{value:,}"


def _statistic(value: float) -> str:
    return _count(value) if isinstance(value, int) else _score(value)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
