"""The columns of a database's table: how each is asked for, and what its values become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import ColumnElement, case, cast, column, literal, types

from features.sources.lines import DAMAGED

__all__ = ["SqlColumn", "sql_column"]

EXACT = 2**53
"""Whole numbers up to this are exact as float64."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class SqlColumn:
    """One column.

    Attributes:
        asked: What stands in the statement.
        convert: Values of a batch to an array, and which of them are damaged.
        reason: Why a row with a damaged value is set aside.
    """

    asked: ColumnElement[Any]
    convert: Callable[[Sequence[Any]], tuple[pa.Array[Any], Mask]]
    reason: str = "bad_encoding"


def sql_column(name: str, kind: types.TypeEngine[Any], dialect: str) -> SqlColumn:
    """How a column is read.

    Numbers, dates, times and truth values keep their types; everything else is text. A number with
    decimals becomes a float64. Dates that Python has none for (`infinity`, before year 1, MariaDB's
    zero dates) are missing values. SQLite holds any value in any column: there, all are text.

    Args:
        name: The column's.
        kind: As the database describes it.
        dialect: `postgresql`, `mariadb` or `sqlite`.
    """
    raw: ColumnElement[Any] = column(name)
    if dialect == "sqlite":
        return SqlColumn(raw.label(name), _texts)
    if isinstance(kind, types.Boolean):
        return SqlColumn(raw.label(name), _typed(pa.bool_()))
    if isinstance(kind, types.Integer):
        whole = pa.uint64() if getattr(kind, "unsigned", False) else pa.int64()
        return SqlColumn(raw.label(name), _typed(whole))
    if isinstance(kind, types.Float):
        return SqlColumn(raw.label(name), _typed(pa.float64()))
    if isinstance(kind, types.Numeric):
        if kind.scale == 0 and kind.precision is not None:
            return SqlColumn(raw.label(name), _typed(pa.int64()) if kind.precision < 19 else _wide)
        return SqlColumn(raw.label(name), _decimals, "bad_number")
    if isinstance(kind, types.DateTime | types.Date):
        day = isinstance(kind, types.Date)
        zoned = getattr(kind, "timezone", False) or (
            dialect == "mariadb" and isinstance(kind, types.TIMESTAMP)
        )
        arrow: Any = pa.date32() if day else pa.timestamp("us", "UTC" if zoned else None)
        if dialect == "postgresql":
            first, last = (
                cast(literal(one), kind) for one in ("0001-01-02 00:00", "9999-12-30 00:00")
            )
            raw = case((raw.between(first, last), raw))
        return SqlColumn(raw.label(name), _dates(arrow, date if day else datetime))
    if isinstance(kind, types.String | types.Uuid | types.LargeBinary):
        return SqlColumn(raw.label(name), _texts)
    return SqlColumn(cast(raw, types.String).label(name), _texts)


def _typed(kind: Any) -> Callable[[Sequence[Any]], tuple[pa.Array[Any], Mask]]:
    return lambda values: (pa.array(values, kind), np.zeros(len(values), bool))


def _dates(kind: Any, of: type) -> Callable[[Sequence[Any]], tuple[pa.Array[Any], Mask]]:
    def convert(values: Sequence[Any]) -> tuple[pa.Array[Any], Mask]:
        kept = [value if isinstance(value, of) else None for value in values]
        return pa.array(kept, kind), np.zeros(len(values), bool)

    return convert


def _wide(values: Sequence[Decimal | None]) -> tuple[pa.Array[Any], Mask]:
    kept = [None if value is None else format(value, "f") for value in values]
    return pa.array(kept, pa.string()), np.zeros(len(values), bool)


def _decimals(values: Sequence[Decimal | None]) -> tuple[pa.Array[Any], Mask]:
    kept = pa.array([None if value is None else float(value) for value in values], pa.float64())
    # A longer number would be another one; what is written so is an identifier, not a quantity.
    plain = np.asarray(kept.fill_null(0.0).to_numpy(zero_copy_only=False))
    return kept, np.abs(plain) >= EXACT


def _texts(values: Sequence[Any]) -> tuple[pa.Array[Any], Mask]:
    damaged = np.zeros(len(values), bool)
    kept: list[str | None] = []
    for place, value in enumerate(values):
        text = value
        if isinstance(value, bytes | bytearray | memoryview):
            text = bytes(value).decode("utf-8", "replace")
        elif value is not None and not isinstance(value, str):
            text = str(value)
        if text is not None and DAMAGED in text:
            damaged[place] = True
        kept.append(text)
    return pa.array(kept, pa.string()), damaged
