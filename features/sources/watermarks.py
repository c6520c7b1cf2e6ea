"""How far a table of a database was read, by the column in which it says when a row changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, TableClause, func, select
from sqlalchemy.engine import Connection

from features.errors import DataError

__all__ = ["MOST_TIES", "Reached", "Top", "still_holds", "top_of"]

MOST_TIES = 10_000
"""Rows at the last watermark that are remembered; a table with more of them is read whole again."""

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}[0-9T :.,+Z-]{0,24}")

Value = int | Decimal | date | datetime | str


@dataclass(frozen=True)
class Top:
    """The last watermark of a table, at one moment.

    Attributes:
        value: The largest; None for a table without rows.
        below: Rows of a smaller one.
        ties: Rows of that very one.
        missing: Rows without.
    """

    value: Value | None
    below: int
    ties: int
    missing: int


@dataclass(frozen=True)
class Reached:
    """Where the next reading of a table begins.

    Attributes:
        value: The last watermark: rows of that one are looked at again.
        below: Rows that had a smaller one.
        ties: Keyed hashes of the rows that had that very one: those that are still the same were
            read already.
        rows: Rows read in all.
    """

    value: Value
    below: int
    ties: frozenset[bytes]
    rows: int

    def plain(self) -> dict[str, Any]:
        """For the ledger.

        Example:
            >>> Reached(date(2024, 3, 1), 9, frozenset({b"k"}), 10).plain()
            {'kind': 'date', 'value': '2024-03-01', 'below': 9, 'ties': ['6b'], 'rows': 10}
        """
        kind = type(self.value).__name__
        dated = isinstance(self.value, date)
        value = self.value.isoformat() if isinstance(self.value, date) else str(self.value)
        ties = sorted(one.hex() for one in self.ties)
        said = {"kind": kind, "value": value if dated else str(self.value)}
        return {**said, "below": self.below, "ties": ties, "rows": self.rows}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Reached:
        """The inverse of :meth:`plain`."""
        made: dict[str, Any] = {
            "int": int,
            "Decimal": Decimal,
            "date": date.fromisoformat,
            "datetime": datetime.fromisoformat,
            "str": str,
        }
        value = made[plain["kind"]](plain["value"])
        ties = frozenset(bytes.fromhex(one) for one in plain["ties"])
        return cls(value, plain["below"], ties, plain["rows"])


def top_of(connection: Connection, table: TableClause, mark: ColumnElement[Any], said: str) -> Top:
    """The last watermark, asked of the database itself: it is the one that compares them later.

    Args:
        connection: Within the transaction that the rows are read in.
        table: Where they are.
        mark: The watermark column.
        said: Table and column, for messages.

    Raises:
        DataError: a column that holds neither whole numbers nor dates.
    """
    value = connection.execute(select(func.max(mark)).select_from(table)).scalar_one()
    _refuse_others(value, said)
    rows, marked = connection.execute(
        select(func.count(), func.count(mark)).select_from(table)
    ).one()
    ties = 0
    if value is not None:
        counted = select(func.count()).select_from(table).where(mark == value)
        ties = connection.execute(counted).scalar_one()
    return Top(value, marked - ties, ties, rows - marked)


def still_holds(
    connection: Connection,
    table: TableClause,
    mark: ColumnElement[Any],
    reached: Reached,
    said: str,
) -> bool:
    """Whether a table may be read on, from where it was reached.

    It may not when its last watermark went back, when rows have none, or when more rows are below
    the one that was reached than there were: they came in behind it.
    """
    top = top_of(connection, table, mark, said)
    if top.value is None or top.missing or type(top.value) is not type(reached.value):
        return False
    query = select(func.count()).select_from(table)
    below = connection.execute(query.where(mark < reached.value)).scalar_one()
    there = connection.execute(query.where(mark >= reached.value)).scalar_one()
    return bool(there) and below <= reached.below


def tie(row: Sequence[Any], secret: bytes) -> bytes:
    """A keyed hash of a row's values: without the key, no value is found by trying them out."""
    return hashlib.blake2b(repr(tuple(row)).encode(), digest_size=16, key=secret).digest()


def _refuse_others(value: Any, said: str) -> None:
    kind = type(value)
    fits = value is None or kind in (int, date, datetime)
    fits = fits or (kind is Decimal and value == value.to_integral_value())
    if not fits and not (kind is str and _DATED.fullmatch(value)):
        raise DataError(
            f"reading on {said}",
            expected="whole numbers, dates or times that grow",
            got=f"type {kind.__name__}" if kind is not str else "other text",
            hint="Name a column of the last change, or leave 'watermark' out: the table is then "
            "read whole each time.",
        )
