"""Self-contained HTML pages: style and script are inline, and nothing is loaded from elsewhere."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_DIRECTORY = Path(__file__).parent


def render_page(template: Path, script: str = "", filters: Sequence[Callable[..., str]] = (), **values: Any) -> str:
    """Render a page. The same arguments give the same text.

    All values are escaped. The content security policy forbids loading anything; it admits the style sheet and the
    script by their digests and images as `data:` URIs.

    Args:
        template: A Jinja template that extends `page.html`; templates that it includes are in the same directory.
        script: JavaScript of the page; without it, the page runs none.
        filters: Functions that the template uses as filters, under their own names.
        **values: Variables of the template.
    """
    style = (_DIRECTORY / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader([template.parent, _DIRECTORY]),
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
