"""Rows of a matrix that stays on disk, as the models take them: in blocks, or as views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from features.stored_matrix import StoredMatrix

__all__ = ["DiskRows"]

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

BLOCK = 32 << 20
"""Bytes of a block of rows."""


@dataclass(frozen=True, eq=False)
class DiskRows:
    """Some rows of a stored matrix, in the order asked for; none is in memory before it is used.

    It stands where a model takes an array: it has a length, a shape, and `numpy.array` makes a copy
    in memory of it, for a library that needs one.

    Attributes:
        matrix: The matrix on disk.
        chosen: int64 [n] positions in its cohort.
    """

    matrix: StoredMatrix = field(repr=False)
    chosen: Longs = field(repr=False)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.chosen)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.chosen), len(self.matrix.catalogue)

    @cached_property
    def _places(self) -> Longs:
        return self.matrix.on_disk[self.chosen]

    def blocks(self) -> Iterator[Matrix]:
        """The rows block by block, each float32 [rows of the block, columns] in memory."""
        for places in self._steps():
            # Mapped anew for each block, so that pages read before count as memory no longer.
            yield np.asarray(self.matrix.memmap()[places])

    def _steps(self) -> Iterator[Longs]:
        """Rows on disk of each block."""
        step = max(BLOCK // (4 * max(self.shape[1], 1)), 1)
        for start in range(0, len(self), step):
            yield self._places[start : start + step]

    def apply(self, function: Callable[[Matrix], Floats]) -> Floats:
        """What a function of each row gives, block by block.

        Args:
            function: From rows [m, k] to values [m].
        """
        found = [function(block) for block in self.blocks()]
        return np.concatenate(found) if found else np.zeros(0)

    def column(self, place: int) -> Floats:
        """One column, float64 [n]."""
        found = [self.matrix.memmap()[places, place] for places in self._steps()]
        return np.concatenate(found, dtype=np.float64) if found else np.zeros(0)

    def views(self) -> list[Matrix]:
        """The rows as views of the array on disk, one for each run of neighbours.

        Nothing is copied. A person's rows are neighbours on disk, and those of one part of a fold
        are mostly one run: about as many views as people.
        """
        values = np.asarray(self.matrix.memmap())
        cuts = np.flatnonzero(np.diff(self._places) != 1) + 1
        starts, stops = np.append(0, cuts), np.append(cuts, len(self))
        first = self._places[starts]
        return [values[a : a + n] for a, n in zip(first, stops - starts, strict=True)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All rows in memory, of the type asked for; it takes no second copy to change the type.

        Raises:
            ValueError: an array without a copy was asked for.
        """
        if copy is False:
            raise ValueError("rows on disk become an array by a copy only")
        whole = np.empty(self.shape, np.float32 if dtype is None else dtype)
        start = 0
        for block in self.blocks():
            whole[start : start + len(block)] = block
            start += len(block)
        return whole
