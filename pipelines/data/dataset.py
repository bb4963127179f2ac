"""Interface of dataset modules: published files, and their conversion to records."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from schemas.annotations import Record
from schemas.errors import InputError

Progress = Callable[[float, str], None]  # (fraction done in 0..1, message)


@dataclass(frozen=True)
class Archive:
    """One published file.

    Attributes:
        name: File name.
        urls: URLs, in order of preference.
        size: Bytes, where known.
        sha256: SHA-256 in hex, where known.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Finding:
    """Something odd in a dataset.

    Attributes:
        level: `error` must be fixed before the dataset can be used; `invalid` is a caption that is left out and
            counted; `remark` is anything else that is left out or odd.
        kind: Kind of the finding, as a plural noun phrase.
        message: One sentence that names file and line or image.
    """

    level: Literal["error", "invalid", "remark"]
    kind: str
    message: str


class Problems:
    """Findings of one pass over a dataset.

    Attributes:
        findings: Findings so far.
    """

    def __init__(self, collect_errors: bool = False):
        """Start without findings.

        Args:
            collect_errors: Whether an error is one more finding instead of an exception.
        """
        self.findings: list[Finding] = []
        self._collect_errors = collect_errors

    def error(self, kind: str, message: str) -> None:
        """Record a problem that must be fixed before the dataset can be used.

        Raises:
            InputError: Unless errors are collected.
        """
        if not self._collect_errors:
            raise InputError(message)
        self.findings.append(Finding("error", kind, message))

    def invalid(self, kind: str, message: str) -> None:
        """Record a caption that is left out; annotations tolerate a limited fraction of them."""
        self.findings.append(Finding("invalid", kind, message))

    def remark(self, kind: str, message: str) -> None:
        """Record anything else that is left out or odd."""
        self.findings.append(Finding("remark", kind, message))

    def of_level(self, level: str) -> list[Finding]:
        """Return the findings of one level, in order."""
        return [finding for finding in self.findings if finding.level == level]


class Dataset(ABC):
    """A captioned-image dataset.

    Attributes:
        title: Full name.
        homepage: URL of its home page.
        license: Terms of use, as sentences.
        license_id: Identifier of the license on model hubs; empty if its terms are the dataset's own.
        citation: The publications to cite.
        archives: Files to download.
        test_captions_public: Whether a release may contain the test captions.
        karpathy_file: Name of its file among Karpathy's splits, empty if there is none.
    """

    title: ClassVar[str]
    homepage: ClassVar[str]
    license: ClassVar[str]
    license_id: ClassVar[str] = ""
    citation: ClassVar[str]
    archives: ClassVar[tuple[Archive, ...]] = ()
    test_captions_public: ClassVar[bool] = True
    karpathy_file: ClassVar[str] = ""

    @abstractmethod
    def records(self, root: Path, problems: Problems) -> Iterator[Record]:
        """Yield the images below `root` with their captions, in a fixed order.

        Known defects (such as a caption without an image) are added to `problems` and left out.

        Raises:
            InputError: A file is missing or not in the dataset's format; names the file and the line.
        """


class GeneratedDataset(Dataset):
    """A dataset that is generated instead of downloaded."""

    @abstractmethod
    def generate(self, root: Path, *, seed: int, images: int, progress: Progress) -> None:
        """Write the files that `records` reads below `root`; the same seed gives the same files.

        Args:
            root: Directory of the dataset.
            seed: Seed of the images and captions.
            images: Number of images.
            progress: Called with a fraction and a message.
        """
