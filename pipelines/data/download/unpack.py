"""Unpacks archives from the network: what could harm the machine is refused, and nothing is passed over in silence."""

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
from typing import IO, BinaryIO, Literal, Self

from pipelines.data.dataset import Progress
from pipelines.data.download.progress import Meter
from schemas.errors import InputError

SIZE_LIMIT = 200 << 30  # bytes, all members together
RATIO_LIMIT = 200  # bytes out for a byte in
RATIO_FREE_BYTES = 1 << 20  # so much, headers of a tar included, may come out at any ratio
NAME_LIMIT = 1 << 20  # bytes of a tar's extended header, which is read into memory
COPY_BYTES = 1 << 20
_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# Of a tar archive. Left to itself, tarfile also tries LZMA, in which chance bytes ask for 4 GiB of memory.
_TarMode = Literal["r:", "r:gz", "r:bz2", "r:xz"]
_COMPRESSED: dict[_TarMode, bytes] = {"r:gz": b"\x1f\x8b", "r:bz2": b"BZh", "r:xz": b"\xfd7zXZ\0"}
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,  # such as a name that is no UTF-8
    RuntimeError,
    OverflowError,
)


def unpack(
    archive: Path, destination: Path, progress: Progress, limit: int = SIZE_LIMIT, ratio: float = RATIO_LIMIT
) -> int:
    """Writes the files of a .zip or .tar (plain, .gz, .bz2, .xz) below `destination`; returns how many.

    The kind is told by content. What is there already is overwritten, what macOS adds is left out, empty folders,
    times and permissions are not restored. `limit` is the most bytes that may come out, `ratio` the most for each byte
    of the archive (and, in a .zip, for each byte of a member of more than 1 MiB).

    Raises:
        InputError: the archive is damaged, too large, or has a member that is refused (a path out of `destination`, a
            link, a device, encryption, a second member of the same name); names the archive and the member.
    """
    destination.mkdir(parents=True, exist_ok=True)
    try:
        with open(archive, "rb") as raw:
            unpacking = _Unpacking(raw, destination, progress, limit, ratio)
            start = raw.read(6)
            raw.seek(0)
            if start.startswith(_ZIP):
                _unpack_zip(unpacking)
            else:
                _unpack_tar(unpacking, start)
    except _DAMAGE as error:
        problem = str(error).partition("\n")[0]
        raise InputError(f"{archive} is damaged or cut short ({problem}); remove it and download it again.") from error
    except OSError as error:
        # gzip and bz2 report damage as OSError, without a number.
        problem = f"cannot be unpacked to {destination}" if error.errno else "is damaged"
        raise InputError(f"{archive} {problem} ({error}); mend that or download it again.") from error
    progress(1.0, f"{archive.name}: {unpacking.files} files")
    return unpacking.files


class _Unpacking:
    """One run of `unpack`: the rules, and the names and bytes so far."""

    def __init__(self, raw: BinaryIO, destination: Path, progress: Progress, limit: int, ratio: float):
        self.raw = raw
        self.name = raw.name
        self.packed_bytes = os.fstat(raw.fileno()).st_size
        self.files = 0
        self._destination = destination
        self._limit = limit
        self._ratio = ratio
        self._meter = Meter(progress, Path(raw.name).name, self.packed_bytes)
        self._bytes = 0
        self._paths: set[PurePosixPath] = set()

    def refusal(self, member: str, why: str) -> InputError:
        return InputError(f"{self.name} is refused: its member {member!r} {why}; get the archive from another source.")

    def admit(self, member: str, is_file: bool) -> PurePosixPath | None:
        """The relative path to write a member to, None for folders and macOS's additions; raises for harmful names."""
        path = PurePosixPath(member)
        if path.is_absolute() or ".." in path.parts:
            raise self.refusal(member, "leads out of the folder")
        if "\0" in member or "\\" in member or re.match("[A-Za-z]:", member) or (is_file and not path.parts):
            raise self.refusal(member, "has a name that is no portable path")
        if not is_file or "__MACOSX" in path.parts or path.name == ".DS_Store" or path.name.startswith("._"):
            return None
        if path in self._paths:
            raise self.refusal(member, "is there twice")
        self._paths.add(path)
        return path

    def write(self, path: PurePosixPath, source: IO[bytes], packed_bytes: int | None = None) -> None:
        """Copies a member; `packed_bytes` is its size in the archive, where it is packed by itself."""
        target = self._destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # rather than write through what may be a link
        written = 0
        with open(target, "xb") as stream:
            while block := source.read(COPY_BYTES):
                written += len(block)
                self.count(str(path), len(block))
                if packed_bytes is not None and written > max(RATIO_FREE_BYTES, self._ratio * packed_bytes):
                    raise self.refusal(str(path), f"swells to more than {self._ratio:g} times its packed size")
                stream.write(block)
                self._meter.update(self.raw.tell())
        self.files += 1

    def count(self, member: str, size: int) -> None:
        """Adds bytes that come out of the archive; raises if they are too many."""
        self._bytes += size
        if self._bytes > self._limit:
            raise self.refusal(member, f"brings the content over {self._limit} bytes")
        if self._bytes > max(RATIO_FREE_BYTES, self._ratio * self.packed_bytes):
            raise self.refusal(member, f"brings the content over {self._ratio:g} times the archive's size")

    def require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._destination).free
        if needed > free:
            raise InputError(
                f"{self.name} needs {needed / 1e9:.1f} GB and {self._destination} has {free / 1e9:.1f} GB free; "
                "free some or choose another folder."
            )


def _unpack_zip(unpacking: _Unpacking) -> None:
    with zipfile.ZipFile(unpacking.raw) as archive:
        # The directory is known beforehand: nothing is written unless all of it is admitted.
        members = []
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was made without Unix modes
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise unpacking.refusal(member.orig_filename, "is a link or a special file")
            if member.flag_bits & 1:
                raise unpacking.refusal(member.orig_filename, "is encrypted")
            path = unpacking.admit(member.orig_filename, not member.is_dir())
            if path is not None:
                members.append((path, member))
        unpacking.require_space(sum(member.file_size for _, member in members))
        for path, member in members:
            try:
                with archive.open(member) as source:
                    unpacking.write(path, source, member.compress_size)
            except NotImplementedError as error:
                raise unpacking.refusal(str(path), f"is packed by a method unknown here ({error})") from error


class _StrictTarInfo(tarfile.TarInfo):
    """tarfile takes a cut or spoilt header after the first for the end of the archive, and reads long names whole.

    This does neither.
    """

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


def _unpack_tar(unpacking: _Unpacking, start: bytes) -> None:
    mode: _TarMode = next((mode for mode, sign in _COMPRESSED.items() if start.startswith(sign)), "r:")
    unpacking.require_space(unpacking.packed_bytes)  # at least; the sizes are spread over the archive
    with tarfile.open(fileobj=unpacking.raw, mode=mode, tarinfo=_StrictTarInfo) as archive:
        for member in archive:
            unpacking.count(member.name, tarfile.BLOCKSIZE)  # its header: empty files are a bomb too
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise unpacking.refusal(member.name, "is a link or a special file")
            path = unpacking.admit(member.name, member.isreg())
            source = archive.extractfile(member) if path is not None else None
            if path is not None and source is not None:
                with source:
                    unpacking.write(path, source)
            else:
                # Passed over, but the reader has to unpack it all the same.
                unpacking.count(member.name, member.size)
