"""Parquet files, read in batches with their types, bounded by bytes as well as by rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import Batch, SourceFile
from features.sources.files import Limits

__all__ = ["ParquetReader"]

ROWS = 250_000
BYTES = 64 << 20
"""Of values in one batch, decoded: long texts make it one of fewer rows."""
CODED = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}
SHARED = "DELTA_BYTE_ARRAY"
"""Each text says only what differs from the one before: a short page may be gigabytes of text."""


class ParquetReader:
    """Rows of a Parquet file, typed; see :mod:`features.sources`.

    A text that many rows share stands once in the file. It is spelt out for each row only within
    a batch, and a file that becomes more than `max_bytes`, or than `max_ratio` times its own
    size, is refused as a compressed one is. The sizes that pages are decompressed to are taken
    from the file's own table of contents.

    Args:
        file: A Parquet file.
        options: Only `max_bytes` and `max_ratio`.
        part: Not used.

    Attributes:
        names: Its columns.

    Raises:
        DataError: another format, or a damaged file; later, content beyond the limits.
    """

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        self._limits = Limits(options.max_bytes, options.max_ratio)
        with self._opened() as (parquet, _):
            self._schema = parquet.schema_arrow
            self.names = tuple(self._schema.names)

    @contextmanager
    def _opened(self, shared: Sequence[str] = ()) -> Iterator[tuple[pq.ParquetFile, int]]:
        """The file, and its bytes; texts of the columns `shared` stay one for all their rows."""
        with self._file.seekable() as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            try:
                parquet = pq.ParquetFile(self._file.plain or stream, read_dictionary=list(shared))
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(self._file) from error
            with parquet:
                yield parquet, size

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows; see :mod:`features.sources`."""
        following = 1
        held: list[pa.Table] = []
        size = rows = 0
        for table, weight in self._tables(list(columns)):
            if held and (size + weight > BYTES or rows + table.num_rows > ROWS):
                yield _joined(held, following)
                following += rows
                held, size, rows = [], 0, 0
            held.append(table)
            size += weight
            rows += table.num_rows
        if held:
            yield _joined(held, following)

    def _tables(self, columns: list[str]) -> Iterator[tuple[pa.Table, int]]:
        """Decoded rows with their bytes, at most a batch at once."""
        with self._opened(self._shared(columns)) as (parquet, size):
            given = 0
            groups = [_rows(parquet, number, columns) for number in range(parquet.num_row_groups)]
            self._check(sum(unpacked for unpacked, _ in groups), size)
            for rows, run in groupby(range(len(groups)), key=lambda number: groups[number][1]):
                parts = parquet.iter_batches(rows, row_groups=list(run), columns=columns)
                while (batch := self._next(parts)) is not None:
                    weights = _weights(batch)
                    given += int(weights.sum())
                    self._check(given, size)
                    yield from _slices(batch.select(columns), weights)

    def _shared(self, columns: list[str]) -> list[str]:
        """Texts that may become much larger when each row has its own: paths in the file."""
        texts = [name for name in columns if _text(self._schema.field(name).type)]
        with self._opened(texts) as (parquet, _):
            return [name for name in texts if self._swells(parquet, name)]

    def _swells(self, parquet: pq.ParquetFile, name: str) -> bool:
        coded = {}
        for number in range(parquet.num_row_groups):
            for chunk in _chunks(parquet, number, [name]):
                if CODED & set(chunk.encodings):
                    coded[number] = chunk.total_uncompressed_size / max(chunk.num_values, 1)
        # Numbers of texts take at most four bytes: more, and most texts stand for themselves,
        # which are slow to read as shared ones.
        if all(size <= 5 for size in coded.values()):
            return bool(coded)
        for number in coded:
            first = self._next(parquet.iter_batches(1, row_groups=[number], columns=[name]))
            shared: Any = None if first is None else first.column(0)
            # One text: that of the first row alone, where the shared ones come later.
            if not isinstance(shared, pa.DictionaryArray) or len(shared.dictionary) < 2:
                return True
            dictionary: Any = shared.dictionary
            lengths: Any = pc.binary_length(dictionary)
            if pc.max(lengths).as_py() > BYTES // ROWS:
                return True
        return False

    def _check(self, content: int, size: int) -> None:
        limits = self._limits
        large = content > limits.free and content > limits.ratio * max(size, 1)
        if large or content > limits.total:
            raise DataError(
                f"reading '{self._file.name}'",
                expected=f"at most {limits.ratio} bytes of content for each byte of the file"
                if large
                else f"at most {limits.total} bytes of content",
                got="more",
                hint="If the export is meant to be so, raise 'max_ratio' or 'max_bytes' in "
                "'options'.",
            )

    def _next(self, parts: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            batch = next(parts, None)
            if batch is not None:
                batch.validate(full=True)
            return batch
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._file) from error


