"""Rows that could not become events: where they stand and why, never a person's values."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.cells import Cells
from features.quality import REASONS
from features.redaction import WITHHELD
from features.settings import Source, Table
from features.sources import Aside, Batch

__all__ = ["SetAside", "coded_values"]

_COLUMNS: list[pa.Field[Any]] = [
    pa.field("source", pa.string()),
    pa.field("table", pa.string()),
    pa.field("file", pa.string()),
    pa.field("row", pa.int64()),
    pa.field("reason", pa.string()),
    pa.field("column", pa.string()),
    pa.field("rule", pa.string()),
    pa.field("coded", pa.string()),
]
SCHEMA = pa.schema(_COLUMNS)


class SetAside:
    """The set-aside rows of one file of one table, written beside those of the others.

    The Parquet file is named after source, table and file, and replaced whole when that file is
    read again: the same rows are never counted twice. Nothing is replaced before :meth:`finish`.

    Args:
        folder: The territory's ``set-aside``.
        source: Name of the source.
        table: Name of the table.
        file: Path of the file within the exports.
    """

    def __init__(self, folder: Path, source: str, table: str, file: str) -> None:
        self._said = {"source": source, "table": table, "file": file}
        name = hashlib.sha256(json.dumps([source, table, file]).encode()).hexdigest()[:16]
        self._file = folder / f"{source}-{name}.parquet"
        self._unfinished = self._file.with_suffix(".unfinished")
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: Iterable[Aside], coded: Mapping[int, str] | None = None) -> None:
        """Note some rows.

        Args:
            rows: Their number, reason and column.
            coded: By row number, the values of its coded columns.
        """
        values = coded or {}
        lines = [
            {
                **self._said,
                "row": row.row,
                "reason": row.reason,
                "column": row.column,
                "rule": REASONS[row.reason],
                "coded": values.get(row.row),
            }
            for row in rows
        ]
        if not lines:
            return
        if self._writer is None:
            self._unfinished.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._unfinished, SCHEMA)
        self._writer.write_table(pa.Table.from_pylist(lines, schema=SCHEMA))

    def finish(self) -> None:
        """Put the rows in the place of those of the last reading."""
        if self._writer is None:
            self._file.unlink(missing_ok=True)
            return
        self._writer.close()
        os.replace(self._unfinished, self._file)

    def discard(self) -> None:
        """Forget the rows, when the file could not be read to its end."""
        if self._writer is not None:
            self._writer.close()
            self._unfinished.unlink()


def coded_values(
    source: Source,
    table: Table,
    batch: Batch,
    places: Iterable[int],
    shown: Collection[tuple[str, str]] = (),
) -> dict[int, str]:
    """The values of the columns that make the codes, by row number; withheld unless they are codes.

    Args:
        source: How missing values are written.
        table: The mapping: only columns named in a rule's `code` are shown, and of them the
            values that its `values` list.
        batch: The raw rows.
        places: Which of them.
        shown: Columns and values that may be shown besides.
    """
    columns = sorted({column for rule in table.events for column in rule.code_columns})
    wanted = list(places)
    if not columns or not wanted:
        return {}
    allowed = {(c, v) for rule in table.events for c, vs in rule.values.items() for v in vs}
    allowed |= set(shown)
    picked = batch.table.select(columns).take(pa.array(wanted, pa.int64()))
    cells = Cells(picked, source.options.nulls)
    texts: list[list[Any]] = [cells.text(column).to_pylist() for column in columns]
    return {
        int(batch.rows[place]): json.dumps(
            {
                column: text if (column, text) in allowed else WITHHELD
                for column, text in zip(columns, values, strict=True)
                if text is not None
            },
            ensure_ascii=False,
        )
        for place, values in zip(wanted, zip(*texts, strict=True), strict=True)
    }
