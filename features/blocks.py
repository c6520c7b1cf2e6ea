"""Some columns of a part's rows as one Parquet file, written as they are computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.arrays import Floats, Int32s
from features.turning import turn

__all__ = ["Block", "read_columns", "writing"]

ROWS = 16_384
"""Rows of a row group."""


class Block:
    """A file of float32 columns, and int32 columns after them, that takes rows block by block.

    Args:
        stream: An open file.
        floats: Names of the float32 columns.
        days: Names of the int32 columns.
    """

    def __init__(self, stream: BinaryIO, floats: Sequence[str], days: Sequence[str]) -> None:
        fields: list[pa.Field[Any]] = [pa.field(name, pa.float32()) for name in floats]
        fields += [pa.field(name, pa.int32()) for name in days]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(
            stream,
            self._schema,
            compression="lz4",
            use_dictionary=False,
            write_statistics=False,
            store_schema=False,
        )
        self._values = np.empty((len(floats), ROWS), np.float32)
        self._days = np.empty((len(days), ROWS), np.int32)
        self._held = 0

    def take(self, first: int, values: Floats, last_seen: Int32s) -> None:
        """Rows that follow those taken before; the arrays may be used again afterwards."""
        done = 0
        while done < len(values):
            many = min(ROWS - self._held, len(values) - done)
            turn(values[done : done + many], self._values, self._held)
            if len(self._days):
                part = last_seen[done : done + many]
                self._days[:, self._held : self._held + many] = part.T
            self._held += many
            done += many
            if self._held == ROWS:
                self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        arrays = [pa.array(column[: self._held]) for column in self._values]
        arrays += [pa.array(column[: self._held]) for column in self._days]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._writer.write_batch(batch, row_group_size=ROWS)
        self._held = 0

    def close(self) -> None:
        """Write what is left and the footer."""
        self._flush()
        self._writer.close()


@contextmanager
def writing(file: Path) -> Iterator[BinaryIO]:
    """A file that is there whole when the block ends well, and not at all otherwise."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{uuid4().hex}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def read_columns(
    file: Path,
    names: Sequence[str],
    out: npt.NDArray[Any],
    at: int,
    places: Sequence[int] | None = None,
) -> int:
    """Read columns of a file into columns of an array; returns how many rows there were.

    Args:
        file: Written by `Block`.
        names: Columns wanted.
        out: [rows, columns] of the columns' type; may be a view of a larger array.
        at: First row to write.
        places: Column of `out` for each name; by default the first ones.
    """
    source = pq.ParquetFile(file)
    into = range(len(names)) if places is None else places
    row = at
    for group in range(source.num_row_groups):
        table = source.read_row_group(group, columns=list(names), use_threads=False)
        columns = [table.column(name).to_numpy() for name in names]
        for start in range(0, table.num_rows, 1024):
            stop = min(start + 1024, table.num_rows)
            for place, column in zip(into, columns, strict=True):
                out[row + start : row + stop, place] = column[start:stop]
        row += table.num_rows
    return row - at
