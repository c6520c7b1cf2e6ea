"""Rows to columns and back, in tiles that stay in the cache."""

from __future__ import annotations

from features.arrays import Floats
from features.compiling import compiled

__all__ = ["turn"]

_TILE = 32


@compiled
def turn(rows: Floats, columns: Floats, at: int) -> None:
    """Write `rows` [n, k] as `columns[:, at : at + n]`.

    Example:
        >>> import numpy as np
        >>> there = np.zeros((2, 4), np.float32)
        >>> turn(np.array([[1, 2], [3, 4]], np.float32), there, 1)
        >>> there.tolist()
        [[0.0, 1.0, 3.0, 0.0], [0.0, 2.0, 4.0, 0.0]]
    """
    many, wide = rows.shape
    for low in range(0, many, _TILE):
        high = min(low + _TILE, many)
        for left in range(0, wide, _TILE):
            right = min(left + _TILE, wide)
            for c in range(left, right):
                for r in range(low, high):
                    columns[c, at + r] = rows[r, c]
