"""Bytes on disk: the same rows always give the same bytes."""

from __future__ import annotations

import io
import re
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from simulator.formats import join


def write_csv(
    path: Path, table: pa.Table, tail: pa.Array, *, encoding: str, end: str, null: str
) -> None:
    """Write `;`-separated text with a header line.

    Args:
        path: where.
        table: columns of strings.
        tail: what follows each row on its line (empty, or too many columns).
        encoding: of the text.
        end: line end.
        null: how a missing value is written.
    """
    columns: list[Any] = [
        pa.concat_arrays(column.cast(pa.string()).fill_null(pa.scalar(null)).chunks)
        for column in table.columns
    ]
    lines = join(*columns, ";")
    lines = join(lines, tail, "")
    text = end.join([";".join(table.column_names), *lines.to_pylist(), ""])
    path.write_bytes(text.encode(encoding))


def write_json_lines(path: Path, table: pa.Table) -> None:
    """Write one flat JSON object a line; strings only, nothing to escape in them."""
    parts: list[pa.Array | pa.Scalar] = []
    for i, name in enumerate(table.column_names):
        column = table[name].combine_chunks()
        quoted = join(pa.scalar('"'), column, pa.scalar('"'), "")
        parts.append(pa.scalar(f'{"" if i == 0 else ", "}"{name}": '))
        parts.append(pc.fill_null(quoted, "null"))
    lines = join(pa.scalar("{"), *parts, pa.scalar("}"), "")
    path.write_bytes(("\n".join(lines.to_pylist()) + "\n").encode())


def write_sqlite(path: Path, tables: dict[str, tuple[str, pa.Table]]) -> None:
    """Write a SQLite file.

    Args:
        path: where; must not exist.
        tables: by name, the columns' declarations and the rows.
    """
    base = sqlite3.connect(path)
    try:
        base.execute("PRAGMA journal_mode = OFF")
        base.execute("PRAGMA synchronous = OFF")
        for name, (declaration, table) in tables.items():
            base.execute(f"CREATE TABLE {name} ({declaration})")
            marks = ", ".join("?" * table.num_columns)
            columns = [c.to_pylist() for c in table.columns]
            insert = f"INSERT INTO {name} VALUES ({marks})"  # noqa: S608 (our own table names)
            base.executemany(insert, zip(*columns, strict=True))
        base.commit()
    finally:
        base.close()


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a Parquet file."""
    pq.write_table(table, path, compression="zstd")


def write_xlsx(path: Path, sheet: str, table: pa.Table) -> None:
    """Write an Excel file of strings, with no date of its own."""
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet(sheet)
    page.append(table.column_names)
    for row in zip(*[c.to_pylist() for c in table.columns], strict=True):
        page.append(row)
    raw = io.BytesIO()
    book.save(raw)
    # Entries and properties of a workbook hold the time of writing: both get a fixed instant.
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as out:
        for entry in sorted(source.namelist()):
            content = source.read(entry)
            if entry == "docProps/core.xml":
                content = _fixed_properties(content)
            info = zipfile.ZipInfo(entry, (2023, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, content)


def _fixed_properties(content: bytes) -> bytes:
    return re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2023-01-01T00:00:00Z", content)
