"""Readers: one per format; each yields raw tables in batches, none interprets them.

A reader is opened on one file and offers

- ``names``: the columns of the file, in order;
- ``batches(columns)``: an iterator of :class:`Batch`, each at most a few hundred thousand rows
  with the wanted columns, the row numbers and the rows that could not be read, with the reason.
  A row's number is where to find it in the file, the header not counted: its line in text files
  (blank lines and lines inside quotes count), its place in the others, always from 1.

Text formats yield text columns (null where the file has a missing value); typed formats keep
their types. Memory stays bounded by the batch, whatever the file's size.
"""

from __future__ import annotations

import csv
import difflib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from features.errors import DataError
from features.settings import ReaderOptions

__all__ = ["Aside", "Batch", "Reader", "missing_column", "open_reader", "readable"]

READERS = {
    "csv": "features.sources.csv:CsvReader",
    "excel": "features.sources.excel:ExcelReader",
    "jsonl": "features.sources.jsonl:JsonLinesReader",
    "parquet": "features.sources.parquet:ParquetReader",
    "sqlite": "features.sources.sqlite:SqliteReader",
}

VALUES = (ValueError, pa.ArrowException)
"""What libraries raise at content that they cannot take."""

FILES = (OSError, csv.Error, sqlite3.Error, *VALUES)
"""What they raise at a file that cannot be read; the reader of a format knows its own besides."""


@dataclass(frozen=True)
class Aside:
    """A row that could not become events: its number, the reason's code, the column."""

    row: int
    reason: str
    column: str | None = None


@dataclass(frozen=True)
class Batch:
    """Rows of one file: the wanted columns, each row's number, and what was set aside."""

    table: pa.Table
    rows: np.ndarray
    aside: list[Aside] = field(default_factory=list)


class Reader(Protocol):
    """What every reader offers."""

    names: tuple[str, ...]

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows, batch by batch, with the wanted columns only."""
        ...


def open_reader(
    kind: str, file: Path, options: ReaderOptions, *, part: str | None = None
) -> Reader:
    """A reader of a kind, opened on a file.

    Args:
        kind: `csv`, `excel`, `jsonl`, `parquet` or `sqlite`.
        file: An existing file.
        options: How the file is written.
        part: The table of a database, or the sheet of a workbook.

    Raises:
        DataError: a file that cannot be read, is empty, not of that kind, or without that part;
            later, by the reader, a file that cannot be read to its end.
    """
    with readable(file, kind):
        size = file.stat().st_size
    if size == 0:
        raise DataError(
            f"reading '{file.name}'",
            expected="a header and rows",
            got="an empty file",
            hint="Ask the service to export it again.",
        )
    module, _, name = READERS[kind].partition(":")
    made = getattr(import_module(module), name)
    with readable(file, kind):
        reader: Reader = made(file, options, part)
    _refuse_doubles(file, reader.names)
    return _Said(reader, file, kind)


@contextmanager
def readable(file: Path, kind: str, faults: tuple[type[Exception], ...] = FILES) -> Iterator[None]:
    """What libraries raise at a file, as an error that names it; their text may hold values.

    Raises:
        DataError: naming the file, how it was read, the type of the fault and the remedy.
    """
    try:
        yield
    except faults as error:
        raise DataError(
            f"reading '{file.name}' as {kind}",
            expected="a file that can be read to its end",
            got=type(error).__name__,
            hint="Check its access rights and its content, or ask for the export again.",
        ) from None


class _Said:
    """A reader whose faults name the file."""

    def __init__(self, reader: Reader, file: Path, kind: str) -> None:
        self.names = reader.names
        self._reader = reader
        self._file = file
        self._kind = kind

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        parts = self._reader.batches(columns)
        while True:
            with readable(self._file, self._kind):
                batch = next(parts, None)
            if batch is None:
                return
            yield batch


def missing_column(file: Path, names: Sequence[str], wanted: Sequence[str]) -> DataError | None:
    """The error to raise when columns of a mapping are not in a file, or None."""
    missing = [column for column in dict.fromkeys(wanted) if column not in names]
    if not missing:
        return None
    near = {
        column: close[0]
        for column in missing
        if (close := difflib.get_close_matches(column, names, n=1))
    }
    hint = "; ".join(f"did you mean '{name}' for '{column}'?" for column, name in near.items())
    return DataError(
        f"reading '{file.name}': column(s) {', '.join(repr(c) for c in missing)}",
        expected="columns that the file has",
        got=f"{len(names)} other columns",
        hint="Its header is one column: correct 'delimiter' in the source's options."
        if len(names) == 1
        else hint[:1].upper() + hint[1:]
        if hint
        else "Correct the columns in the mapping.",
    )


def _refuse_doubles(file: Path, names: Sequence[str]) -> None:
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        raise DataError(
            f"reading '{file.name}': column(s) {', '.join(repr(name) for name in doubled)}",
            expected="each column name once",
            got="a header that repeats them",
            hint="Rename the columns in the export.",
        )
