"""Cohort rows as the kernels read them: by person, with the edges of every window."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.arrays import Rows
from features.errors import DataError
from features.local_days import Zone
from features.windows import Window, edges

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["by_person_and_time", "grouped_rows", "read_cohort"]


def read_cohort(
    cohort: pa.Table | pd.DataFrame,
) -> tuple[pa.Table, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The cohort as a table, its subjects, and its instants in microseconds UTC.

    Args:
        cohort: Columns subject_id and prediction_time, others carried along; times of a zone
            become UTC without zone.

    Returns:
        The table with the contract's two types, int64 [rows] subjects, int64 [rows] instants.

    Raises:
        DataError: a column missing, of another type, or with nulls; all of it at once.

    Example:
        >>> days = pa.array([20_000], pa.date32())
        >>> read_cohort(pa.table({"subject_id": [7], "prediction_time": days}))[2] // 86_400_000_000
        array([20000])
        >>> read_cohort(pa.table({"subject_id": [7]}))
        Traceback (most recent call last):
        features.errors.DataError: reading the cohort: column(s) missing: prediction_time. \
Expected columns subject_id and prediction_time; got 1 column(s).
    """
    if not isinstance(cohort, pa.Table):
        cohort = pa.Table.from_pandas(_without_zones(cohort), preserve_index=False)
    cohort = cohort.replace_schema_metadata(None)
    missing = [n for n in ("subject_id", "prediction_time") if n not in cohort.column_names]
    if missing:
        raise DataError(
            f"reading the cohort: column(s) missing: {', '.join(missing)}",
            expected="columns subject_id and prediction_time",
            got=f"{cohort.num_columns} column(s)",
        )
    faults = []
    for name, kind in (("subject_id", pa.int64()), ("prediction_time", pa.timestamp("us"))):
        column = cohort.column(name)
        fits = pa.types.is_integer(column.type) if name == "subject_id" else _is_instant(column)
        if not fits:
            faults.append(f"{name} is {column.type}, not {kind}")
            continue
        if column.null_count:
            faults.append(f"{name} has {column.null_count} null(s)")
            continue
        place = cohort.column_names.index(name)
        cohort = cohort.set_column(place, name, column.cast(kind, safe=False))
    if faults:
        raise DataError(
            f"reading the cohort: {'; '.join(faults)}",
            expected="subject_id int64 and prediction_time timestamp, without nulls",
            got=f"{cohort.num_rows} row(s)",
            hint="Convert the columns; times are UTC.",
        )
    subject = np.array(cohort.column("subject_id").to_numpy(), np.int64)
    instant = np.array(cohort.column("prediction_time").cast(pa.int64()).to_numpy(), np.int64)
    return cohort, subject, instant


def _without_zones(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with times of any zone as UTC without zone."""
    zoned = frame.select_dtypes("datetimetz").columns
    return frame.assign(
        **{name: frame[name].dt.tz_convert("UTC").dt.tz_localize(None) for name in zoned}
    )


def _is_instant(column: pa.ChunkedArray) -> bool:
    return pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)


def grouped_rows(
    subject: npt.NDArray[np.int64],
    instant: npt.NDArray[np.int64],
    subjects: npt.NDArray[np.int64],
    windows: Iterable[Window],
    where: Zone,
) -> Rows:
    """Cohort rows by person and time, and what is the same for all rows of one instant.

    Args:
        subject: int64 [rows].
        instant: int64 [rows] microseconds UTC.
        subjects: int64 [people] the subjects, ascending, each once.
        windows: The windows, the whole history first.
        where: Time zone of days and windows.
    """
    order = by_person_and_time(subject, instant)
    if len(subject) == 1:
        times, number = instant, np.zeros(1, np.int64)
    else:
        times, number = _distinct(instant)
    since, until = edges(times, list(windows), where)
    day = where.days(times)
    months = day.astype("datetime64[D]").astype("datetime64[M]")
    return Rows(
        begin=np.searchsorted(subject[order], np.append(subjects, np.iinfo(np.int64).max)),
        order=order,
        instant=number[order],
        time=times,
        day=day,
        month=(months.astype(np.int64) % 12 + 1).astype(np.int32),
        month_day=(day - months.astype("datetime64[D]").astype(np.int64) + 1).astype(np.int32),
        since=since,
        until=until,
    )


def by_person_and_time(
    subject: npt.NDArray[np.int64], instant: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Positions of rows by person and time; rows that are sorted already are not sorted again."""
    same = subject[1:] == subject[:-1]
    if ((subject[1:] > subject[:-1]) | (same & (instant[1:] >= instant[:-1]))).all():
        return np.arange(len(subject), dtype=np.int64)
    return np.lexsort((instant, subject)).astype(np.int64)


def _distinct(
    instant: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct instants, ascending, and the number of each row's."""
    encoded = pa.array(instant).dictionary_encode()
    times = np.asarray(encoded.dictionary, np.int64)
    order = np.argsort(times)
    rank = np.empty(len(times), np.int64)
    rank[order] = np.arange(len(times))
    return times[order], rank[np.asarray(encoded.indices)]
