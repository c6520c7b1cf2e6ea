"""Correcting whose rows are: the buckets concerned written anew, in one atomic commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.event_order import Longs, longs, sorted_events
from features.events import EVENTS, WITHDRAWN
from features.timeline_files import ISSUED
from features.timeline_writing import STORED, by_nobody, stored_rows, withdrawn
from features.versions import Versions, withdrawals_of

if TYPE_CHECKING:
    from features.timelines import Timelines

__all__ = ["reissue", "rename"]

ROWS = [*EVENTS.names, ISSUED]


@dataclass
class _Change:
    """What becomes of one bucket's rows; positions are those of a scan of it.

    Attributes:
        subjects: int64, the owner of every row from now on.
        dropped: bool, rows that say no more than what follows from others, and did before.
        added: Rows to write that were not there.
    """

    subjects: Longs
    dropped: npt.NDArray[np.bool_]
    added: list[pa.Table] = field(default_factory=list)


def reissue(timelines: Timelines, owners: Mapping[int, int]) -> int:
    """Give rows to the present owners of the identifiers they came by.

    Args:
        timelines: The table; goes on to the new version.
        owners: Pseudonym of an identifier to the owner's.

    Returns:
        Rows that changed hands.
    """
    timelines.refresh()
    if not owners:
        return 0
    keys = np.array(sorted(owners), np.int64)
    values = np.array([owners[int(key)] for key in keys], np.int64)
    changes: dict[int, _Change] = {}
    moved: dict[int, Longs] = {}
    for bucket in range(timelines.buckets):
        held = timelines.scan(["subject_id", ISSUED], bucket)
        subjects, issued = longs(held["subject_id"]), longs(held[ISSUED])
        now = _owned(issued, subjects, keys, values)
        at = np.flatnonzero(now != subjects)
        if len(at):
            moved[bucket] = at
            changes[bucket] = _Change(now, np.zeros(len(now), bool))
    if not moved:
        return 0
    _settle_withdrawals(timelines, changes, moved, keys, values)
    _write(timelines, changes, "identity: owners corrected")
    return sum(len(at) for at in moved.values())


def rename(timelines: Timelines, renamed: Callable[[Longs], Longs], label: str) -> int:
    """Write every row under another pseudonym, then delete the files that hold the former ones.

    Args:
        timelines: The table; goes on to the new version.
        renamed: One-to-one, int64 to int64.
        label: Said in the table's history.

    Returns:
        Rows written.
    """
    timelines.refresh()
    changes = {}
    for bucket in range(timelines.buckets):
        subjects = longs(timelines.scan(["subject_id"], bucket)["subject_id"])
        if len(subjects):
            changes[bucket] = _Change(
                _by_distinct(subjects, renamed), np.zeros(len(subjects), bool)
            )
    if changes:
        _write(timelines, changes, label, lambda issued: _by_distinct(issued, renamed))
        timelines.forget_former()
    return sum(len(change.subjects) for change in changes.values())


def _owned(issued: Longs, subjects: Longs, keys: Longs, values: Longs) -> Longs:
    place = np.minimum(np.searchsorted(keys, issued), len(keys) - 1)
    return np.where(keys[place] == issued, values[place], subjects)


def _by_distinct(values: Longs, renamed: Callable[[Longs], Longs]) -> Longs:
    distinct, places = np.unique(values, return_inverse=True)
    return renamed(distinct)[places]


def _settle_withdrawals(
    timelines: Timelines,
    changes: dict[int, _Change],
    moved: dict[int, Longs],
    keys: Longs,
    values: Longs,
) -> None:
    """Drop the withdrawals that followed from the former owners, add those that follow now.

    Rows of one event lie in several buckets only if it has several owners, and then it has a
    withdrawal; so the other buckets are searched for the events that have one.
    """
    touched: set[str] = set()
    withdrawn_ids: set[str] = set()
    for bucket in range(timelines.buckets):
        held = timelines.scan(["event_id", "code"], bucket)
        if bucket in moved:
            touched.update(_texts(held["event_id"].take(moved[bucket])))
        gone = pc.equal(held["code"], pa.scalar(WITHDRAWN))
        withdrawn_ids.update(_texts(held["event_id"].filter(gone)))
    several = touched & withdrawn_ids
    parts, where = [], []
    for bucket in range(timelines.buckets):
        wanted = (touched if bucket in changes else set()) | several
        if not wanted:
            continue
        held = timelines.scan(ROWS, bucket)
        rows = np.flatnonzero(pc.is_in(held["event_id"], pa.array(sorted(wanted), pa.string())))
        parts.append(held.take(rows))
        where += [(bucket, int(row)) for row in rows]
    rows_of = pa.concat_tables(parts).combine_chunks()
    subjects, issued = longs(rows_of["subject_id"]), longs(rows_of[ISSUED])
    before = Versions.of(rows_of)
    now = before.of_owners(_owned(issued, subjects, keys, values))
    former = {(before.event(row), owner, at) for row, owner, at in withdrawals_of(before)}
    follows = {(now.event(row), owner, at): row for row, owner, at in withdrawals_of(now)}
    kept = set()
    for row, (bucket, place) in enumerate(where):
        if not before.gone(row):
            continue
        said = (before.event(row), int(before.subject[row]), int(before.recorded[row]))
        if said in former:
            change = _change(timelines, changes, bucket)
            change.dropped[place] = True
        else:
            kept.add((now.event(row), int(now.subject[row]), int(now.recorded[row])))
    new = [(row, key[1], key[2]) for key, row in follows.items() if key not in kept]
    if new:
        made = withdrawn(rows_of.select(EVENTS.names), new)
        buckets = timelines.bucket_of(longs(made["subject_id"]))
        for bucket in np.unique(buckets).tolist():
            some = made.filter(pa.array(buckets == bucket))
            some = some.append_column(ISSUED, by_nobody(some.num_rows))
            _change(timelines, changes, bucket).added.append(some)


def _texts(column: pa.ChunkedArray) -> list[str]:
    texts: list[Any] = column.to_pylist()
    return texts


def _change(timelines: Timelines, changes: dict[int, _Change], bucket: int) -> _Change:
    if bucket not in changes:
        held = longs(timelines.scan(["subject_id"], bucket)["subject_id"])
        changes[bucket] = _Change(held.copy(), np.zeros(len(held), bool))
    return changes[bucket]


def _write(
    timelines: Timelines,
    changes: dict[int, _Change],
    label: str,
    issued: Callable[[Longs], Longs] | None = None,
) -> None:
    """All buckets that rows leave or enter, a bucket at a time in memory, as one commit."""
    into = {bucket: timelines.bucket_of(change.subjects) for bucket, change in changes.items()}
    for target in np.unique(np.concatenate(list(into.values()))).tolist():
        if target not in changes:
            into[target] = timelines.bucket_of(_change(timelines, changes, target).subjects)
    concerned = sorted(changes)

    def batches() -> Iterator[pa.RecordBatch]:
        for target in concerned:
            parts = [one.select(ROWS) for one in changes[target].added]
            for bucket in concerned:
                change = changes[bucket]
                rows = np.flatnonzero((into[bucket] == target) & ~change.dropped)
                if not len(rows):
                    continue
                part = timelines.scan(ROWS, bucket).take(rows)
                columns: dict[str, Any] = {name: part[name] for name in ROWS}
                columns["subject_id"] = pa.chunked_array([pa.array(change.subjects[rows])])
                if issued is not None:
                    columns[ISSUED] = pa.chunked_array([pa.array(issued(longs(part[ISSUED])))])
                parts.append(pa.table(columns))
            if parts:
                typed = pa.schema([*EVENTS, pa.field(ISSUED, pa.int64())])
                whole = pa.concat_tables([part.cast(typed) for part in parts])
                whole = sorted_events(whole.combine_chunks())
                number = pa.array(np.full(whole.num_rows, target, np.int32))
                yield from stored_rows(whole, number).cast(STORED).to_batches()

    timelines.overwrite(concerned, pa.RecordBatchReader.from_batches(STORED, batches()), label)
