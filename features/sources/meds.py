"""Shards of a MEDS dataset: Parquet, with the columns that MEDS leaves open and a key a row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from features.settings import ReaderOptions
from features.sources import Batch, SourceFile
from features.sources.parquet import ParquetReader

__all__ = ["END", "KEY", "OBSERVATION_END", "MedsReader"]

OBSERVATION_END = "OBSERVATION//PERIOD//ENDED"
"""Code of the rows that say until when a person was observed; they are no events of a pathway."""

KEY, END = "key(row)", "end(observation)"

CORE = ("subject_id", "time", "code", "numeric_value", "text_value")
OPEN: dict[str, Any] = {
    "numeric_value": pa.float32(),
    "text_value": pa.large_string(),
    "recorded_at": pa.timestamp("us"),
    "end_time": pa.timestamp("us"),
    "reference": pa.string(),
    "event_id": pa.string(),
}
"""Columns that a dataset may lack: empty then."""

LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""A digest written with letters alone is never taken for a telephone number."""


class MedsReader:
    """One shard, typed; see :mod:`features.sources`.

    Columns of MEDS that are optional, and those that Jalon's own datasets have besides, are there
    in any case, empty where the file has none. ``key(row)`` is a digest of `event_id`, or, without
    it, of the row: equal rows of one shard or of several are then one event, and a corrected row
    is another event. ``end(observation)`` is `yes` in rows of :data:`OBSERVATION_END`, empty in
    all others.

    Attributes:
        names: The file's columns, and those above.

    Example:
        >>> import io
        >>> import pyarrow.parquet as pq
        >>> rows = pa.table({"subject_id": [7], "time": pa.array([None], pa.timestamp("us")),
        ...                  "code": ["EXIT//PATHWAY//JOB"]})
        >>> stream = io.BytesIO()
        >>> pq.write_table(rows, stream)
        >>> file = SourceFile.in_memory("0.parquet", stream.getvalue())
        >>> [batch] = MedsReader(file, ReaderOptions()).batches(["code", "reference", KEY, END])
        >>> [row] = batch.table.to_pylist()
        >>> row["code"], row["reference"], len(row[KEY]), row[END]
        ('EXIT//PATHWAY//JOB', None, 32, None)
    """

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._parquet = ParquetReader(file, options, part)
        own = self._parquet.names
        self._own = own
        self.names = (*own, *(name for name in (*OPEN, KEY, END) if name not in own))

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows; see :mod:`features.sources`."""
        wanted = [*columns, *(CORE if KEY in columns else ())]
        wanted += ["event_id"] if KEY in columns else []
        wanted += ["code"] if END in columns else []
        held = [name for name in dict.fromkeys(wanted) if name in self._own]
        for batch in self._parquet.batches(held):
            table = batch.table
            yield Batch(
                pa.table({name: _column(table, name) for name in columns}), batch.rows, batch.aside
            )


def _column(table: pa.Table, name: str) -> Any:
    if name in table.column_names:
        return table[name]
    if name == KEY:
        return _keys(table)
    if name == END:
        ended: Any = pc.equal(table["code"].cast(pa.string()), pa.scalar(OBSERVATION_END))
        return pc.if_else(ended, "yes", pa.scalar(None, pa.string()))
    return pa.nulls(table.num_rows, OPEN[name])


def _keys(table: pa.Table) -> Any:
    texts: list[Any] = [table[n].cast(pa.string()) for n in CORE if n in table.column_names]
    parts: list[Any] = [pc.fill_null(text, "\x00") for text in texts]
    text: Any = pc.binary_join_element_wise(*parts, "\x1f")
    if "event_id" in table.column_names:
        text = pc.coalesce(table["event_id"].cast(pa.string()), text)
    values: list[str] = text.to_pylist()
    return pa.array([_digest(value) for value in values], pa.string())


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest().translate(LETTERS)
