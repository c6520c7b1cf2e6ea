"""The cells of one batch of raw rows: cleaned columns, and which rows are refused, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError
from features.identity import SEPARATOR
from features.redaction import WITHHELD, code_shaped, looks_like_identity, numbers_like_identity
from features.settings import EventRule, Value

__all__ = ["Cells"]

CONTROLLED = 64
"""Characters of the longest controlled value: a longer one is a remark."""

_SPACES = "[ \u00a0\u202f]"

Mask = npt.NDArray[np.bool_]


class Cells:
    """One batch under way.

    Args:
        table: Raw rows, text or typed.
        nulls: Texts that mean a missing value.
        persons: Columns that hold the person's key, or another identifier of persons.

    Attributes:
        refused: Rows set aside so far.
        aside: Their reason and column, by place in the batch.
        unknown: Codes and values that no rule lists: (column, value) to count. What is not shaped
            as a code is counted as withheld.
        personal: Those that are a key of their row's person: no report may show them.
    """

    def __init__(
        self, table: pa.Table, nulls: Sequence[str] = ("",), persons: Sequence[str] = ()
    ) -> None:
        self.table = table
        self.refused: Mask = np.zeros(table.num_rows, bool)
        self.aside: dict[int, tuple[str, str | None]] = {}
        self.unknown: Counter[tuple[str, str]] = Counter()
        self.personal: set[str] = set()
        self._persons = persons
        self._nulls = pa.array([*{"", *nulls}], pa.string())
        self._texts: dict[str, pa.Array[Any]] = {}

    def refuse(self, rows: Mask, reason: str, column: str | None) -> None:
        """Set rows aside; a row keeps its first reason."""
        mask = rows & ~self.refused
        for place in np.flatnonzero(mask).tolist():
            self.aside[place] = (reason, column)
        self.refused |= mask

    def text(self, column: str) -> pa.Array[Any]:
        """A column as trimmed text; empty and missing values are null.

        Raises:
            DataError: a column of a type that is no single value.
        """
        if column not in self._texts:
            trimmed = pc.utf8_trim_whitespace(self._as_text(column))
            null = pc.is_in(trimmed, value_set=self._nulls)
            self._texts[column] = pc.if_else(null, None, trimmed)
        return self._texts[column]

    def _as_text(self, column: str) -> pa.Array[Any]:
        raw = _whole(self.table[column])
        if pa.types.is_dictionary(raw.type):
            raw = raw.cast(raw.type.value_type)
        if pa.types.is_floating(raw.type):
            # A column of whole numbers with gaps is often written as one of decimals.
            values = raw.drop_null()
            if pc.all(pc.equal(pc.floor(values), values), min_count=0).as_py():
                raw = pc.cast(raw, pa.int64(), safe=False)
        try:
            return raw.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"reading column '{column}'",
                expected="one value of text, number or date a row",
                got=f"type {raw.type}",
                hint="Map another column, or export this one as text.",
            ) from error

    def null(self, column: str) -> Mask:
        """Rows where a column is missing."""
        return _mask(pc.is_null(self.text(column)))

    def joined(self, columns: Sequence[str]) -> pa.Array[Any]:
        """Columns as one text; null where any of them is."""
        parts = [self.text(column) for column in columns]
        return _joined(parts, SEPARATOR)

    def where(self, rule: EventRule) -> Mask:
        """Rows that hold the rule's event."""
        present: Mask = np.ones(self.table.num_rows, bool)
        for column, wish in rule.where.items():
            if isinstance(wish, list):
                present &= _mask(pc.is_in(self.text(column), pa.array(wish, pa.string())))
            else:
                present &= self.null(column) == (wish == "absent")
        return present

    def code(self, rule: EventRule, present: Mask) -> tuple[pa.Array[Any], pa.Array[Any]]:
        """The code of each row, and the source's own code (parts joined by `|`)."""
        rows = self.table.num_rows
        if not rule.code_columns:
            return pa.repeat(pa.scalar(rule.code, pa.string()), rows), pa.nulls(rows, pa.string())
        pieces: list[pa.Array[Any] | str] = []
        rest = rule.code
        for column in rule.code_columns:
            before, _, rest = rest.partition("{" + column + "}")
            pieces += [before, self._translated(column, rule.values[column], present)]
        own = [self.text(column) for column in rule.code_columns]
        return _joined([*pieces, rest], ""), _joined(own, "|")

    def _translated(
        self, column: str, values: Mapping[str, str], present: Mask, optional: bool = False
    ) -> pa.Array[Any]:
        text = self.text(column)
        places = pc.index_in(text, value_set=pa.array(list(values), pa.string()))
        strange = present & _mask(pc.is_null(places))
        if optional:
            strange &= ~self.null(column)
        if strange.any():
            met: Any = pc.value_counts(text.filter(pa.array(strange & ~self.refused)))
            for one in met.to_pylist():
                self.unknown[column, _counted_as(one["values"])] += one["counts"]
            for person in self._persons:
                same = strange & _mask(pc.equal(text, self.text(person)))
                keys: list[Any] = pc.unique(text.filter(pa.array(same))).to_pylist()
                self.personal.update(keys)
            self.refuse(strange, "unknown_value" if optional else "unknown_code", column)
        return pa.array(list(values.values()), pa.string()).take(places)

    def number(self, column: str | None, present: Mask, decimal: str) -> pa.Array[Any]:
        """A number, float32; what is no finite number sets the row aside.

        With a decimal comma a point is an error (it may have meant thousands), and spaces
        between digits are passed over. What is shaped as a NIR, a telephone number or an e-mail
        sets the row aside.
        """
        rows = self.table.num_rows
        if column is None:
            return pa.nulls(rows, pa.float32())
        kind = self.table[column].type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            raw = _whole(self.table[column])
            missing = _mask(pc.is_null(raw))
            values = raw.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        else:
            text = self.text(column)
            self.no_identity(column, present)
            missing = _mask(pc.is_null(text))
            if decimal == ",":
                text = pc.replace_substring_regex(text, f"([0-9]){_SPACES}([0-9])", r"\1\2")
                text = pc.if_else(pc.match_substring(text, "."), "?", text)
                text = pc.replace_substring(text, ",", ".")
            series = pd.to_numeric(pd.Series(text.to_numpy(zero_copy_only=False)), errors="coerce")
            values = series.to_numpy(np.float64)
        self.refuse(present & numbers_like_identity(values), "identity_in_field", column)
        self.refuse(present & ~missing & ~(np.abs(values) < 3e38), "bad_number", column)
        with np.errstate(over="ignore"):
            return pa.array(values.astype(np.float32), from_pandas=True)

    def controlled(self, value: Value | None, present: Mask) -> pa.Array[Any]:
        """A controlled value, translated when the mapping says how; never a remark."""
        if value is None:
            return pa.nulls(self.table.num_rows, pa.large_string())
        if value.values is not None:
            return self._translated(value.column, value.values, present, optional=True)
        text: Any = self.text(value.column)
        self.no_identity(value.column, present)
        # Without a list of values, only what is written as one word may be a code.
        long = pc.greater(pc.utf8_length(text), pa.scalar(CONTROLLED))
        remark = _mask(pc.or_(long, pc.match_substring_regex(text, r"\s")))
        self.refuse(present & remark, "free_text", value.column)
        return text

    def reference(self, columns: Sequence[str] | None, present: Mask) -> pa.Array[Any]:
        """What the event is about."""
        if columns is None:
            return pa.nulls(self.table.num_rows, pa.string())
        for column in columns:
            self.no_identity(column, present)
        return self.joined(columns)

    def no_identity(self, column: str, present: Mask) -> None:
        """Set aside the rows whose value is shaped as a person's number or address."""
        shaped = looks_like_identity(self.text(column))
        self.refuse(present & shaped, "identity_in_field", column)


def _counted_as(value: str | None) -> str:
    if value is None:
        return "(missing)"
    return value if code_shaped(value) else WITHHELD


def _joined(parts: list[Any], separator: str) -> pa.Array[Any]:
    if len(parts) == 1:
        return parts[0]
    joined: pa.Array[Any] = pc.binary_join_element_wise(*parts, separator)
    return joined


def _whole(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    chunks = column.chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], column.type)


def _mask(column: Any) -> Mask:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), bool)
