"""`mrnn validate`: check a dataset before it is used."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tasks.cli.options import Json


class Tokenizer(StrEnum):
    """Tokenizers of TokenizeCaptions."""

    TF_MRNN = "tf-mrnn"
    TREEBANK = "treebank"


def validate(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Directory with the images and their captions.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset.")] = "custom",
    partition: Annotated[
        str, typer.Option(help="Splits, as in PrepareAnnotations; default: 10 % each for val and test.")
    ] = "",
    tokenizer: Annotated[
        Tokenizer, typer.Option(help="Tokenizer of captions, as in TokenizeCaptions.")
    ] = Tokenizer.TF_MRNN,
    max_images: Annotated[int, typer.Option(min=0, help="Maximum number of images to open (0 = all).")] = 20000,
    every: Annotated[bool, typer.Option("--all", help="Print all findings instead of three of each kind.")] = False,
    as_json: Json = False,
) -> None:
    """Check the images and captions of a dataset.

    Reports every fault with file and line, and exits with 1 if there are errors.
    """
    from pipelines.data.datasets import find_dataset
    from pipelines.data.validate_dataset import EXAMPLES
    from pipelines.data.validate_dataset import validate as validate_dataset
    from schemas.errors import ConfigurationError, InputError
    from schemas.text import quantity
    from tasks.cli.console import print_json, progress_bar

    found_dataset, root = find_dataset(dataset), source.expanduser().absolute()
    if not root.is_dir():
        raise ConfigurationError(f"There is no directory {root}; give the directory with the images and captions.")
    with progress_bar() as progress:
        found = validate_dataset(
            dataset,
            found_dataset,
            root,
            progress,
            partition=partition,
            tokenizer=tokenizer.value,
            max_images=max_images,
        )
    if as_json:
        groups = [{"level": group.level, "kind": group.kind, "messages": group.messages} for group in found.groups()]
        print_json({"findings": groups, "limits": found.limits, "facts": found.facts, "next": found.next_command()})
    else:
        for line in found.lines(None if every else EXAMPLES):
            print(line)
        print(f"{quantity(len(found.errors), 'error')}, {quantity(len(found.remarks), 'remark')}")
    if found.errors:
        raise InputError(f"{root} has {quantity(len(found.errors), 'error')}, see above; fix and validate again.")
    if not as_json:
        print(f"No errors. Continue with\n  {found.next_command()}")
