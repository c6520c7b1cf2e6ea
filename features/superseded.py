"""When each version of an event was replaced by the next: what makes the past readable."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.event_order import longs
from features.versions import CONTENT, halves

__all__ = ["NEVER", "superseded_at", "superseded_column"]

NEVER = np.datetime64("2262-01-01", "us")
"""When a version that nothing replaced is replaced: beyond any prediction time."""

_TOLD_APART = (*CONTENT, "source")


def superseded_at(events: pa.Table) -> npt.NDArray[np.datetime64]:
    """When each version was replaced by the next of its event.

    The withdrawal of a row that moved to another person replaces what the first person had, so
    that one person's events suffice.

    Rows of one event, one entry date and one person are one version: one of them counts, the
    others are given their own entry date, so that they never count. Which one does not depend on
    the order of rows: it is the least by time, code, value and the other columns there are, nulls
    last. Without a column subject_id all rows of an event are taken to be of one person.

    Args:
        events: Columns event_id and recorded_at; any order, all versions.

    Returns:
        datetime64[us], one per row, far in the future where nothing replaced it. A row was the
        known version at *t* iff ``recorded_at < t <= superseded_at``.

    Example:
        >>> from datetime import datetime
        >>> rows = [{"event_id": "a", "recorded_at": datetime(2025, 1, d)} for d in (9, 2, 2)]
        >>> superseded_at(pa.Table.from_pylist(rows)).astype("datetime64[D]").tolist()
        [datetime.date(2262, 1, 1), datetime.date(2025, 1, 9), datetime.date(2025, 1, 2)]
    """
    replaced = np.full(events.num_rows, NEVER)
    if events.num_rows < 2:
        return replaced
    high, low = halves(events)
    rows = _several(high)
    if not len(rows):
        return replaced
    recorded = longs(events["recorded_at"].cast(pa.timestamp("us")).cast(pa.int64()))
    owner = longs(events["subject_id"]) if "subject_id" in events.column_names else None
    if owner is None:
        owner = np.zeros(len(recorded), np.int64)
    rows = rows[np.lexsort((owner[rows], recorded[rows], low[rows], high[rows]))]
    new_event = np.ones(len(rows), bool)
    new_event[1:] = (high[rows[1:]] != high[rows[:-1]]) | (low[rows[1:]] != low[rows[:-1]])
    new_moment = new_event.copy()
    new_moment[1:] |= recorded[rows[1:]] != recorded[rows[:-1]]
    # The next version is the first row of the next moment, if that is of the same event.
    starts = np.append(np.flatnonzero(new_moment), len(rows))
    following = starts[np.searchsorted(starts, np.arange(len(rows)), side="right")]
    inside = following < len(rows)
    inside[inside] = ~new_event[following[inside]]
    replaced[rows[inside]] = recorded[rows[following[inside]]].view("datetime64[us]")
    again = np.zeros(len(rows), bool)
    again[1:] = ~new_moment[1:] & (owner[rows[1:]] == owner[rows[:-1]])
    if again.any():
        extra = _extra(events, rows, again)
        replaced[extra] = recorded[extra].view("datetime64[us]")
    return replaced


def superseded_column(events: pa.Table) -> pa.Array:
    """As :func:`superseded_at`, as it is stored: null where nothing replaced the version.

    Example:
        >>> from datetime import datetime
        >>> row = {"event_id": "a", "recorded_at": datetime(2025, 1, 2)}
        >>> superseded_column(pa.Table.from_pylist([row])).to_pylist()
        [None]
    """
    replaced = superseded_at(events)
    return pa.array(replaced, pa.timestamp("us"), mask=replaced == NEVER)


def _several(high: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Rows whose number another row has, too."""
    ordered = np.sort(high)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return np.empty(0, np.intp)
    return np.flatnonzero(np.isin(high, np.unique(twice)))


def _extra(
    events: pa.Table, rows: npt.NDArray[np.intp], again: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """Of rows that say one version more than once, all but the one that counts.

    `rows` has such rows after one another; `again` is true for each but the first.
    """
    among = again.copy()
    among[:-1] |= again[1:]
    group = np.cumsum(~again)[among]
    rows = rows[among]
    names = [name for name in _TOLD_APART if name in events.column_names]
    few = events.select(names).take(rows)
    keys: dict[str, Any] = {"group": pa.array(group)}
    for name in names:
        column = few[name]
        if isinstance(column.type, pa.DictionaryType):
            column = column.cast(column.type.value_type)
        if not pa.types.is_null(column.type):
            keys[name] = column
    keys["place"] = pa.array(np.arange(len(rows)))
    ordered = pa.table(keys).sort_by([(name, "ascending") for name in keys])
    number = ordered["group"].to_numpy()
    extra = np.append(False, number[1:] == number[:-1])
    return rows[ordered["place"].to_numpy()[extra]]
