"""A sparse matrix that lies on disk: read part by part, or as one SciPy array over its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.arrays import Floats, Int32s, Int64s
from features.blocks import writing
from features.catalogue import Catalogue
from features.catalogue_file import empty_values, read_catalogue, read_measures, read_names
from features.errors import DataError
from features.matrix_file import table_bytes
from features.part_folder import column_name
from features.signed import check_parts, kept, prune, read_signed, write_signed
from features.sparse_block import SparseBlock, Taken, cover, merged, read_array, write_array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["SparseMatrix", "catalogue_file"]

COMMAND = "jalon features build TERRITORY --sparse"


def catalogue_file(folder: Path, name: str) -> Path:
    """Where the catalogue lies that a block, or a matrix, holds the columns of."""
    return folder / f"catalogue-{name}.parquet"


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A matrix in compressed sparse rows on disk, by person and time.

    A value that is not written is that of a person without events: `empty`, by column.

    Attributes:
        folder: The store.
        cohort: The rows, in the order on disk.
        catalogue_hash: Of the columns.
        parts_on_disk: Names of the parts, in the order of the people.
        sizes: Rows of each part.
        blocks: For each part, the blocks that hold its columns.
        columns: How many columns there are.
        empty: float32 [columns].
        values: How many values were written.
        data_version: Of the timelines read; None for a table of events.
        computed: Parts in which something was computed by the build that gave this; 0 if opened.
    """

    folder: Path
    cohort: pa.Table = field(repr=False)
    catalogue_hash: str
    parts_on_disk: tuple[str, ...] = field(repr=False)
    sizes: tuple[int, ...] = field(repr=False)
    blocks: tuple[tuple[str, ...], ...] = field(repr=False)
    columns: int
    empty: npt.NDArray[np.float32] = field(repr=False)
    values: int
    data_version: int | None = None
    computed: int = 0

    @cached_property
    def hash(self) -> str:
        """Sha256 of what decides every value: data and rows of the parts, columns, cohort."""
        said = sha256(json.dumps([self.parts_on_disk, self.catalogue_hash]).encode())
        for part in table_bytes(self.cohort):
            said.update(part)
        return said.hexdigest()

    @property
    def file(self) -> Path:
        """Where it is said what the matrix is; :meth:`open` takes it, or the folder."""
        return self.folder / f"sparse-{self.hash[:20]}.json"

    @property
    def rows(self) -> int:
        """Rows of the matrix."""
        return sum(self.sizes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return read_names(self._catalogue_file)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The definitions; of a hundred thousand columns that takes seconds."""
        return read_catalogue(self._catalogue_file)

    def parts(self) -> Iterator[csr_array]:
        """The rows part by part, as SciPy arrays over files that are not read before they are used.

        Raises:
            DataError: a column whose empty value is not 0; SciPy would take it for 0.
        """
        from scipy.sparse import csr_array

        self._check_zeros()
        for counts, indices, data in self.raw_parts():
            indptr = np.append(0, np.cumsum(counts))
            yield csr_array((data, indices, indptr), shape=(len(counts), self.columns))

    def raw_parts(self) -> Iterator[tuple[Int64s, Int32s, Floats]]:
        """Part by part: values of each row, their columns (ascending in a row), and they."""
        taken: dict[tuple[str, ...], list[Taken]] = {}
        for part, names in zip(self.parts_on_disk, self.blocks, strict=True):
            found = [SparseBlock(self.folder / "parts" / part, name) for name in names]
            if names == (self._name,):
                yield found[0].read()
                continue
            if names not in taken:
                have = {name: self._names_of[name] for name in names}
                taken[names] = [*cover(self._wanted, have).values()]
            yield merged(found, taken[names], self.columns)

    def csr(self) -> csr_array:
        """All rows as one SciPy array over files: it is not in memory before it is used.

        The files are written at the first call and found again at the next, until another matrix
        is built in the store. `cohort` says whose the rows are. LightGBM reads it as
        ``lightgbm.Dataset(scipy.sparse.csr_matrix(matrix.csr()), label)``, without a copy.

        From 2**31 values on, SciPy makes its own copy of the columns' numbers, in 64 bits; read
        `parts` then.

        Raises:
            DataError: a column whose empty value is not 0; SciPy would take it for 0.
        """
        from scipy.sparse import csr_array

        self._check_zeros()
        if not self._array("indptr").is_file():
            self._write_csr()
        indptr, indices, data = (read_array(self._array(k)) for k in ("indptr", "indices", "data"))
        return csr_array((data, indices, indptr), shape=(self.rows, self.columns))

    def _write_csr(self) -> None:
        """Parts one after another; the file that `csr` looks for is written last."""
        for place, kind, sort in ((1, "indices", "<i4"), (2, "data", "<f4")):
            with writing(self._array(kind)) as stream:
                head: dict[str, Any] = {"descr": sort, "fortran_order": False}
                np.lib.format.write_array_header_2_0(stream, head | {"shape": (self.values,)})
                for part in self.raw_parts():
                    stream.write(np.ascontiguousarray(part[place]).data)
        counts = [counts for counts, _, _ in self.raw_parts()]
        indptr = np.append(0, np.cumsum(np.concatenate(counts)))
        narrow = self.values < 2**31
        write_array(self._array("indptr"), indptr.astype(np.int32 if narrow else np.int64))

    def sign(self) -> Path:
        """Write what the matrix is beside its parts, and remove what no recent matrix holds."""
        said = {
            "hash": self.hash,
            "catalogue": self.catalogue_hash,
            "parts": self.parts_on_disk,
            "sizes": self.sizes,
            "blocks": self.blocks,
            "values": self.values,
            "data_version": self.data_version,
        }
        write_signed(self.file, said, self.cohort)
        self._prune()
        return self.file

    @classmethod
    def open(cls, where: str | Path) -> SparseMatrix:
        """A matrix that `build_sparse` left, in this process or another.

        Args:
            where: The store, for its newest matrix, or the file of one.

        Raises:
            DataError: no such file, or parts of it are gone.
        """
        file = Path(where)
        if file.is_dir():
            signed = sorted(file.glob("sparse-*.json"), key=lambda one: one.stat().st_mtime_ns)
            file = signed[-1] if signed else file / "sparse.json"
        said, rows = read_signed(file, COMMAND)
        measures = read_measures(catalogue_file(file.parent, said["catalogue"][:20]))
        found = cls(
            file.parent,
            rows,
            said["catalogue"],
            tuple(said["parts"]),
            tuple(said["sizes"]),
            tuple(tuple(names) for names in said["blocks"]),
            len(measures),
            empty_values(measures),
            said["values"],
            said["data_version"],
        )
        folders = zip(found.parts_on_disk, found.blocks, strict=True)
        gone = sum(
            not all(SparseBlock(found.folder / "parts" / part, name).whole for name in names)
            for part, names in folders
        )
        check_parts(file, gone, len(found.sizes), COMMAND)
        return found

    @property
    def _name(self) -> str:
        """Name of a block that holds just these columns, and of their catalogue."""
        return self.catalogue_hash[:20]

    @property
    def _catalogue_file(self) -> Path:
        return catalogue_file(self.folder, self._name)

    def _array(self, kind: str) -> Path:
        return self.folder / f"values-{self.hash[:20]}.{kind}.npy"

    @cached_property
    def _wanted(self) -> list[str]:
        """Name on disk of each column."""
        return [column_name(feature) for feature in self.catalogue.features]

    @cached_property
    def _names_of(self) -> dict[str, list[str]]:
        """Names on disk of the columns of each block."""
        found = {}
        for name in dict.fromkeys(name for names in self.blocks for name in names):
            features = read_catalogue(catalogue_file(self.folder, name)).features
            found[name] = [column_name(feature) for feature in features]
        return found

    def _check_zeros(self) -> None:
        odd = int((self.empty != 0).sum())
        if odd:
            raise DataError(
                f"reading a sparse matrix: {odd} column(s) are missing, not 0, without events",
                expected="counts, sums and flags",
                got=f"{odd} other column(s) of {self.columns}",
                hint="Read `raw_parts`, or build those columns with build_store.",
            )

    def _prune(self) -> None:
        left = kept(self.folder, "sparse")
        wanted: dict[str, set[str]] = {}
        catalogues = {said["catalogue"][:20] for said in left}
        for said in left:
            for part, names in zip(said["parts"], said["blocks"], strict=True):
                wanted.setdefault(part, set()).update(names)
                catalogues.update(names)
        prune(self.folder / "parts", wanted)
        for part, names in wanted.items():
            for block in SparseBlock.all_of(self.folder / "parts" / part):
                if block.name not in names:
                    block.remove()
        for file in self.folder.glob("catalogue-*.parquet"):
            if file.stem.removeprefix("catalogue-") not in catalogues:
                file.unlink()
        for file in self.folder.glob("values-*.npy"):
            if not file.name.startswith(f"values-{self.hash[:20]}."):
                file.unlink()
