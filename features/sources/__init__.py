"""Readers: one per format; each yields raw tables in batches, none interprets them.

A reader is a class found by its name: one of :data:`READERS`, or one that an installed package
declares under the entry points `jalon.readers`. It is opened on one
:class:`~features.sources.files.SourceFile` and offers

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
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa

from features.errors import ConfigurationError, DataError
from features.redaction import looks_like_identity
from features.settings import ReaderOptions
from features.sources.files import Hash, SourceFile

__all__ = [
    "Aside",
    "Batch",
    "Origin",
    "Reader",
    "SourceFile",
    "arranged",
    "missing_column",
    "open_reader",
    "readable",
    "reader_names",
]

READERS = {
    "caf": "features.sources.caf:CafReader",
    "csv": "features.sources.csv:CsvReader",
    "excel": "features.sources.excel:ExcelReader",
    "hmis": "features.sources.hmis:HmisReader",
    "hmis_updated": "features.sources.hmis:HmisUpdatedReader",
    "jsonl": "features.sources.jsonl:JsonLinesReader",
    "meds": "features.sources.meds:MedsReader",
    "parquet": "features.sources.parquet:ParquetReader",
    "sql": "features.sources.sql:SqlReader",
    "sqlite": "features.sources.sqlite:SqliteReader",
    "xes": "features.sources.xes:XesReader",
}
"""The readers of this package; an installed package cannot take one of their names."""

GROUP = "jalon.readers"
"""The entry points under which a package declares its readers."""

VALUES = (ValueError, pa.ArrowException)
"""What libraries raise at content that they cannot take."""

COLUMN = re.compile(r"(?!\d)\w[\w .'()/-]{0,39}")
"""What may be the name of a column."""

FILES = (OSError, csv.Error, sqlite3.Error, *VALUES)
"""What they raise at a file that cannot be read; the reader of a format knows its own besides."""


@dataclass(frozen=True)
class Aside:
    """A row that could not become events: its number, the reason's code, the column.

    `raw` is the row as it stood in the file, in its encoding there turned into UTF-8, where a
    text format could tell it; it may hold a person's values.
    """

    row: int
    reason: str
    column: str | None = None
    raw: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Batch:
    """Rows of one file: the wanted columns, each row's number, and what was set aside."""

    table: pa.Table
    rows: np.ndarray
    aside: list[Aside] = field(default_factory=list)


class Origin(Protocol):
    """What a reader is opened on: a :class:`SourceFile`, or a table of a database.

    Attributes:
        name: For messages.
        relative: What it is called in reports and in the ledger; no secret is in it.
        size: Bytes, as a weight for the progress; 0 where it is not known.
    """

    @property
    def name(self) -> str: ...
    @property
    def relative(self) -> str: ...
    @property
    def size(self) -> int: ...

    def digest(self, into: Hash) -> None:
        """Feed what it says to a hash."""
        ...


