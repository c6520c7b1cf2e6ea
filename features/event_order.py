"""The one order of events: by person, time, entry date; a table that has it is left as it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.buffers import numbers_of
from features.versions import halves

__all__ = ["in_order", "longs", "sorted_events"]

_STATIC = np.iinfo(np.int64).min

Longs = npt.NDArray[np.int64]


def sorted_events(events: pa.Table) -> pa.Table:
    """Events by subject_id, time (static ones first), recorded_at; as they are if sorted already.

    Ties keep a fixed order by event_id where that column is there, so that the order of writing
    never matters.

    Example:
        >>> events = pa.table({"subject_id": [2, 1], "time": pa.array([5, 9], pa.timestamp("us")),
        ...                    "recorded_at": pa.array([6, 9], pa.timestamp("us"))})
        >>> sorted_events(events)["subject_id"].to_pylist()
        [1, 2]
    """
    if events.num_rows < 2:
        return events
    keys = _keys(events)
    if "event_id" in events.column_names:
        keys += [half.view(np.int64) ^ np.int64(_STATIC) for half in halves(events)]
    if _ascending(keys):
        return events
    return events.take(_order(keys)).combine_chunks()


def in_order(events: pa.Table) -> bool:
    """Whether events are sorted by subject_id, time (static ones first) and recorded_at.

    Batch by batch and without copies: much quicker than sorting, and in little memory.

    Example:
        >>> in_order(pa.table({"subject_id": [1, 1], "time": pa.array([9, 5], pa.timestamp("us")),
        ...                    "recorded_at": pa.array([9, 9], pa.timestamp("us"))}))
        False
    """
    last: list[np.int64] | None = None
    for batch in events.select(["subject_id", "time", "recorded_at"]).to_batches():
        if not batch.num_rows:
            continue
        keys = _keys(pa.Table.from_batches([batch]))
        if last is not None and last > [key[0] for key in keys]:
            return False
        if not _ascending(keys):
            return False
        last = [key[-1] for key in keys]
    return True


def _keys(events: pa.Table) -> list[Longs]:
    time = events["time"].cast(pa.int64())
    if time.null_count:
        time = time.fill_null(pa.scalar(_STATIC, pa.int64()))
    return [
        longs(events["subject_id"]),
        longs(time),
        longs(events["recorded_at"].cast(pa.int64())),
    ]


def _ascending(keys: list[Longs]) -> bool:
    equal = np.ones(len(keys[0]) - 1, bool)
    for key in keys:
        if (equal & (key[1:] < key[:-1])).any():
            return False
        equal &= key[1:] == key[:-1]
        if not equal.any():
            return True
    return True


def _order(keys: list[Longs]) -> npt.NDArray[np.intp]:
    """As `np.lexsort` with the first key foremost; the later keys are looked at in ties alone."""
    order = np.lexsort((keys[1], keys[0]))
    first, second = keys[0][order], keys[1][order]
    tied = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
    rows = np.flatnonzero(np.append(tied, False) | np.append(False, tied))
    if len(rows):
        group = np.cumsum(np.append(True, ~tied))[rows]
        among = order[rows]
        finer = [key[among] for key in reversed(keys[2:])]
        order[rows] = among[np.lexsort((*finer, group))]
    return order


def longs(column: pa.ChunkedArray) -> Longs:
    """A column of integers without nulls as int64, copied only where it must be."""
    return numbers_of(column if column.type.bit_width == 64 else column.cast(pa.int64()), np.int64)
