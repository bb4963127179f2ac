"""Web page on this machine that captions a photograph and explains the caption."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Gradio reads these when it is imported: no usage statistics, no look-up of newer versions.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model.backbones.images import image_suffixes
from pipelines.caption_images.explain import Explainer, Explanation
from pipelines.html.thumbnails import Thumbnails
from schemas.annotations import AnnotatedImage
from schemas.errors import ConfigurationError, InputError

_TEMPLATE = Path(__file__).with_name("explanation.html")
_STYLE = Path(__file__).with_name("demo.css")
_PHOTOGRAPH_SIDE, _NEIGHBOR_SIDE = 480, 160  # pixels of thumbnails
_TITLE = "m-RNN captions a photograph"
_LEDE = (
    "Choose a photograph of up to {megabytes} MB. It stays on the machine that runs this page and is deleted when the "
    "demo ends. The model has learned from the captions of `{dataset}` and knows nothing but what its images show."
)


def make_page(explainer: Explainer, upload_megabytes: int) -> gr.Blocks:
    """Build the page: a place to drop a photograph on, and its caption with what led to it."""
    lede = _LEDE.format(megabytes=upload_megabytes, dataset=explainer.dataset)
    render = _make_renderer(explainer)

    def caption(path: str | None) -> str:
        if path is None:
            return ""
        try:
            return render(Path(path), explainer.explain(Path(path)))
        except InputError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error

    page = gr.Blocks(title=_TITLE, analytics_enabled=False)
    with page:
        gr.Markdown(f"# {_TITLE}\n{lede}")
        photograph = gr.File(label="Photograph", file_types=sorted(image_suffixes()), type="filepath")
        result = gr.HTML(label="Caption")
        photograph.change(caption, photograph, result, api_visibility="private")
    return page


@contextmanager
def serve(explainer: Explainer, host: str, port: int, upload_megabytes: int) -> Iterator[str]:
    """Serve the page while the block runs, and yield its URL.

    Args:
        explainer: Captioner with its explanations.
        host: Address that the server listens on.
        port: Its port.
        upload_megabytes: Maximum size of a photograph.

    Raises:
        ConfigurationError: The port is in use.
    """
    with tempfile.TemporaryDirectory(prefix="mrnn-demo-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        page = make_page(explainer, upload_megabytes)
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=f"{upload_megabytes}mb",
                footer_links=[],
                ssr_mode=False,
                css_paths=_STYLE,
                theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            )
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} of {host} cannot be used ({error}); set --port to another."
            ) from error
        try:
            yield address
        finally:
            page.close(verbose=False)


def _make_renderer(explainer: Explainer) -> Callable[[Path, Explanation], str]:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE.parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template(_TEMPLATE.name)
    training = explainer.training
    root, images = (training.root, training.images) if training else (Path(), ())
    thumbnails = Thumbnails(root, {image.image_id: image for image in images})

    def render(path: Path, explanation: Explanation) -> str:
        uploaded = AnnotatedImage(path.name, path.name, "", 0, 0, ())
        values: dict[str, Any] = {
            "explanation": explanation,
            "photograph": Thumbnails(path.parent, {path.name: uploaded}).thumbnail(path.name, _PHOTOGRAPH_SIDE),
            "thumbnail": lambda image_id: thumbnails.thumbnail(image_id, _NEIGHBOR_SIDE),
        }
        return template.render(**values)

    return render
