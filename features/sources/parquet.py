"""Parquet files, read in batches with their types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import Batch

__all__ = ["ParquetReader"]

ROWS = 250_000


class ParquetReader:
    """Rows of a Parquet file, typed; see :mod:`features.sources`."""

    def __init__(self, file: Path, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        try:
            self._parquet = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file) from error
        self.names = tuple(self._parquet.schema_arrow.names)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows; see :mod:`features.sources`."""
        following = 1
        parts = self._parquet.iter_batches(ROWS, columns=list(columns))
        while (batch := self._next(parts)) is not None:
            table = pa.Table.from_batches([batch]).select(list(columns))
            yield Batch(table, np.arange(following, following + table.num_rows))
            following += table.num_rows

    def _next(self, parts: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            batch = next(parts, None)
            if batch is not None:
                batch.validate(full=True)
            return batch
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._file) from error


def _unreadable(file: Path) -> DataError:
    return DataError(
        f"reading '{file.name}'",
        expected="a Parquet file",
        got="other content, or a damaged file",
        hint="Correct 'reader' of the source, or export the file again.",
    )
