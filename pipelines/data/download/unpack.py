"""Extraction of archives from the network: harmful members are refused, and the total size is limited."""

import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, Self

from pipelines.data.dataset import Progress
from pipelines.data.download.progress import Meter
from schemas.errors import InputError

RATIO_LIMIT = 200  # unpacked bytes per packed byte
FREE_BYTES = 1 << 20  # unpacked bytes that any archive may have
NAME_LIMIT = 1 << 20  # bytes of a tar's extended header, which is read into memory
_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
# Modes of tar archives. By default tarfile also tries LZMA, for which random bytes can request 4 GiB of memory.
_TarMode = Literal["r:", "r:gz", "r:bz2", "r:xz"]
_COMPRESSED: dict[_TarMode, bytes] = {"r:gz": b"\x1f\x8b", "r:bz2": b"BZh", "r:xz": b"\xfd7zXZ\0"}
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,  # such as a name that is not UTF-8
    RuntimeError,
    OverflowError,
)


def unpack(archive: Path, destination: Path, progress: Progress, limit: int | None = None) -> int:
    """Extract the files of a .zip or .tar (plain, .gz, .bz2, .xz), recognized by content, below `destination`.

    Existing files are overwritten. Additions of macOS are skipped; empty directories, times and permissions are not
    restored.

    Args:
        archive: The archive.
        destination: Directory to write to.
        progress: Called with a fraction and a message.
        limit: Maximum total size of the members in bytes; default: `RATIO_LIMIT` times the size of the archive.

    Returns:
        The number of files.

    Raises:
        InputError: The archive is damaged, too large, or has a member that is refused (a path out of `destination`, a
            link, a device, encryption, a second member of the same name); names the archive and the member.
    """
    destination.mkdir(parents=True, exist_ok=True)
    try:
        with open(archive, "rb") as raw:
            rules = _Rules(raw, destination, limit)
            meter = Meter(progress, archive.name, rules.packed_bytes)
            start = raw.read(6)
            raw.seek(0)
            files = (_unpack_zip if start.startswith(b"PK") else _unpack_tar)(rules, start, meter)
    except _DAMAGE as error:
        problem = str(error).partition("\n")[0]
        raise InputError(f"{archive} is damaged or cut short ({problem}); remove it and download it again.") from error
    except OSError as error:
        # gzip and bz2 report damage as OSError, without a number.
        problem = f"cannot be unpacked to {destination}" if error.errno else "is damaged"
        raise InputError(f"{archive} {problem} ({error}); fix that or download it again.") from error
    progress(1.0, f"{archive.name}: {files} files")
    return files


class _Rules:
    """Limits of an archive, and its names and bytes so far."""

    def __init__(self, raw: BinaryIO, destination: Path, limit: int | None):
        self.raw, self.destination = raw, destination
        self.packed_bytes = os.fstat(raw.fileno()).st_size
        self._limit = limit or max(FREE_BYTES, RATIO_LIMIT * self.packed_bytes)
        self._bytes = 0
        self._paths: set[PurePosixPath] = set()

    def refusal(self, member: str, why: str) -> InputError:
        return InputError(
            f"{self.raw.name} is refused: its member {member!r} {why}; get the archive from another source."
        )

    def admit(self, member: str, is_file: bool) -> PurePosixPath | None:
        """Return the relative path to write a member to, None if it is skipped; raise for a harmful name."""
        path = PurePosixPath(member)
        if path.is_absolute() or ".." in path.parts:
            raise self.refusal(member, "is outside the destination")
        if "\0" in member or "\\" in member or re.match("[A-Za-z]:", member) or (is_file and not path.parts):
            raise self.refusal(member, "has a name that is no portable path")
        if not is_file or "__MACOSX" in path.parts or path.name == ".DS_Store" or path.name.startswith("._"):
            return None
        if path in self._paths:
            raise self.refusal(member, "is contained twice")
        self._paths.add(path)
        return path

    def count(self, member: str, size: int) -> None:
        """Count unpacked bytes; raise if they are too many."""
        self._bytes += size
        if self._bytes > self._limit:
            raise self.refusal(member, f"brings the content over {self._limit} bytes")

    def clear(self, path: PurePosixPath) -> None:
        """Remove an existing file at the path of a member, because it may be a link."""
        (self.destination / path).unlink(missing_ok=True)

    def require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.destination).free
        if needed > free:
            raise InputError(
                f"{self.raw.name} needs {needed / 1e9:.1f} GB and {self.destination} has {free / 1e9:.1f} GB free; "
                "free some or choose another directory."
            )


def _unpack_zip(rules: _Rules, start: bytes, meter: Meter) -> int:
    with zipfile.ZipFile(rules.raw) as archive:
        # The directory is known in advance: nothing is written unless all members are admitted. zipfile extracts no
        # more than the declared size.
        members = []
        for member in archive.infolist():
            name = member.orig_filename
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was made without Unix modes
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise rules.refusal(name, "is a link or a special file")
            if member.flag_bits & 1:
                raise rules.refusal(name, "is encrypted")
            path = rules.admit(name, not member.is_dir())
            if path is not None:
                rules.count(name, member.file_size)
                members.append((path, member))
        rules.require_space(sum(member.file_size for _, member in members))
        for path, member in members:
            rules.clear(path)
            try:
                archive.extract(member, rules.destination)
            except NotImplementedError as error:
                raise rules.refusal(str(path), f"is compressed by an unsupported method ({error})") from error
            meter.update(rules.raw.tell())
    return len(members)


class _StrictTarInfo(tarfile.TarInfo):
    """Reports a damaged header, which tarfile takes for the end of the archive, and limits the length of names."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf == bytes(tarfile.BLOCKSIZE):  # the end as it should be
                raise
            raise tarfile.ReadError(f"bad header: {error}") from error
        if header.type in _EXTENDED and header.size > NAME_LIMIT:
            raise tarfile.ReadError(f"a name or header of {header.size} bytes")
        return header


def _unpack_tar(rules: _Rules, start: bytes, meter: Meter) -> int:
    mode: _TarMode = next((mode for mode, sign in _COMPRESSED.items() if start.startswith(sign)), "r:")
    rules.require_space(rules.packed_bytes)  # at least; the sizes are spread over the archive
    files = 0
    with tarfile.open(fileobj=rules.raw, mode=mode, tarinfo=_StrictTarInfo) as archive:
        for member in archive:
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise rules.refusal(member.name, "is a link or a special file")
            rules.count(member.name, tarfile.BLOCKSIZE + member.size)  # with its header: empty files are a bomb too
            path = rules.admit(member.name, member.isreg())
            if path is not None:
                rules.clear(path)
                plain = member.replace(mode=0o644, mtime=None)  # type: ignore[arg-type]
                archive.extract(plain, rules.destination, filter="data")
                files += 1
            meter.update(rules.raw.tell())
    return files
