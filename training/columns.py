"""Columns of Arrow tables as numpy arrays, with one meaning of missing for each type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["coded", "floats", "longs", "micros", "texts_of", "valid"]

Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def longs(column: pa.ChunkedArray[Any]) -> Longs:
    """Integers [n]; no null may be there."""
    return np.asarray(column.to_numpy(), np.int64)


def floats(column: pa.ChunkedArray[Any]) -> Floats:
    """Numbers [n], a null being NaN."""
    return np.asarray(column.to_numpy(), np.float64)


def micros(column: pa.ChunkedArray[Any], null: int) -> Longs:
    """Instants [n] in microseconds since 1970 UTC, a null being `null`.

    Example:
        >>> micros(pa.chunked_array([pa.array([5, None]).cast(pa.timestamp("us"))]), -1).tolist()
        [5, -1]
    """
    whole = column.cast(pa.timestamp("us")).cast(pa.int64())
    filled: Any = pc.fill_null(whole, pa.scalar(int(null), pa.int64()))
    return np.array(filled.to_numpy(), np.int64)


def valid(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.bool_]:
    """True [n] where a value is not null."""
    return np.asarray(column.is_valid().to_numpy(), bool)


def texts_of(column: pa.ChunkedArray[Any]) -> npt.NDArray[Any]:
    """Texts [n] as objects, a null being None."""
    return np.array(column.to_pylist(), object)


def coded(column: pa.ChunkedArray[Any]) -> tuple[list[str], Longs]:
    """Distinct texts, and for each row the number of its text; -1 where it is null.

    Example:
        >>> names, numbers = coded(pa.chunked_array([["b", None, "b"], ["a"]]))
        >>> names, numbers.tolist()
        (['b', 'a'], [0, -1, 0, 1])
    """
    whole: Any = pc.dictionary_encode(column.combine_chunks())
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    numbers = np.asarray(whole.indices.fill_null(-1), np.int64)
    return [str(name) for name in whole.dictionary.to_pylist()], numbers
