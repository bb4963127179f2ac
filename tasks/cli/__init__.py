"""The `mrnn` command, one module per subcommand. Subcommands import heavy libraries only when they run.

Exit codes: 0 success, 1 an error in input, configuration or a stage (one sentence on standard error), 2 wrong usage,
130 interrupted. `mrnn run` exits with Luigi's codes, which `[retcode]` of `configs/default.cfg` lists.
"""

import sys
from typing import Annotated

import typer

from schemas import __version__
from tasks.cli import (
    caption,
    compare,
    demo,
    evaluate,
    extract_shard,
    gc,
    invalidate,
    metrics,
    rerank,
    run,
    show,
    validate,
    verify,
)

app = typer.Typer(
    name="mrnn",
    epilog="Exit codes: 0 success, 1 error in input or stage, 2 usage, 130 interrupted; `mrnn run` has more.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
for command in (
    run.run,
    caption.caption,
    demo.demo,
    evaluate.evaluate,
    rerank.rerank,
    extract_shard.extract_shard,
    validate.validate,
    show.show,
    compare.compare,
    invalidate.invalidate,
    gc.gc,
    verify.verify,
):
    app.command()(command)
app.add_typer(metrics.app, name="metrics")


def _print_version(requested: bool) -> None:
    if requested:
        print(f"mrnn {__version__}")
        raise typer.Exit


@app.callback()
def describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """m-RNN image captioner: train, caption, evaluate, and manage runs."""


def main() -> None:
    """Run the `mrnn` command; errors that a user can fix are one sentence on standard error."""
    from tasks.runtime.encoding import make_output_safe, use_utf8

    use_utf8()
    make_output_safe()
    try:
        app(prog_name="mrnn")
    except KeyboardInterrupt:
        print("Interrupted. Completed artifacts are kept; rerun the same command to resume.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        from tasks.cli.errors import describe_error

        sentence = describe_error(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        sys.exit(1)
