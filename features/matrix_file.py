"""A matrix as one Parquet file that says what it is and can be checked against its hash."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.catalogue import Catalogue
from features.errors import DataError
from features.matrix import Matrix

if TYPE_CHECKING:
    from features.peers import PeerGroups

__all__ = ["read", "table_bytes", "write"]

_BLOCK = 32_768
"""Rows of a group in the file."""
_LAST_SEEN = "last_seen/"


def write(matrix: Matrix, folder: Path) -> Path:
    """Write a matrix under a name made from its hash, whole or not at all; returns the file.

    The groups that people were compared in lie beside it, in a file of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"matrix-{matrix.hash[:16]}.parquet"
    if matrix.peers is not None:
        matrix.peers.save(_peers_file(file))
    said: dict[str | bytes, str | bytes] = {
        "jalon.catalogue": matrix.catalogue.to_json(),
        "jalon.matrix": json.dumps({"hash": matrix.hash, "data_version": matrix.data_version}),
    }
    fields = [
        *matrix.cohort.schema,
        *(pa.field(name, pa.float32()) for name in matrix.names),
        *(pa.field(_LAST_SEEN + name, pa.int32()) for name in matrix.catalogue.groups),
    ]
    schema = pa.schema(fields, metadata=said)
    part = folder / f".{file.name}.{uuid4().hex}.part"
    try:
        with part.open("wb") as stream:
            with pq.ParquetWriter(
                stream, schema, compression="lz4", use_dictionary=False, write_statistics=False
            ) as writer:
                for start in range(0, max(len(matrix.values), 1), _BLOCK):
                    writer.write_table(_block(matrix, start, schema), row_group_size=_BLOCK)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def _peers_file(file: Path) -> Path:
    return file.with_name(f"peers-{file.name.removeprefix('matrix-')}")


def _block(matrix: Matrix, start: int, schema: pa.Schema) -> pa.Table:
    """Some rows as columns; turned block by block, so that each stays in the cache."""
    cohort = matrix.cohort.slice(start, _BLOCK)
    columns: list[Any] = [cohort.column(name) for name in cohort.column_names]
    for array in (matrix.values, matrix.last_seen):
        columns += [pa.array(column) for column in np.ascontiguousarray(array[start:][:_BLOCK].T)]
    return pa.Table.from_arrays(columns, schema=schema)


def read(path: Path) -> Matrix:
    """Read what `write` wrote, and check it against its hash.

    Raises:
        DataError: no such file, not a matrix, or content changed since it was written.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise _no_matrix(path, type(error).__name__) from error
    said = table.schema.metadata or {}
    if b"jalon.catalogue" not in said or b"jalon.matrix" not in said:
        raise _no_matrix(path, "a Parquet file without a catalogue")
    catalogue = Catalogue.from_json(said[b"jalon.catalogue"].decode())
    facts = json.loads(said[b"jalon.matrix"])
    days = [_LAST_SEEN + name for name in catalogue.groups]
    own = {*catalogue.names, *days}
    cohort = table.select([name for name in table.column_names if name not in own])
    matrix = Matrix(
        _stacked(table, catalogue.names, np.float32),
        catalogue,
        cohort.replace_schema_metadata(None),
        _stacked(table, days, np.int32),
        facts["data_version"],
        _peers(path, catalogue),
    )
    if matrix.hash != facts["hash"]:
        raise DataError(
            f"loading matrix {path}: its content is not what was written",
            expected="the hash in its metadata",
            got=f"another, over {table.num_rows} rows",
            hint="Remove the file and run `jalon features build TERRITORY`.",
        )
    return matrix


def _peers(path: Path, catalogue: Catalogue) -> PeerGroups | None:
    if not any(feature.among_peers for feature in catalogue.features):
        return None
    from features.peers import PeerGroups

    return PeerGroups.load(_peers_file(path))


def _no_matrix(path: Path, got: str) -> DataError:
    return DataError(
        f"loading matrix {path}",
        expected="a Parquet file written by Matrix.save",
        got=got,
        hint="Run `jalon features build TERRITORY`.",
    )


def _stacked(table: pa.Table, names: Sequence[str], kind: type[np.generic]) -> npt.NDArray[Any]:
    """Columns side by side, row after row; block by block, so that each stays in the cache."""
    stacked = np.empty((table.num_rows, len(names)), kind)
    columns = [table.column(name).to_numpy() for name in names]
    for start in range(0, table.num_rows, 2048):
        for number, column in enumerate(columns):
            stacked[start : start + 2048, number] = column[start : start + 2048]
    return stacked


def table_bytes(table: pa.Table) -> Iterator[bytes]:
    """A table as bytes that depend neither on its chunks nor on what lies under its nulls.

    Example:
        >>> cut = pa.table({"a": pa.chunked_array([[1], [None, 3]])})
        >>> whole = pa.table({"a": [1, None, 3]})
        >>> list(table_bytes(cut)) == list(table_bytes(whole))
        True
        >>> list(table_bytes(cut)) == list(table_bytes(pa.table({"a": [1, 0, 3]})))
        False
    """
    for name in table.column_names:
        column: pa.ChunkedArray = table.column(name)
        yield f"{name} {column.type} {len(column)}".encode()
        if column.null_count:
            yield np.packbits(column.is_valid().to_numpy()).tobytes()
        kind = column.type
        if pa.types.is_boolean(kind):
            kind = pa.uint8()
        elif pa.types.is_temporal(kind):
            kind = pa.int32() if kind.bit_width == 32 else pa.int64()
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        column = column.cast(kind)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts = column.to_pylist()
            yield np.array([-1 if t is None else len(t) for t in texts], np.int64).tobytes()
            yield "".join(t for t in texts if t is not None).encode()
        elif pa.types.is_primitive(kind):
            filled = cast(pa.ChunkedArray, pc.fill_null(column, pa.scalar(0, kind)))
            yield filled.to_numpy().tobytes()
        else:
            yield repr(column.to_pylist()).encode()
