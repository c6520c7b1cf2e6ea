"""Contracts at the boundary: what a column must hold before any mapping looks at its rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.cells import Cells
from features.errors import DataError
from features.instants import read_instants
from features.settings import ColumnContract, FeaturesSettings, Instant, Source, Table
from features.sources import Batch

if TYPE_CHECKING:
    from pandera.pandas import Check, DataFrameSchema

__all__ = ["RULES", "Broken", "Contract"]

RULES = {
    "required": "a value in every row",
    "type": "a value of the declared type",
    "min": "a value of at least the declared minimum",
    "max": "a value of at most the declared maximum",
    "allowed": "one of the declared values",
    "matches": "a value of the declared form",
    "unique": "no value twice in one file",
}
"""The rules of a contract, in the order in which a row's first broken one is told."""

WHOLE = r"[+-]?[0-9]+"


@dataclass(frozen=True)
class Broken:
    """What a row breaks first: the column, and the rule as one of :data:`RULES`."""

    column: str
    rule: str


class Contract:
    """A table's contract as a pandera schema, applied to batch after batch of one file.

    Only the contract's columns are looked at, as the trimmed text that the mapping reads, so that
    a value means the same in every format. Values that came before are remembered for `unique` as
    hashes of 64 bits: about 10 bytes a row, and a false repeat in one file of ten million rows
    out of 300,000. A contract is made anew for every file.

    Args:
        table: The mapping, with its `contract`.
        source: How values are written there.
        zone: IANA name of the zone of dates without an offset.

    Example:
        >>> from features.settings import ColumnContract, Source
        >>> source = Source.model_validate({
        ...     "service": "social", "reader": "csv",
        ...     "person": {"system": "social", "columns": "file"},
        ...     "tables": [{"path": "visits.csv", "row_key": "id",
        ...                 "contract": {"hours": {"type": "number", "max": 35, "required": True}},
        ...                 "events": [{"code": "SOCIAL//DIAGNOSIS//DONE", "recorded_at": "day"}]}],
        ... })
        >>> contract = Contract(source.tables[0], source, "Europe/Paris")
        >>> rows = pa.table({"hours": ["12", None, "many", "48.5"]})
        >>> contract.broken(Batch(rows, np.arange(1, 5)))
        {1: Broken(column='hours', rule='required'), 2: Broken(column='hours', rule='type'), \
3: Broken(column='hours', rule='max')}
    """

    def __init__(self, table: Table, source: Source, zone: str) -> None:
        self._columns: Mapping[str, ColumnContract] = table.contract
        self._source = source
        self._zone = source.timezone or zone
        self._seen = {name: _Seen() for name, rule in self._columns.items() if rule.unique}
        self._schema: DataFrameSchema | None = None

    @classmethod
    def of(cls, table: Table, source: Source, settings: FeaturesSettings) -> Contract | None:
        """The contract of a table, or None where it declares none."""
        return cls(table, source, settings.timezone) if table.contract else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be in the file."""
        return tuple(self._columns)

    def broken(self, batch: Batch) -> dict[int, Broken]:
        """The rows that break the contract.

        Args:
            batch: Raw rows with at least :attr:`columns`.

        Returns:
            Place of the row in the batch to what it breaks first: by the order of the columns in
            the contract, then of :data:`RULES`.

        Raises:
            DataError: a column whose type is no single value a row, or a rule that cannot be asked.
        """
        if not batch.table.num_rows:
            return {}
        cells = Cells(batch.table.select(list(self._columns)), self._source.options.nulls)
        texts = {name: cells.text(name).to_pylist() for name in self._columns}
        frame = pd.DataFrame({name: pd.Series(t, dtype=object) for name, t in texts.items()})
        return self._judged(frame)

    def _judged(self, frame: pd.DataFrame) -> dict[int, Broken]:
        errors = _pandera().errors
        if self._schema is None:
            self._schema = self._made()
        try:
            self._schema.validate(frame, lazy=True)
        except errors.SchemaErrors as found:
            # Its text quotes values: nothing of it but columns, rules and places goes further.
            cases = found.failure_cases
        else:
            return {}
        order = {name: place for place, name in enumerate(self._columns)}
        rules = list(RULES)
        first: dict[int, tuple[int, int]] = {}
        for name, said, place in zip(cases["column"], cases["check"], cases["index"], strict=True):
            rule = "required" if said == "not_nullable" else str(said)
            if place is None:
                raise DataError(
                    f"checking the contract of column '{name}'",
                    expected=RULES[rule],
                    got="values that the rule cannot be asked of",
                    hint="Correct the column's contract in the mapping.",
                )
            at = (order[name], rules.index(rule))
            first[int(place)] = min(at, first.get(int(place), at))
        names = list(order)
        return {p: Broken(names[c], rules[r]) for p, (c, r) in sorted(first.items())}

    def _made(self) -> DataFrameSchema:
        pandera = _pandera()
        columns = {
            name: pandera.Column(
                None, checks=self._checks(name, rule), nullable=not rule.required, required=True
            )
            for name, rule in self._columns.items()
        }
        return pandera.DataFrameSchema(columns)

    def _checks(self, name: str, rule: ColumnContract) -> list[Check]:
        pandera = _pandera()
        asked: dict[str, Callable[[pd.Series], Any]] = {}
        if rule.type != "text":
            asked["type"] = lambda values: ~self._bad(rule, values)
        low, high = self._bound(rule.min, last=False), self._bound(rule.max, last=True)
        if low is not None:
            # A value that is not of the type breaks that rule alone.
            asked["min"] = lambda values: ~(self._numbers(rule, values) < low)
        if high is not None:
            asked["max"] = lambda values: ~(self._numbers(rule, values) > high)
        if name in self._seen:
            asked["unique"] = lambda values: ~self._seen[name].again(values)
        checks = [pandera.Check(_aligned(check), error=said) for said, check in asked.items()]
        if rule.allowed is not None:
            checks.append(pandera.Check.isin(rule.allowed, error="allowed"))
        if rule.matches is not None:
            checks.append(pandera.Check.str_matches(rf"(?:{rule.matches})\Z", error="matches"))
        return checks

    def _bad(self, rule: ColumnContract, values: pd.Series) -> Any:
        if rule.type == "integer":
            return ~values.str.fullmatch(WHOLE).astype(bool)
        return np.isnan(self._numbers(rule, values))

    def _numbers(self, rule: ColumnContract, values: pd.Series) -> npt.NDArray[np.float64]:
        """Numbers, or microseconds of dates; NaN where a text is none."""
        if rule.type == "date":
            column = pa.chunked_array([pa.array(values.tolist(), pa.string())])
            instants = read_instants(
                column, Instant(column="-"), self._source.formats, self._zone, len(values)
            )
            return np.where(np.isnat(instants), np.nan, instants.astype(np.int64))
        if self._source.options.decimal == ",":
            values = values.str.replace(".", "?", regex=False).str.replace(",", ".", regex=False)
        found = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
        return np.where(np.isinf(found), np.nan, found)

    def _bound(self, value: Any, *, last: bool) -> float | None:
        if value is None or isinstance(value, float):
            return value
        at = datetime.combine(value, time.max if last else time.min).isoformat()
        column = pa.chunked_array([[at]])
        local = read_instants(column, Instant(column="-"), ["iso"], self._zone, 1)
        return float(local.astype(np.int64)[0])


def _aligned(check: Callable[[pd.Series], Any]) -> Callable[[pd.Series], pd.Series]:
    return lambda values: pd.Series(check(values), index=values.index, dtype=bool)


class _Seen:
    """Values met so far, as sorted hashes."""

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.uint64)

    def again(self, values: pd.Series) -> npt.NDArray[np.bool_]:
        """Which values came before, in this file or earlier in the batch."""
        hashes = np.asarray(pd.util.hash_array(values.to_numpy(object), categorize=False))
        _, firsts = np.unique(hashes, return_index=True)
        repeated = np.ones(len(hashes), bool)
        repeated[firsts] = False
        places = np.searchsorted(self._hashes, hashes)
        known = np.append(self._hashes, np.uint64(0))[places] == hashes
        repeated |= known & (places < len(self._hashes))
        self._hashes = np.union1d(self._hashes, hashes)
        return repeated


@cache
def _pandera() -> Any:
    """Pandera, which looks for Spark at its first use, and Spark warns of a newer pandas."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandera.pandas

        pandera.pandas.DataFrameSchema({}).validate(pd.DataFrame())
    return pandera.pandas
