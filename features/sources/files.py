"""One file of a source: on disk, compressed, inside a zip archive, or held in memory."""

from __future__ import annotations

import io
import lzma
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from gzip import GzipFile
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from features.errors import DataError

__all__ = ["Hash", "Limits", "SourceFile"]

CHUNK = 1 << 20
IN_MEMORY = 64 << 20
"""Bytes of decompressed content held in memory when random access is needed; the rest goes to a
temporary file that has no name."""

NESTED = (".gz", ".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst")

BROKEN = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What the libraries raise at compressed content that is damaged or cut off."""


class Hash(Protocol):
    """What :meth:`SourceFile.digest` feeds: any object of `hashlib`."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...


@dataclass(frozen=True)
class Limits:
    """What one compressed file may become.

    Attributes:
        total: Bytes of its content.
        ratio: Bytes of content for each compressed byte, once the content is larger than `free`.
        free: Bytes of content below which the ratio is not looked at.
    """

    total: int = 64 << 30
    ratio: int = 1000
    free: int = 100 << 20


@dataclass(frozen=True)
class SourceFile:
    """One file as a reader takes it, whatever it is wrapped in.

    Content is decompressed while it is read, never ahead of it, and never onto a disk under a
    name. What grows beyond its :class:`Limits` is refused while it is read, so that a few bytes
    that stand for terabytes cost no more than the limit. An archive inside an archive is not
    opened.

    Attributes:
        name: For messages: the last part of the path, `exports.zip/Client.csv` for a member.
        path: On disk; the archive, for a member. Empty for content in memory.
        relative: The path within the exports' folder, `a.zip/sub/Client.csv` for a member.
        member: Its name in the archive, or None.
        content: The bytes themselves, or None for a file on disk.
        limits: What it may become when it is compressed.

    Example:
        >>> file = SourceFile.in_memory("rdv.csv", b"id;day\\n1;2024-03-31\\n")
        >>> with file.open() as stream:
        ...     stream.readline()
        b'id;day\\n'
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     archive = Path(folder) / "exports.zip"
        ...     with zipfile.ZipFile(archive, "w") as made:
        ...         made.writestr("sub/rdv.csv", "id;day\\n")
        ...     member = SourceFile.of(archive, member="sub/rdv.csv")
        ...     with member.open() as stream:
        ...         member.name, member.relative, stream.read()
        ('exports.zip/rdv.csv', 'exports.zip/sub/rdv.csv', b'id;day\\n')
    """

    name: str
    path: Path
    relative: str
    member: str | None = None
    content: bytes | None = field(default=None, repr=False)
    limits: Limits = Limits()

    @classmethod
    def of(
        cls,
        path: Path,
        relative: str | None = None,
        *,
        member: str | None = None,
        limits: Limits | None = None,
    ) -> SourceFile:
        """A file on disk, or a member of an archive on disk.

        Args:
            path: The file, or the archive.
            relative: The path within the exports; by default the file's own name.
            member: The member's name in the archive.
            limits: What it may become when it is compressed.
        """
        said = relative or path.name
        name = path.name
        if member is not None:
            said = f"{said}/{member}"
            name = f"{name}/{member.rsplit('/', 1)[-1]}"
        return cls(name, path, said, member, None, limits or Limits())

    @classmethod
    def in_memory(cls, name: str, content: bytes) -> SourceFile:
        """Content that is at hand, as a file."""
        return cls(name, Path(), name, None, content)

    @property
    def plain(self) -> Path | None:
        """Where the content lies on disk as it is read, or None: compressed, or in memory."""
        if self.content is not None or self.member is not None or self._gzipped:
            return None
        return self.path

    @property
    def suffix(self) -> str:
        """The ending of the name of what is read, in lower case: `.csv` of `rdv.CSV.gz`."""
        name = self.name[: -len(".gz")] if self._gzipped else self.name
        return Path(name).suffix.lower()

    @property
    def size(self) -> int:
        """Bytes on disk, or in memory: compressed ones where it is compressed; 0 where unknown."""
        if self.content is not None:
            return len(self.content)
        try:
            if self.member is None:
                return self.path.stat().st_size
            with zipfile.ZipFile(self.path) as archive:
                return archive.getinfo(self.member).compress_size
        except (OSError, KeyError, zipfile.BadZipFile):
            return 0

    @property
    def _gzipped(self) -> bool:
        return self.content is None and self.path.suffix.lower() == ".gz"

    def open(self) -> BinaryIO:
        """The content from its beginning, as a stream that can only be read forward.

        Raises:
            DataError: an archive inside an archive, an encrypted member, a link; later, while it
                is read, damaged or cut-off content, or content beyond the limits.
            OSError: a file that the system refuses.
        """
        if self.content is not None:
            return io.BytesIO(self.content)
        if self.member is not None:
            return self._opened_member(self.member)
        if self._gzipped:
            handle = self.path.open("rb")
            return self._bounded(
                cast("BinaryIO", GzipFile(fileobj=handle)), self.size, handle.close
            )
        return self.path.open("rb")

    def seekable(self) -> BinaryIO:
        """The content as a stream with random access, for formats that need it.

        Decompressed content is held in memory up to 64 MiB, and beyond in a temporary file
        without a name, which goes when the stream is closed.

        Raises:
            DataError: as :meth:`open`.
        """
        if self.content is not None or self.plain is not None:
            return self.open()
        held = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        try:
            with self.open() as stream:
                while chunk := stream.read(CHUNK):
                    held.write(chunk)
        except BaseException:
            held.close()
            raise
        held.seek(0)
        return cast("BinaryIO", held)

    def digest(self, into: Hash) -> None:
        """Feed what the file says to a hash: as long as it is the same, so is the content.

        Args:
            into: Of `hashlib`.

        Raises:
            DataError: as :meth:`open`.
            OSError: a file that the system refuses.
        """
        with self.path.open("rb") if self._gzipped else self.open() as stream:
            while chunk := stream.read(CHUNK):
                into.update(chunk)
        # What SQLite has written last may still stand in its log, beside the file.
        log = self.path.with_name(f"{self.path.name}-wal") if self.plain is not None else None
        if log is not None and log.exists():
            into.update(log.read_bytes())

    def _opened_member(self, member: str) -> BinaryIO:
        if member.lower().endswith(NESTED):
            raise self._refused("a file", "an archive inside an archive", "Unpack the inner one.")
        try:
            archive = zipfile.ZipFile(self.path)
        except zipfile.BadZipFile:
            raise self._damaged() from None
        try:
            info = archive.getinfo(member)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & 0x1:
                raise self._refused(
                    "a member that is not encrypted", "an encrypted one", "Ask for it unencrypted."
                )
            if kind == stat.S_IFLNK:
                raise self._refused("a file", "a link", "Put the file itself in the archive.")
            stream = cast("BinaryIO", archive.open(info))
        except (KeyError, NotImplementedError, *BROKEN):
            archive.close()
            raise self._damaged() from None
        except BaseException:
            archive.close()
            raise
        return self._bounded(stream, info.compress_size, archive.close)

    def _bounded(self, stream: BinaryIO, compressed: int, close: Callable[[], Any]) -> BinaryIO:
        raw = _Bounded(stream, self, compressed, close)
        return cast("BinaryIO", io.BufferedReader(raw, CHUNK))

    def _damaged(self) -> DataError:
        return self._refused(
            "a whole archive", "one that is damaged or cut off", "Ask for the export again."
        )

    def _refused(self, expected: str, got: str, hint: str) -> DataError:
        return DataError(f"reading '{self.name}'", expected=expected, got=got, hint=hint)


class _Bounded(io.RawIOBase):
    """A decompressing stream that stops at the limits and names what is wrong."""

    def __init__(
        self, stream: BinaryIO, file: SourceFile, compressed: int, close: Callable[[], Any]
    ) -> None:
        self._stream = stream
        self._file = file
        self._compressed = max(compressed, 1)
        self._close = close
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._stream.read(len(buffer))
        except BROKEN:
            raise self._file._damaged() from None
        self._given += len(chunk)
        limits = self._file.limits
        large = self._given > limits.free and self._given > limits.ratio * self._compressed
        if large or self._given > limits.total:
            raise self._file._refused(
                f"at most {limits.ratio} bytes of content for each compressed byte"
                if large
                else f"at most {limits.total} bytes of content",
                "more",
                "If the export is meant to be so, raise 'max_ratio' or 'max_bytes' in 'options'.",
            )
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._close()
        super().close()
