"""A file of a service before it is written, and what goes wrong in real files: corrections,
duplicates, unknown codes, broken rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.formats import NOTHING, Dialect, timestamps

CORRECTED = 0.010
DUPLICATED = 0.005
UNKNOWN_CODE = 0.002
BROKEN = 0.002

ENTRY_MEDIAN_DAYS = {
    "social": 1.5, "employment": 0.8, "health": 3.0, "housing": 2.0, "training": 1.8,
}  # fmt: skip
ENTRY_SPREAD = {"social": 1.35, "employment": 1.4, "health": 1.25, "housing": 1.35, "training": 1.3}
"""Log-normal delay from an event to its entry: median 1 to 3 days, nine in ten within about ten
(health: 15)."""


@dataclass(frozen=True)
class Sheet:
    """One file of a service.

    Attributes:
        name: file or table name.
        columns: what is exported, by column name (Arrow arrays of one length; the first is the row
        key).
        at: entry instant of the row's last event, UTC minutes int64 (`NOTHING` when the row has
        none yet).
        time: instant of the row's last event, UTC minutes int64.
        person: column of the person's id.
        entry: column of the last entry date.
        code: column of the code that may be unknown.
        dates: columns of dates, for broken rows.
        numbers: columns of numbers, for broken rows.
        corrected: column a correction changes: a code (with `wrong`) or a date.
        wrong: codes one may be confused with; empty when corrections change the date.
        day_only: whether the corrected date is written without hours.
        dialect: how dates are written; None for typed columns.
    """

    name: str
    columns: dict[str, pa.Array]
    at: np.ndarray
    time: np.ndarray
    person: str
    entry: str
    code: str
    dates: tuple[str, ...]
    corrected: str
    numbers: tuple[str, ...] = ()
    wrong: dict[Any, tuple[Any, ...]] = field(default_factory=dict)
    day_only: bool = False
    dialect: Dialect | None = None


@dataclass(frozen=True)
class Spoiled:
    """A file as it will be written: `table` plus, in CSV, what follows some rows (too many
    columns)."""

    table: pa.Table
    tail: pa.Array
    clean_rows: int
    corrections: int
    duplicates: int
    unknown_codes: int
    broken: int


def entered(
    rng: np.random.Generator, time: np.ndarray, service: str, until: int
) -> np.ndarray:  # fmt: skip
    """Entry instants of events: some time later, in working hours.

    Args:
        rng: chance.
        time: UTC minutes of the events, int64.
        service: service name.
        until: end of observation, UTC minutes.

    Returns:
        UTC minutes, int64; `NOTHING` for what is entered after the end.
    """
    delay = np.exp(
        np.log(ENTRY_MEDIAN_DAYS[service] * 1440)
        + ENTRY_SPREAD[service] * rng.standard_normal(time.size)
    )
    return office_hours(rng, time + np.minimum(delay, 120 * 1440).astype(np.int64) + 3, until)


def office_hours(rng: np.random.Generator, moment: np.ndarray, until: int) -> np.ndarray:
    """Move entries made at night to the next morning, and drop those after the end."""
    of_day = moment % 1440
    night = (of_day < 6 * 60) | (of_day >= 17 * 60)
    morning = moment - of_day + np.where(of_day >= 17 * 60, 1440, 0) + 7 * 60
    out = np.where(night, morning + rng.integers(0, 150, moment.size), moment)
    return np.where((out < until) & (moment > NOTHING), out, NOTHING)


def spoil(sheet: Sheet, rng: np.random.Generator, until: int) -> Spoiled:
    """Make of a clean file the one that is exported.

    Unknown codes and broken rows are further rows with keys of their own, so that setting them
    aside loses no event.

    Args:
        sheet: the clean file.
        rng: chance.
        until: end of observation, UTC minutes.

    Returns:
        The rows in the order of their entry, and how many were spoiled in each way.
    """
    n = sheet.at.size
    clean = pa.table(sheet.columns)
    key = clean.column_names[0]
    later = sheet.at + np.exp(np.log(8 * 1440) + 0.7 * rng.standard_normal(n)).astype(np.int64)
    later = office_hours(rng, np.where(sheet.at > NOTHING, later, NOTHING), until)
    may = later > NOTHING
    if sheet.wrong:
        known = pc.is_in(clean[sheet.corrected], pa.array(list(sheet.wrong)))
        may &= known.to_numpy(zero_copy_only=False)
    corrected = np.flatnonzero(may & (rng.random(n) < CORRECTED))
    duplicated = np.flatnonzero(rng.random(n) < DUPLICATED)
    unknown = np.flatnonzero(rng.random(n) < UNKNOWN_CODE)
    broken = np.flatnonzero(rng.random(n) < BROKEN)

    extra: list[dict[str, Any]] = []
    tails: list[str] = []
    at: list[int] = []
    first_versions = clean.take(corrected).to_pylist()
    for row, i in zip(first_versions, corrected, strict=True):
        right = dict(row)
        right[sheet.entry] = _write(sheet, int(later[i]), day_only=False)
        if sheet.wrong:
            options = sheet.wrong[row[sheet.corrected]]
            row[sheet.corrected] = options[int(rng.integers(0, len(options)))]
        else:
            shifted = int(sheet.time[i]) - 1440 * int(rng.integers(1, 6))
            row[sheet.corrected] = _write(sheet, shifted, day_only=sheet.day_only)
        extra += [row, right]
        at += [int(sheet.at[i]), int(later[i])]
        tails += ["", ""]
    for new, (where, damage) in enumerate(((unknown, _unknown), (broken, _break))):
        for number, (row, i) in enumerate(zip(clean.take(where).to_pylist(), where, strict=True)):
            row[key] = f"{str(row[key])[:1]}{'XB'[new]}{number:06d}"
            tails.append(damage(sheet, row, number))
            extra.append(row)
            at.append(int(sheet.at[i]))
    keep = np.ones(n, bool)
    keep[corrected] = False
    kept = np.flatnonzero(keep)
    again = duplicated[keep[duplicated]]
    base = np.concatenate([kept, again])
    table = pa.concat_tables([clean.take(base), pa.Table.from_pylist(extra, schema=clean.schema)])
    when = np.concatenate([sheet.at[base], np.array(at, np.int64)])
    # What has no entry yet (appointments to come) stands at the end, as in a service's own list.
    order = np.argsort(np.where(when > NOTHING, when, until), kind="stable")
    tail = np.array([""] * base.size + tails, dtype=object)[order]
    return Spoiled(
        table=table.take(order).combine_chunks(),
        tail=pa.array(tail, pa.string()),
        clean_rows=n,
        corrections=corrected.size,
        duplicates=again.size,
        unknown_codes=unknown.size,
        broken=broken.size,
    )


def _write(sheet: Sheet, minutes: int, *, day_only: bool) -> Any:
    one = np.array([minutes])
    if sheet.dialect is None:
        return timestamps(one)[0].as_py()
    writer: Callable[[np.ndarray], pa.Array] = (
        sheet.dialect.days if day_only else sheet.dialect.instants
    )
    return writer(one)[0].as_py()


def _unknown(sheet: Sheet, row: dict[str, Any], number: int) -> str:
    if isinstance(row[sheet.code], int):
        row[sheet.code] = (99, 42)[number % 2]
    else:
        row[sheet.code] = ("ZZ", "??", "A-REVOIR", "99")[number % 4]
    return ""


def _break(sheet: Sheet, row: dict[str, Any], number: int) -> str:
    """Spoil one row; returns what is to follow it on its line (CSV only)."""
    date = sheet.dates[number % len(sheet.dates)]
    kinds = 4 if sheet.numbers else 3
    kind = number % kinds
    if kind == 0:
        row[date] = _impossible(sheet, number)
    elif kind == 1:
        row[sheet.person] = None
    elif kind == 2:
        if sheet.dialect is None:
            row[date] = _impossible(sheet, number + 1)
        else:
            row[date] = _impossible(sheet, number + 2)
            return ";;reste de la ligne précédente"
    else:
        row[sheet.numbers[0]] = ("12,3,4", "abc")[number % 2]
    return ""


def _impossible(sheet: Sheet, number: int) -> Any:
    if sheet.dialect is None:
        return (datetime(1900, 1, 1), datetime(2999, 12, 31))[number % 2]
    french = ("31/02/2024", "45/13/2023", "01/01/2999", "00/00/0000")
    iso = ("2024-02-31", "2024-13-05", "2999-01-01", "0000-00-00")
    return (french if sheet.dialect.day.startswith("%d") else iso)[number % 4]
