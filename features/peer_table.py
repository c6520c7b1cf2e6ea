"""Peer groups as a table, and as the Parquet file that lies beside a model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import DataError
from features.peer_groups import Compared, Groups, PeerGroups

__all__ = ["SCHEMA", "gathered", "load", "read_table", "rows_of", "save", "write_table"]

_FIELDS: list[pa.Field[Any]] = [
    pa.field("comparison", pa.string(), nullable=False),
    pa.field("of", pa.string()),
    pa.field("key", pa.string(), nullable=False),
    pa.field("prediction_time", pa.timestamp("us"), nullable=False),
    pa.field("people", pa.int32(), nullable=False),
    pa.field("number", pa.int32(), nullable=False),
    pa.field("mean", pa.float32(), nullable=False),
    pa.field("values", pa.list_(pa.float32()), nullable=False),
]
SCHEMA = pa.schema(_FIELDS)
"""One row for each comparison, feature compared, key and prediction time."""
_SAID = b"jalon.peers"


def write_table(peers: PeerGroups) -> pa.Table:
    """One row for each comparison, feature, key and instant; the hash is in the metadata."""
    parts = [rows_of(text, groups) for text, groups in sorted(peers.by.items())]
    said = {
        "hash": peers.hash,
        "comparisons": {
            text: {name: one.least for name, one in groups.of.items()}
            for text, groups in sorted(peers.by.items())
        },
    }
    table = pa.concat_tables([SCHEMA.empty_table(), *parts]).combine_chunks()
    return table.replace_schema_metadata({_SAID: json.dumps(said, sort_keys=True).encode()})


def rows_of(text: str, groups: Groups) -> pa.Table:
    """The groups of one comparison as rows of :data:`SCHEMA`.

    Args:
        text: The comparison's :attr:`features.peers.Comparison.text`.
        groups: Its groups.
    """
    if not groups.of:
        return _rows(text, groups, None, _nothing(len(groups.key)))
    return pa.concat_tables(
        [_rows(text, groups, name, one) for name, one in sorted(groups.of.items())]
    )


def gathered(table: pa.Table, least: Mapping[str, Mapping[str, int]]) -> PeerGroups:
    """Peer groups from rows of :data:`SCHEMA` that were made in parts, in any order.

    Args:
        table: The rows, whatever their metadata.
        least: The features of each comparison, each with the fewest values that were kept.

    Raises:
        DataError: another table, rows that are there twice, or a comparison in parts.

    Example:
        >>> gathered(SCHEMA.empty_table(), {"[]": {}}).by["[]"].names
        ()
        >>> gathered(pa.table({"a": [1]}), {})
        Traceback (most recent call last):
        features.errors.DataError: reading peer groups. Expected the rows of one matrix; got \
1 column(s). Hint: Make them again from the whole matrix.
    """
    if not set(SCHEMA.names) <= set(table.column_names):
        raise _not_whole(f"{table.num_columns} column(s)")
    table = table.select(SCHEMA.names).cast(SCHEMA).replace_schema_metadata(None)
    by: list[Any] = [(name, "ascending") for name in ("key", "prediction_time")]
    found = {}
    for text, compared in least.items():
        rows = table.filter(pc.field("comparison") == text)
        parts = [rows.filter(pc.field("of") == name) for name in compared] or [rows]
        sizes = {part.num_rows for part in parts}
        once = {part.group_by(["key", "prediction_time"]).aggregate([]).num_rows for part in parts}
        if len(sizes) > 1 or sizes != once:
            raise _not_whole(f"{rows.num_rows} row(s) of a comparison, some missing or twice")
        found[text] = _groups(rows.sort_by(by), compared)
    return PeerGroups(found)


def _not_whole(got: str) -> DataError:
    return DataError(
        "reading peer groups",
        expected="the rows of one matrix",
        got=got,
        hint="Make them again from the whole matrix.",
    )


def _nothing(groups: int) -> Compared:
    return Compared.of(np.zeros(0, np.int64), np.zeros(0, np.float32), groups, 1)


def _rows(text: str, groups: Groups, name: str | None, one: Compared) -> pa.Table:
    names: Any = pa.array(groups.names, pa.string())
    columns: list[Any] = [
        pa.repeat(pa.scalar(text), len(groups.key)),
        pa.repeat(pa.scalar(name, pa.string()), len(groups.key)),
        names.take(pa.array(groups.key, pa.int32())),
        pa.array(groups.instant, pa.timestamp("us")),
        pa.array(groups.people, pa.int32()),
        pa.array(one.number, pa.int32()),
        pa.array(one.mean, pa.float32()),
        pa.ListArray.from_arrays(pa.array(one.begin, pa.int32()), pa.array(one.kept)),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def read_table(table: pa.Table) -> PeerGroups:
    """Read what `write_table` wrote, and check it against its hash.

    Raises:
        DataError: another table, or one that changed since it was written.
    """
    said = (table.schema.metadata or {}).get(_SAID)
    if said is None or table.schema.names != SCHEMA.names:
        raise _unreadable(f"{table.num_columns} column(s)")
    facts = json.loads(said)
    table = table.cast(SCHEMA)
    found = PeerGroups(
        {
            text: _groups(table.filter(pc.field("comparison") == text), compared)
            for text, compared in facts["comparisons"].items()
        }
    )
    if found.hash != facts["hash"]:
        raise _unreadable(f"another content than was written, over {table.num_rows} row(s)")
    return found


def save(peers: PeerGroups, file: Path) -> None:
    """Write a Parquet file; it is there whole or not at all."""
    part = file.with_name(f".{file.name}.{uuid4().hex}.part")
    try:
        with part.open("wb") as stream:
            pq.write_table(write_table(peers), stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def load(file: Path) -> PeerGroups:
    """Read what `save` wrote.

    Raises:
        DataError: no such file, not peer groups, or content changed since it was written.
    """
    try:
        table = pq.read_table(file, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(type(error).__name__) from error
    return read_table(table)


def _unreadable(got: str) -> DataError:
    return DataError(
        "reading peer groups",
        expected="a table written by PeerGroups.to_table",
        got=got,
        hint="Train again: jalon train.",
    )


def _groups(table: pa.Table, compared: Mapping[str, int]) -> Groups:
    """The groups of one comparison from its rows."""
    parts = {name: table.filter(pc.field("of") == name) for name in sorted(compared)}
    one = next(iter(parts.values()), table)
    keys = one.column("key").combine_chunks()
    names: Any = pc.unique(keys).sort()
    return Groups(
        tuple(names.to_pylist()),
        np.asarray(pc.index_in(keys, value_set=names), np.int32),
        np.asarray(one.column("prediction_time").cast(pa.int64()), np.int64),
        np.asarray(one.column("people"), np.int32),
        {name: _compared(part, compared[name]) for name, part in parts.items()},
    )


def _compared(table: pa.Table, least: int) -> Compared:
    values: Any = table.column("values").combine_chunks()
    length = np.asarray(pc.list_value_length(values), np.int64)
    return Compared(
        least,
        np.asarray(table.column("number"), np.int32),
        np.asarray(table.column("mean"), np.float32),
        np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
        np.asarray(values.flatten(), np.float32),
    )
