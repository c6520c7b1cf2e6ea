"""A table of an SQLite database, opened read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import Aside, Batch, SourceFile
from features.sources.lines import DAMAGED

__all__ = ["SqliteReader"]

ROWS = 200_000


class SqliteReader:
    """Rows of one table, as text columns; see :mod:`features.sources`."""

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        if file.plain is None:
            raise DataError(
                f"reading '{file.name}'",
                expected="an SQLite database as a file of its own",
                got="a compressed one",
                hint="Unpack it beside the other exports.",
            )
        self._path = file.plain
        self._refuse_cut_off()
        with self._connected() as connection:
            try:
                found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                tables = sorted(name for (name,) in found)
            except sqlite3.DatabaseError as error:
                raise _unreadable(file) from error
            if part is None or part not in tables:
                raise DataError(
                    f"reading '{file.name}': table '{part or ''}'",
                    expected="one of its tables",
                    got=", ".join(tables) or "none",
                    hint="Correct 'table' in the mapping.",
                )
            self._table = part
            found = connection.execute(f"SELECT * FROM {_quoted(part)} LIMIT 0")  # noqa: S608
            self.names = tuple(column[0] for column in found.description)
            self._order = self._ordered(connection)

    def _ordered(self, connection: sqlite3.Connection) -> str:
        """What the rows are sorted by: SQLite is free to give them in the order of an index."""
        columns = {name.lower() for name in self.names}
        found = [name for name in ("rowid", "_rowid_", "oid") if name not in columns]
        key = connection.execute(f"PRAGMA table_info({_quoted(self._table)})").fetchall()
        keys = sorted((place, name) for _, name, _, _, _, place in key if place)
        try:
            # A bare name: what is quoted and unknown would be taken for a text.
            connection.execute(f"SELECT {found[0]} FROM {_quoted(self._table)} LIMIT 0")  # noqa: S608
        except (sqlite3.OperationalError, IndexError):
            return ", ".join(_quoted(name) for _, name in keys)
        return found[0]

    def _refuse_cut_off(self) -> None:
        """SQLite takes what a file lacks for empty values, where it can."""
        with self._path.open("rb") as stream:
            head = stream.read(100)
        if len(head) < 100 or self._path.with_name(f"{self._path.name}-wal").exists():
            return
        size = int.from_bytes(head[16:18], "big")
        pages = int.from_bytes(head[28:32], "big")
        # The count holds only where the last writer kept it.
        told = head[24:28] == head[92:96]
        if told and self._path.stat().st_size < pages * (65_536 if size == 1 else size):
            raise _unreadable(self._file)

    def _connected(self) -> _Closing:
        connection = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)
        # What a file of others defines may call no function with effects.
        connection.execute("PRAGMA trusted_schema = OFF")
        return _Closing(connection)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The table's rows, in the order of their rowid; see :mod:`features.sources`.

        A table made WITHOUT ROWID is in the order of its primary key.
        """
        wanted = ", ".join(_quoted(name) for name in columns)
        with self._connected() as connection:
            connection.text_factory = _decoded
            query = f"SELECT {wanted} FROM {_quoted(self._table)}"  # noqa: S608
            cursor = connection.execute(query + (f" ORDER BY {self._order}" if self._order else ""))
            following = 1
            while rows := self._fetched(cursor):
                texts = [[_text(value) for value in column] for column in zip(*rows, strict=True)]
                arrays = [pa.array(column, pa.string()) for column in texts]
                table = pa.Table.from_arrays(arrays, names=list(columns))
                numbers = np.arange(following, following + len(rows))
                following += len(rows)
                yield _without_damaged(Batch(table, numbers), columns)

    def _fetched(self, cursor: sqlite3.Cursor) -> list[tuple[object, ...]]:
        try:
            return cursor.fetchmany(ROWS)
        except sqlite3.DatabaseError as error:
            raise _unreadable(self._file) from error


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _decoded(value) if isinstance(value, bytes) else str(value)


def _without_damaged(batch: Batch, columns: Sequence[str]) -> Batch:
    """The batch without rows of which a wanted value is not UTF-8."""
    keep = np.ones(len(batch.rows), bool)
    aside: list[Aside] = []
    for name in columns:
        found = pc.match_substring(batch.table[name], DAMAGED).fill_null(False).to_numpy()
        aside += [Aside(int(row), "bad_encoding", name) for row in batch.rows[found & keep]]
        keep &= ~found
    if not aside:
        return batch
    return Batch(batch.table.filter(pa.array(keep)), batch.rows[keep], aside)


def _unreadable(file: SourceFile) -> DataError:
    return DataError(
        f"reading '{file.name}'",
        expected="an SQLite database",
        got="other content, or a damaged file",
        hint="Correct 'reader' of the source, or export the file again.",
    )


class _Closing:
    """A connection that is closed, not only committed, when its block ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
