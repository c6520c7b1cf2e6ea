"""A search of a whole work folder for what must not be there: raw bytes, and what formats hide."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["traces_of"]


def traces_of(folder: Path, texts: Iterable[str], numbers: Iterable[int]) -> list[str]:
    """Where any of some texts or numbers stands, by file.

    Texts are searched in UTF-8 and UTF-16, numbers as digits and as eight bytes in either order, in
    every file as it lies, in every value of every Parquet file, and in every row of every SQLite
    file.
    """
    needles: set[bytes] = set()
    for text in texts:
        needles |= {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")}
    for number in numbers:
        needles |= {str(number).encode(), f"{number:x}".encode()}
        needles |= {number.to_bytes(8, "little"), number.to_bytes(8, "big")}
    return [
        f"{file.relative_to(folder)}: {how}"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        for how, content in _contents(folder, file)
        if any(needle in content for needle in needles)
    ]


def _contents(folder: Path, file: Path) -> Iterator[tuple[str, bytes]]:
    content = file.read_bytes()
    yield "name", str(file.relative_to(folder)).encode()
    yield "bytes", content
    if content[:4] == b"PAR1":
        parquet = pq.ParquetFile(io.BytesIO(content))
        yield "footer", repr(parquet.metadata.to_dict()).encode()
        # No text and no pseudonym fits in a column of fractions.
        names = [f.name for f in parquet.schema_arrow if not pa.types.is_floating(f.type)]
        for number in range(parquet.metadata.num_row_groups):
            values = parquet.read_row_group(number, columns=names).to_pylist()
            yield "values", repr(values).encode()
    if content.startswith(b"SQLite format 3"):
        with sqlite3.connect(file) as base:
            yield "rows", "\n".join(base.iterdump()).encode()
        base.close()
