"""Some columns of a part as compressed sparse rows on disk, whole or absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.arrays import Floats, Int32s, Int64s
from features.blocks import writing

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["SparseBlock", "Taken", "cover", "merged", "read_array", "write_array"]

Taken = tuple[Int64s, Int64s]
"""Which columns of a block are taken, and the column of the matrix that each becomes."""

KINDS = ("indices", "data", "counts")
"""The files of a block, in the order they are written: it counts once the last is there."""


def write_array(file: Path, array: npt.NDArray[Any]) -> None:
    """Write an array; the file is there whole or not at all."""
    with writing(file) as stream:
        np.save(stream, array)


def read_array(file: Path) -> npt.NDArray[Any]:
    """An array over a file, not read before it is used."""
    return np.load(file, mmap_mode="r")


@dataclass(frozen=True)
class SparseBlock:
    """The files of a block.

    Attributes:
        folder: Of the part.
        name: Says which columns.
    """

    folder: Path
    name: str

    def _file(self, kind: str) -> Path:
        return self.folder / f"sparse-{self.name}.{kind}.npy"

    @property
    def whole(self) -> bool:
        """Whether it is there."""
        return all(self._file(kind).is_file() for kind in KINDS)

    def write(self, counts: Int64s, indices: Int32s, data: Floats) -> None:
        """Keep rows.

        Args:
            counts: int64 [rows] values of each row.
            indices: int32 [values] their columns, ascending in a row.
            data: float32 [values].
        """
        arrays: tuple[npt.NDArray[Any], ...] = (indices, data, counts)
        for kind, array in zip(KINDS, arrays, strict=True):
            write_array(self._file(kind), array)

    def read(self) -> tuple[Int64s, Int32s, Floats]:
        """Counts, indices and data, over files that are not read before they are used."""
        indices, data, counts = (read_array(self._file(kind)) for kind in KINDS)
        return counts, indices, data

    def remove(self) -> None:
        """The last file written goes first: what is left of a removal cut short is no block."""
        for kind in reversed(KINDS):
            self._file(kind).unlink(missing_ok=True)

    @classmethod
    def all_of(cls, folder: Path) -> list[SparseBlock]:
        """Every block of a part."""
        ends = f".{KINDS[-1]}.npy"
        names = [file.name.removeprefix("sparse-") for file in folder.glob(f"sparse-*{ends}")]
        found = [cls(folder, name.removesuffix(ends)) for name in sorted(names)]
        return [block for block in found if block.whole]


def cover(wanted: Sequence[str], have: Mapping[str, Sequence[str]]) -> dict[str, Taken]:
    """What is taken of each block: a column of the first that has it, no block for nothing.

    Args:
        wanted: Names on disk of a matrix's columns; two may be the same.
        have: Names on disk of the columns of each block.

    Example:
        >>> found = cover(["b", "x", "a"], {"first": ["c", "b"], "second": ["a", "b"]})
        >>> {name: (source.tolist(), target.tolist()) for name, (source, target) in found.items()}
        {'first': ([1], [0]), 'second': ([0], [2])}
    """
    left = dict(enumerate(wanted))
    found = {}
    for block, names in have.items():
        places = {name: place for place, name in enumerate(names)}
        target = [column for column, name in left.items() if name in places]
        if target:
            source = [places[left.pop(column)] for column in target]
            found[block] = (np.array(source, np.int64), np.array(target, np.int64))
    return found


def merged(
    blocks: Sequence[SparseBlock], taken: Sequence[Taken], columns: int
) -> tuple[Int64s, Int32s, Floats]:
    """Columns of several blocks of one part side by side, in memory.

    Args:
        blocks: The blocks.
        taken: What is taken of each.
        columns: How many columns come out; each is given once.

    Returns:
        Counts, indices (ascending in a row) and data, as of one block.
    """
    from scipy.sparse import csr_array, hstack

    pieces: list[csr_array] = []
    for block, (source, _) in zip(blocks, taken, strict=True):
        counts, indices, data = block.read()
        indptr = np.append(0, np.cumsum(counts))
        shape = (len(counts), max(int(indices.max(initial=-1)), int(source.max(initial=-1))) + 1)
        pieces.append(csr_array((data, indices, indptr), shape=shape)[:, source])
    order = np.empty(columns, np.int64)
    order[np.concatenate([target for _, target in taken])] = np.arange(columns)
    whole = csr_array(hstack(pieces, format="csr"))[:, order]
    whole.sort_indices()
    return (
        np.diff(whole.indptr).astype(np.int64),
        whole.indices.astype(np.int32, copy=False),
        whole.data,
    )