def _chunks(parquet: pq.ParquetFile, number: int, columns: Sequence[str]) -> list[Any]:
    group = parquet.metadata.row_group(number)
    chunks = [group.column(place) for place in range(group.num_columns)]
    inside = tuple(f"{name}." for name in columns)
    return [
        one
        for one in chunks
        if one.path_in_schema in columns or one.path_in_schema.startswith(inside)
    ]


def _rows(parquet: pq.ParquetFile, number: int, columns: Sequence[str]) -> tuple[int, int]:
    """The bytes that a row group is decompressed to, and how many of its rows are read at once."""
    chunks = _chunks(parquet, number, columns)
    unpacked = sum(one.total_uncompressed_size for one in chunks)
    # Eight bytes a value: what a number or the place of a text takes, however few are written.
    width = max(unpacked, sum(8 * one.num_values for one in chunks))
    total = parquet.metadata.row_group(number).num_rows
    rows = min(ROWS, BYTES * total // max(width, 1))
    # No text is longer than all of them together, but these may stand for it again and again.
    # Texts inside lists and records cannot be read as shared ones.
    again = sum(
        one.total_uncompressed_size * max(one.num_values // max(total, 1), 1)
        for one in chunks
        if SHARED in one.encodings
        or (one.path_in_schema not in columns and one.physical_type == "BYTE_ARRAY")
    )
    if again:
        rows = min(rows, BYTES // again)
    # Of few sizes, so that neighbouring groups are read in one go.
    return unpacked, 1 << max(rows, 1).bit_length() - 1


def _text(kind: pa.DataType) -> bool:
    inner: Any = kind.value_type if isinstance(kind, pa.DictionaryType) else kind
    return bool(
        pa.types.is_string(inner)
        or pa.types.is_large_string(inner)
        or pa.types.is_binary(inner)
        or pa.types.is_large_binary(inner)
    )


def _weights(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes of each row, once decoded."""
    weights = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        array: Any = column
        if not _text(array.type):
            weights += array.nbytes // max(len(array), 1)
            continue
        shared = pa.types.is_dictionary(array.type)
        lengths: Any = pc.binary_length(array.dictionary if shared else array)
        each = lengths.take(array.indices) if shared else lengths
        weights += each.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64) + 4
    return weights


def _slices(
    batch: pa.RecordBatch, weights: npt.NDArray[np.int64]
) -> Iterator[tuple[pa.Table, int]]:
    ends = np.cumsum(weights)
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + BYTES, "right")), start + 1)
        arrays: list[Any] = [
            one.dictionary_decode() if isinstance(one, pa.DictionaryArray) else one
            for one in batch.slice(start, stop - start).columns
        ]
        yield pa.table(arrays, names=batch.schema.names), int(ends[stop - 1]) - before
        start = stop


def _joined(tables: list[pa.Table], first: int) -> Batch:
    table = pa.concat_tables(tables)
    return Batch(table, np.arange(first, first + table.num_rows))


def _unreadable(file: SourceFile) -> DataError:
    return DataError(
        f"reading '{file.name}'",
        expected="a Parquet file",
        got="other content, or a damaged file",
        hint="Correct 'reader' of the source, or export the file again.",
    )
