"""Tables of databases: PostgreSQL, MariaDB and SQLite, read whole or on from a watermark."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from sys import getsizeof
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import ColumnElement, Select, column, select
from sqlalchemy.engine import CursorResult

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import Aside, Batch, Origin, missing_column
from features.sources.addresses import Address
from features.sources.databases import Described, connected, described
from features.sources.files import Hash
from features.sources.sql_columns import SqlColumn, sql_column
from features.sources.watermarks import MOST_TIES, Reached, Top, still_holds, tie, top_of

__all__ = ["DatabaseTable", "SqlReader"]

ROWS = 50_000
FETCHED = 5_000
"""Rows asked of the server at once."""
BYTES = 256 << 20
"""Of values in one batch, as Python holds them: long texts make it one of fewer rows."""


@dataclass(frozen=True)
class DatabaseTable:
    """A table or view of a database, as a reader takes it.

    Nothing is asked of the database before it is read, or read on.

    Attributes:
        table: Its name, with its schema before it where it has one; quoted (`"a.b"`) where the
            name itself has a dot.
        address: Of the database.
        folder: Of the exports: what an SQLite path is relative to.
        watermark: The column by which it is read on, or None: it is read whole each time.
        start: Where this reading begins; None for the first row.
        secret: Keys the hashes of the rows at the last watermark; without it, none are kept.
    """

    table: str
    address: Address
    folder: Path = Path()
    watermark: str | None = None
    start: Reached | None = None
    secret: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """For messages."""
        return self.table

    @property
    def relative(self) -> str:
        """In reports and the ledger."""
        return self.table

    @property
    def size(self) -> int:
        """Not known before it is read."""
        return 0

    @property
    def place(self) -> tuple[str | None, str]:
        """Its schema, or None, and its name there.

        Example:
            >>> [DatabaseTable(name, Address("")).place for name in ("rdv", "social.rdv", '"a.b"')]
            [(None, 'rdv'), ('social', 'rdv'), (None, 'a.b')]
        """
        parts = next(csv.reader([self.table], delimiter="."), [])
        if len(parts) not in (1, 2) or not all(parts):
            raise DataError(
                f"reading table '{self.table}'",
                expected="a table's name, or schema.name",
                got=f"{len(parts)} parts",
                hint="Write a name that has a dot itself in quotes: 'social.\"a.b\"'.",
            )
        return (parts[0] if len(parts) > 1 else None), parts[-1]

    @property
    def on(self) -> bool:
        """Whether it is read on: what was read before is not given again."""
        return self.start is not None

    def digest(self, into: Hash) -> None:
        """Feed which table it is, not what is in it, and no password.

        Raises:
            ConfigurationError: the environment lacks a part of the address.
        """
        url = self.address.resolved(self.folder)
        said = (
            url.get_backend_name(),
            url.host,
            url.port,
            url.database,
            *sorted(url.query.items()),
        )
        into.update(repr((said, self.table, self.watermark)).encode())

    def since(self, reached: Any | None, secret: bytes | None = None) -> DatabaseTable:
        """The same, from where it was reached, as far as it can be read on from there.

        Args:
            reached: What the reader of an earlier reading offered as `reached`.
            secret: Of the vault.

        Raises:
            ConfigurationError, DataError: as :class:`SqlReader`.
        """
        fresh = replace(self, start=None, secret=secret)
        if reached is None or self.watermark is None:
            return fresh
        start = Reached.of(reached)
        url = self.address.resolved(self.folder)
        with connected(url, self.name) as connection:
            found = described(connection, self.place, self.name)
            if self.watermark not in found.types:
                return fresh
            mark = _mark(found, self.watermark, connection.dialect.name)
            said = f"table '{self.name}' by column '{self.watermark}'"
            holds = still_holds(connection, found.table, mark, start, said)
        return replace(fresh, start=start) if holds else fresh


class SqlReader:
    """Rows of a database's table, typed; see :mod:`features.sources`.

    They are read in one transaction that cannot write and sees one moment, by a cursor that stays
    on the server, in the order of the primary key where there is one. A row's number is its place
    among all that was read of the table.

    Args:
        file: Of a source with `url`.
        options: Not used: a database says how its values are written.
        part: Not used: the table is in `file`.

    Attributes:
        names: Its columns.
        reached: Once its rows are read: where the next reading begins, for
            :meth:`DatabaseTable.since`; None where it must be read whole.

    Raises:
        ConfigurationError: a variable of the address or a driver is missing.
        DataError: the server, the user, the table or the watermark column is not there, or refuses.
    """

    def __init__(self, file: Origin, options: ReaderOptions, part: str | None = None) -> None:
        if not isinstance(file, DatabaseTable):
            raise DataError(
                f"reading '{file.name}' as sql",
                expected="a table of a database",
                got="a file",
                hint="Add 'url' to the source, or read a file of SQLite by 'reader: sqlite'.",
            )
        self._file = file
        self._url = file.address.resolved(file.folder)
        with connected(self._url, file.name) as connection:
            self._found = described(connection, file.place, file.name)
        self.names = tuple(self._found.types)
        self.reached: dict[str, Any] | None = None
        if file.watermark is not None:
            error = missing_column(file, self.names, [file.watermark])
            if error is not None:
                raise error

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The rows; see :mod:`features.sources`."""
        file, found = self._file, self._found
        with connected(self._url, file.name) as connection:
            dialect = connection.dialect.name
            read = [sql_column(name, found.types[name], dialect) for name in columns]
            mark = None if file.watermark is None else _mark(found, file.watermark, dialect)
            top = None
            if mark is not None:
                said = f"table '{file.name}' by column '{file.watermark}'"
                top = top_of(connection, found.table, mark, said)
            query = select(*(one.asked for one in read)).select_from(found.table)
            if mark is not None:
                query = query.add_columns(mark.label("jalon_watermark"))
            ties = _Ties(file, top)
            given = file.start.rows if file.start is not None else 0
            query = _narrowed(query, found, mark, file.start)
            asked = connection.execution_options(stream_results=True, max_row_buffer=FETCHED)
            with closing(asked.execute(query)) as result:
                for rows in _portions(result):
                    kept = rows if mark is None else ties.passed(rows)
                    if kept:
                        yield _batch(kept, columns, read, given + 1)
                        given += len(kept)
        self.reached = ties.reached(given)


