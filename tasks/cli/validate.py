"""ValidateDataset: looks a corpus over before it is used."""

import luigi

from schemas.errors import ConfigurationError, InputError
from tasks.cli.command import Command
from tasks.data.download_dataset import source_root


class ValidateDataset(Command):
    """Prints what is wrong with images and captions, with file and line, and what they are like; fails on errors."""

    source = luigi.Parameter(description="folder with the images and their captions")
    dataset = luigi.Parameter(default="custom", description="name of the corpus, see pipelines/datasets")
    partition = luigi.Parameter(
        default="", description="as of PrepareAnnotations; without it, a tenth to validate, a tenth to test"
    )
    tokenizer = luigi.ChoiceParameter(
        default="tf-mrnn", choices=["tf-mrnn", "treebank"], description="as of TokenizeCaptions"
    )
    max_images = luigi.IntParameter(default=20000, description="images to open at most, 0: all")

    def act(self) -> None:
        """Looks and prints.

        Raises:
            ConfigurationError: there is no such corpus or folder.
            InputError: the corpus has errors; they are printed before.
        """
        from tqdm import tqdm

        from pipelines.data.datasets import find_dataset
        from pipelines.data.validate_dataset import validate

        corpus, root = find_dataset(self.dataset), source_root(self.source)
        if not root.is_dir():
            raise ConfigurationError(f"There is no folder {root}; set --source to that of the images.")
        with tqdm(total=1.0, bar_format="{percentage:3.0f}%|{bar:30}|{postfix}", disable=None, leave=False) as bar:

            def progress(fraction: float, message: str) -> None:
                bar.n = fraction
                bar.set_postfix_str(message)

            found = validate(
                self.dataset,
                corpus,
                root,
                progress,
                partition=self.partition,
                tokenizer=self.tokenizer,
                max_images=self.max_images,
            )
        for line in found.lines():
            print(line)
        print(f"{len(found.errors)} errors, {len(found.remarks)} remarks")
        if found.errors:
            raise InputError(f"{root} has {len(found.errors)} errors, printed above; mend them and look again.")
        print(f"No errors. Continue with\n  {found.next_command()}")
