"""Whether an Excel workbook can be opened at all: the library that reads it holds a whole sheet."""

from __future__ import annotations

import re
import zipfile
from typing import BinaryIO

from features.errors import DataError
from features.sources.files import BROKEN

__all__ = ["CELLS", "CONTENT", "check_workbook"]

CHUNK = 4 << 20
OVERLAP = 64
"""Bytes seen again with the next chunk: longer than any cell's address."""

CONTENT = 2 << 30
"""Bytes of a workbook's parts, decompressed, all together."""

CELLS = 50_000_000
"""Cells of the rectangle that a sheet's cells span: each takes memory, empty or not."""

OLE = b"\xd0\xcf\x11\xe0"
"""What a workbook of before 2007 begins with: not compressed, of at most 2**24 cells a sheet."""

ADDRESS = re.compile(rb"""[\s"']r\s*=\s*["']\s*\$?([A-Za-z]{1,3})\$?([0-9]{1,9})""")


def check_workbook(stream: BinaryIO, name: str) -> None:
    """Refuse a workbook that would take more memory than any export needs.

    A few kilobytes of .xlsx can stand for gigabytes: parts that decompress a thousandfold, or two
    cells in opposite corners. Every part is decompressed once, in pieces, and counted as it is, not
    as the archive says it is.

    Args:
        stream: The workbook, with random access; left at its beginning.
        name: Of the file, for the message.

    Raises:
        DataError: neither .xlsx, .xlsm nor .xls, a damaged archive, an encrypted workbook, parts or
            a sheet that are too large.
    """
    stream.seek(0)
    first = stream.read(4)
    stream.seek(0)
    if first == OLE:
        return
    try:
        with zipfile.ZipFile(stream) as book:
            names = [info.filename for info in book.infolist()]
            if not any(part.startswith("xl/worksheets/") for part in names):
                raise _refused(name, "an Excel workbook (.xlsx, .xlsm or .xls)", "another file")
            if any(part.endswith(".bin") and part.startswith("xl/worksheets/") for part in names):
                raise _refused(name, "an Excel workbook (.xlsx, .xlsm or .xls)", "a binary one")
            left = CONTENT
            for info in book.infolist():
                left -= _checked(book, info, name, left)
    except (RuntimeError, NotImplementedError, *BROKEN):
        raise _refused(name, "an Excel workbook", "other content, or a damaged file") from None
    stream.seek(0)


def _checked(book: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, most: int) -> int:
    """Bytes of one part, counted; a sheet's rectangle is measured on the way."""
    sheet = info.filename.startswith("xl/worksheets/") and info.filename.endswith(".xml")
    # What the archive says of the size is not believed: reading goes on to the end.
    info.file_size = 1 << 62
    columns: set[bytes] = set()
    rows: set[bytes] = set()
    size, tail = 0, b""
    with book.open(info) as part:
        while chunk := part.read(CHUNK):
            size += len(chunk)
            if size > most:
                raise _refused(name, f"at most {CONTENT} bytes of content", "more")
            if sheet:
                for column, row in ADDRESS.findall(tail + chunk):
                    columns.add(column.upper())
                    rows.add(row)
                tail = chunk[-OVERLAP:]
    if columns:
        wide = max(map(_number, columns)) - min(map(_number, columns)) + 1
        numbers = [int(row) for row in rows]
        if wide * (max(numbers) - min(numbers) + 1) > CELLS:
            raise _refused(name, f"a sheet of at most {CELLS} cells", "more, or cells far apart")
    return size


def _number(letters: bytes) -> int:
    """The column that letters stand for, from 1."""
    found = 0
    for letter in letters:
        found = found * 26 + letter - 64
    return found


def _refused(name: str, expected: str, got: str) -> DataError:
    return DataError(
        f"reading '{name}'", expected=expected, got=got, hint="Save it again as .xlsx."
    )