class _Ties:
    """The rows at the watermark that was reached last time, and at the one that is now."""

    def __init__(self, file: DatabaseTable, top: Top | None) -> None:
        self._start = file.start
        self._top = top
        self._file_secret = file.secret
        # Otherwise the table must be read whole next time, and nothing needs to be remembered.
        self._kept = (
            file.secret is not None
            and top is not None
            and top.value is not None
            and top.ties <= MOST_TIES
            and not top.missing
        )
        self._met: set[bytes] = set()

    def passed(self, rows: list[Any]) -> list[Any]:
        """The rows that were not read before."""
        again: set[int] = set()
        secret = self._file_secret
        if secret is None:
            return rows
        old = self._start.value if self._start is not None else None
        new = self._top.value if self._kept and self._top is not None else None
        for place, row in enumerate(rows):
            mark = row[-1]
            if mark is None or mark not in (old, new):
                continue
            hashed = tie(row[:-1], secret)
            if mark == new:
                self._met.add(hashed)
            if mark == old and self._start is not None and hashed in self._start.ties:
                again.add(place)
        return [row for place, row in enumerate(rows) if place not in again] if again else rows

    def reached(self, rows: int) -> dict[str, Any] | None:
        """For the ledger; None where the table must be read whole next time."""
        top = self._top
        if not self._kept or top is None or top.value is None:
            return None
        return Reached(top.value, top.below, frozenset(self._met), rows).plain()


def _mark(found: Described, name: str, dialect: str) -> ColumnElement[Any]:
    # SQLite keeps what it was given: a date there is a text, and compares as one.
    return column(name) if dialect == "sqlite" else found.table.c[name]


def _narrowed(
    query: Select[Any], found: Described, mark: ColumnElement[Any] | None, start: Reached | None
) -> Select[Any]:
    if mark is not None and start is not None:
        query = query.where(mark >= start.value)
    return query.order_by(*(found.table.c[name] for name in found.key))


def _portions(result: CursorResult[Any]) -> Iterator[list[Any]]:
    """Rows of at most one batch at a time."""
    rows: list[Any] = []
    size = 0
    while some := result.fetchmany(FETCHED):
        rows += some
        size += sum(map(getsizeof, chain.from_iterable(some)))
        if len(rows) >= ROWS or size >= BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _batch(rows: list[Any], columns: Sequence[str], read: Sequence[SqlColumn], first: int) -> Batch:
    numbers = np.arange(first, first + len(rows))
    keep = np.ones(len(rows), bool)
    aside: list[Aside] = []
    arrays = []
    # A watermark that stands behind the columns is left out.
    for name, one, values in zip(columns, read, zip(*rows, strict=True), strict=False):
        array, damaged = one.convert(values)
        aside += [Aside(int(row), one.reason, name) for row in numbers[damaged & keep]]
        keep &= ~damaged
        arrays.append(array)
    table = pa.Table.from_arrays(arrays, names=list(columns))
    if not aside:
        return Batch(table, numbers)
    return Batch(table.filter(pa.array(keep)), numbers[keep], sorted(aside, key=lambda a: a.row))
