"""From a template and its values to one HTML file: style and script are inside, nothing is loaded."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).parent


def render_page(template: Path, script: str = "", filters: Sequence[Callable[..., str]] = (), **values: Any) -> str:
    """The page that `template`, which extends `page.html`, makes of the values. The same values give the same text.

    All values are escaped. A content security policy lets the page load nothing, and admits its style and its script by
    their digests; without a script it runs none. filters: functions for the template, by their names.
    """
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader([template.parent, _FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({each.__name__: each for each in filters})
    scripts = f"script-src '{_digest(script)}'; " if script else ""
    return environment.get_template(template.name).render(
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; {scripts}base-uri 'none'; "
        "form-action 'none'",
        **values,
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
