"""Writing events to the Delta table: each with its bucket and when it was superseded."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    WriterProperties,
)

from features.events import EVENTS, WITHDRAWN
from features.superseded import superseded_column
from features.timeline_files import IN_FILE, ISSUED

__all__ = ["STORED", "by_nobody", "how_to_write", "stored_rows", "withdrawn"]

STORED = pa.schema(
    [
        pa.field("bucket", pa.int32(), nullable=False),
        *EVENTS,
        pa.field(IN_FILE, pa.timestamp("us")),
        pa.field(ISSUED, pa.int64()),
    ]
)


def stored_rows(events: pa.Table, bucket: pa.Array[Any]) -> pa.Table:
    """Sorted events as they are stored, in one piece: Delta writes pieces in any order.

    When an event was superseded is told from these rows alone, which is right for a file that is
    to hold them and no others.

    Args:
        events: Columns of the contract, and `ISSUED` where it is not the subject_id.
        bucket: int32, of each row.
    """
    issued = events[ISSUED if ISSUED in events.column_names else "subject_id"]
    stored = events.select(EVENTS.names).add_column(0, STORED.field("bucket"), bucket)
    stored = stored.append_column(STORED.field(IN_FILE), superseded_column(events))
    return stored.append_column(STORED.field(ISSUED), issued).combine_chunks()


def how_to_write(table: DeltaTable, label: str) -> dict[str, Any]:
    """Options of a commit: one file for each bucket, whatever its size.

    Row groups are small enough to read one person, and what is mostly distinct has no dictionary.
    A table of an earlier format is given the columns `IN_FILE` and `ISSUED`.

    Args:
        table: Where to.
        label: Said in the table's history.
    """
    distinct = ColumnProperties(dictionary_enabled=False)
    writer = WriterProperties(
        compression="ZSTD",
        compression_level=1,
        max_row_group_size=65_536,
        column_properties={"event_id": distinct, "reference": distinct},
    )
    old = not {IN_FILE, ISSUED} <= {field.name for field in table.schema().fields}
    return {
        "target_file_size": 1 << 40,
        "writer_properties": writer,
        "commit_properties": CommitProperties(custom_metadata={"jalon": label}),
        "schema_mode": "merge" if old else None,
    }


def by_nobody(rows: int) -> pa.Array[Any]:
    """The column `ISSUED` of rows that came by no identifier: they follow from others."""
    return pa.array([0] * rows, pa.int64())


def withdrawn(events: pa.Table, withdrawals: list[tuple[int, int, int]]) -> pa.Table:
    """Versions that say: this person no longer has this event.

    They hold nothing but what follows from the event and the instant: the row they are made from
    is the one that happened to come last.
    """
    rows, subjects, instants = zip(*withdrawals, strict=True)
    of = events.take(pa.array(rows, pa.int64()))
    columns = {field.name: pa.nulls(of.num_rows, field.type) for field in EVENTS}
    columns |= {
        "subject_id": pa.array(subjects, pa.int64()),
        "time": pa.array(instants, pa.int64()).cast(pa.timestamp("us")),
        "code": pa.array([WITHDRAWN] * of.num_rows, pa.string()),
        "recorded_at": pa.array(instants, pa.int64()).cast(pa.timestamp("us")),
        "source": of["source"],
        "event_id": of["event_id"],
    }
    return pa.table(columns, schema=EVENTS)
