"""Columns of Arrow tables as NumPy arrays, straight from their buffers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["numbers_of"]


def numbers_of(
    column: pa.ChunkedArray | pa.Array[Any], kind: type[np.generic], missing: float = 0
) -> npt.NDArray[Any]:
    """The numbers of a column, `missing` for null; no copy of a single chunk without nulls.

    Read from the buffers: Arrow's own conversions import pandas, which takes longer than many a
    command.

    Args:
        column: Of a type whose values are as wide as `kind`: an instant is an int64.
        kind: Type of the result.
        missing: What stands for null.

    Example:
        >>> numbers_of(pa.chunked_array([[1, None], [3]]), np.int64, -1).tolist()
        [1, -1, 3]
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    found: list[npt.NDArray[Any]] = []
    for chunk in chunks:
        valid, held = chunk.buffers()[:2]
        if not len(chunk):
            continue
        if held is None:
            found.append(np.full(len(chunk), missing, kind))
            continue
        rows = slice(chunk.offset, chunk.offset + len(chunk))
        numbers = np.frombuffer(cast(Any, held), kind)[rows]
        if chunk.null_count and valid is not None:
            bits = np.unpackbits(np.frombuffer(cast(Any, valid), np.uint8), bitorder="little")
            numbers = np.where(bits[rows].astype(bool), numbers, np.asarray(missing, kind))
        # Kernels are compiled apart for arrays that may not be written.
        found.append(numbers if numbers.flags.writeable else numbers.copy())
    if not found:
        return np.full(len(column), missing, kind)
    return found[0] if len(found) == 1 else np.concatenate(found)
