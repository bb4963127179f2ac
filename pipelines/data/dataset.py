"""What a corpus module states: where its files are published, and how they become records."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from schemas.errors import InputError

Progress = Callable[[float, str], None]  # (fraction done in 0..1, message)


@dataclass(frozen=True)
class Archive:
    """One published file. `urls` in order of preference; `size` in bytes and `sha256` (hex) where known."""

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Record:
    """One image as its corpus describes it; `file` is relative to the dataset's root, with `/`.

    `split` is that of the corpus's published partition, empty where there is none.
    """

    image_id: str
    file: str
    split: str
    captions: tuple[str, ...]
    extras: dict[str, Any] = field(default_factory=dict)


class Problems(list[str]):
    """What is wrong with a corpus, a sentence each: the dirt that was left out.

    What must be mended before the corpus can be used goes to `error`.
    """

    def error(self, sentence: str) -> None:
        """Raises InputError; `pipelines.data.validate_dataset` collects all errors instead."""
        raise InputError(sentence)


class Dataset(ABC):
    """A captioned-image corpus. One subclass a module in this package, bound there to the name `DATASET`.

    `karpathy_file` is the name of the corpus's file among Karpathy's splits, where it has one.
    """

    title: ClassVar[str]
    homepage: ClassVar[str]
    license: ClassVar[str]
    citation: ClassVar[str]
    archives: ClassVar[tuple[Archive, ...]] = ()
    test_captions_public: ClassVar[bool] = True  # if not, no release holds them
    karpathy_file: ClassVar[str] = ""

    @abstractmethod
    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yields the images below `root` with their captions, in a fixed order.

        Dirt that the corpus is known for (a caption without an image, say) is described in `problems`, one sentence
        each, and left out.

        Raises:
            InputError: a file is missing or not in the corpus's format; names the file and the line.
        """


class GeneratedCorpus(Dataset):
    """A corpus that is made on the spot instead of downloaded."""

    @abstractmethod
    def generate(self, root: Path, *, seed: int, images: int, progress: Progress) -> None:
        """Writes the files that `records` reads below `root`; the same seed makes the same files."""
