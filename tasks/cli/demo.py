"""`mrnn demo`: a local web page that captions a photograph."""

import importlib.util
import threading
from contextlib import suppress
from typing import Annotated

import typer

from tasks.cli.caption import ModelOption, choose_captioner
from tasks.cli.options import ConfigOption, Settings


def demo(
    model: ModelOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; by default this machine's only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 7860,
    upload_limit: Annotated[int, typer.Option(help="Maximum size of a photograph in megabytes.", min=1)] = 20,
    config: ConfigOption = None,
    settings: Settings = None,
) -> None:
    """Serve a web page that captions a photograph.

    Needs the extra `demo`. The page shows the caption, alternatives, the probability of each word and, for a model of a
    data directory, the nearest training images. Nothing is sent anywhere, and Gradio's usage statistics are off.
    """
    from schemas.errors import ConfigurationError
    from schemas.text import install_hint
    from tasks.cli.console import quiet_libraries

    if importlib.util.find_spec("gradio") is None:
        raise ConfigurationError(f"The demo needs Gradio, which is not installed; {install_hint('demo')}.")
    captioner, search, _ = choose_captioner(model, config, settings, rerank=False)
    with quiet_libraries():
        from pipelines.caption_images.demo import serve
        from pipelines.caption_images.explain import Explainer
    with serve(Explainer(captioner, search), host, port, upload_limit) as address:
        print(f"Captioning at {address} (Ctrl-C ends it).", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
