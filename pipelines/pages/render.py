"""From a template and its values to one HTML file: the style is inside, nothing is loaded, nothing is run."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).parent
_STYLE = _FOLDER.parent / "report" / "report.css"


def render_page(template: Path, **values: Any) -> str:
    """The page that `template`, which extends `page.html`, makes of the values; all of them are escaped.

    A content security policy lets the page load nothing and run no script, and admits its style by its digest.
    """
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    environment = Environment(
        loader=FileSystemLoader([template.parent, _FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(
        style=Markup(style),
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        **values,
    )