class Reader(Protocol):
    """What every reader offers."""

    names: tuple[str, ...]

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows, batch by batch, with the wanted columns only."""
        ...


def reader_names() -> tuple[str, ...]:
    """Every kind of reader that a territory may name, sorted.

    Example:
        >>> "csv" in reader_names()
        True
    """
    return tuple(sorted({*READERS, *_declared()}))


def open_reader(
    kind: str, file: Origin | Path, options: ReaderOptions, *, part: str | None = None
) -> Reader:
    """A reader of a kind, opened on a file.

    Args:
        kind: One of :func:`reader_names`.
        file: An existing file.
        options: How the file is written.
        part: The table of a database, or the sheet of a workbook.

    Raises:
        ConfigurationError: no reader of that name, or one that cannot be loaded.
        DataError: a file that cannot be read, is empty, not of that kind, or without that part;
            later, by the reader, a file that cannot be read to its end.
    """
    made = _reader_class(kind)
    if isinstance(file, Path):
        file = SourceFile.of(file)
    if isinstance(file, SourceFile):
        _refuse_empty(file, kind)
    with readable(file, kind):
        reader = cast("Reader", made(file, options, part))
    _refuse_doubles(file, reader.names)
    return _Said(reader, file, kind)


def arranged(
    kind: str, files: Sequence[SourceFile], options: ReaderOptions
) -> Sequence[SourceFile]:
    """The files of one path as their reader wants them: by itself, or beside one another.

    A reader whose files tell of each other has a class method `arrange(files, options)`, which
    gives them back with what each needs of the others, and with a `digest` that says it all.

    Raises:
        ConfigurationError: as :func:`open_reader`.
    """
    arrange = getattr(_reader_class(kind), "arrange", None)
    return files if arrange is None else cast("Sequence[SourceFile]", arrange(files, options))


@lru_cache(maxsize=1)
def _declared() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        if entry.name not in READERS and entry not in found.setdefault(entry.name, []):
            found[entry.name].append(entry)
    return found


def _reader_class(kind: str) -> Any:
    if kind in READERS:
        module, _, name = READERS[kind].partition(":")
        return getattr(import_module(module), name)
    offered = _declared().get(kind, [])
    if len(offered) == 1:
        try:
            return offered[0].load()
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                f"loading the reader '{kind}' from '{offered[0].value}'",
                expected="a class that can be imported",
                got=type(error).__name__,
                hint="Install that package again, with what it needs.",
            ) from error
    near = difflib.get_close_matches(kind, reader_names(), n=1)
    raise ConfigurationError(
        f"opening a reader '{kind}'",
        expected="one of " + ", ".join(reader_names()),
        got="none of that name" if not offered else f"{len(offered)} packages that offer it",
        hint="Uninstall all but one."
        if offered
        else f"Did you mean '{near[0]}'?"
        if near
        else "Correct 'reader', or install the package that has it.",
    )


def _refuse_empty(file: SourceFile, kind: str) -> None:
    with readable(file, kind), file.open() as stream:
        first = stream.read(1)
    if not first:
        raise DataError(
            f"reading '{file.name}'",
            expected="a header and rows",
            got="an empty file",
            hint="Ask the service to export it again.",
        )


@contextmanager
def readable(
    file: Origin | Path, kind: str, faults: tuple[type[Exception], ...] = FILES
) -> Iterator[None]:
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

    def __init__(self, reader: Reader, file: Origin, kind: str) -> None:
        self.names = reader.names
        self._reader = reader
        self._file = file
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        # What one kind of reader offers besides: the dialect of a text, a database's watermark.
        return getattr(self._reader, name)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        parts = self._reader.batches(columns)
        while True:
            with readable(self._file, self._kind):
                batch = next(parts, None)
            if batch is None:
                return
            yield batch


def missing_column(
    file: Origin | Path, names: Sequence[str], wanted: Sequence[str]
) -> DataError | None:
    """The error to raise when columns of a mapping are not in a file, or None."""
    missing = [column for column in dict.fromkeys(wanted) if column not in names]
    if not missing:
        return None
    # Another wanted column that is there shows a header; a database always has one.
    sure = len(missing) < len(set(wanted)) or not isinstance(file, Path | SourceFile)
    near = {
        column: close[0]
        for column in missing
        if sure and (close := difflib.get_close_matches(column, _plausible(names), n=1))
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


def _plausible(names: Sequence[str]) -> list[str]:
    """The cells of a header that may be shown: none where it looks like a row of values."""
    if looks_like_identity(pa.array(names, pa.string())).any():
        return []
    # Names of columns seldom have digits; in a file without a header, one cell in a row has.
    if sum(any(letter.isdigit() for letter in name) for name in names) * 2 > len(names):
        return []
    return [name for name in names if COLUMN.fullmatch(name)]


def _refuse_doubles(file: Origin, names: Sequence[str]) -> None:
    # Counted, not named: of a file without a header, these are a person's values.
    doubled = sum(count > 1 for name, count in Counter(names).items() if name)
    if doubled:
        raise DataError(
            f"reading '{file.name}'",
            expected="each column name once",
            got=f"a header that repeats {doubled} of its {len(names)} names",
            hint="Rename the columns in the export, or ask for it with a header.",
        )
