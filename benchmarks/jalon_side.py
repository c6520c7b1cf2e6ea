"""The job through the engine's own definitions: no special kernel, no special catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.job import settings
from features.arrays import Floats, Int32s, Rows
from features.catalogue import Catalogue
from features.cohort_rows import read_cohort
from features.definitions import build_catalogue
from features.engine import Engine
from features.matrix import compute_matrix
from features.preparation import Prepared
from features.sparse import SparseMatrix

__all__ = ["Streamed", "densified", "job_catalogue", "streamed_from_table", "whole_from_table"]


def job_catalogue(codes: int = 40) -> Catalogue:
    """Count and sum of every code in every window."""
    return build_catalogue(settings(codes))


@dataclass(frozen=True)
class Streamed:
    """A job whose events and rows are sorted arrays in memory already."""

    engine: Engine
    prepared: Prepared
    rows: Rows

    @classmethod
    def of(cls, events: pa.Table, cohort: pa.Table, catalogue: Catalogue) -> Streamed:
        """Prepare events and rows; the cohort must be sorted by person and time."""
        _, subject, instant = read_cohort(cohort)
        people = np.unique(subject)
        engine = Engine(catalogue, last_seen=False)
        prepared = engine.prepare(events, people)
        return cls(engine, prepared, engine.rows(subject, instant, people))

    def stream(self) -> int:
        """Write every row into blocks that are used again; returns how many rows came."""
        came: list[int] = []

        def take(first: int, values: Floats, last_seen: Int32s) -> None:
            came.append(len(values))

        self.engine.stream(self.prepared, self.rows, take)
        return sum(came)

    def kept(self) -> npt.NDArray[np.float32]:
        """The same rows, each block copied out: what `stream` wrote, to be checked."""
        out = np.empty((len(self.rows.order), len(self.engine.catalogue)), np.float32)

        def take(first: int, values: Floats, last_seen: Int32s) -> None:
            out[first : first + len(values)] = values

        self.engine.stream(self.prepared, self.rows, take)
        return out

    def whole(self) -> npt.NDArray[np.float32]:
        """The whole matrix in new memory."""
        return self.engine.values(self.prepared, self.rows)[0]


def streamed_from_table(events: pa.Table, cohort: pa.Table, catalogue: Catalogue) -> int:
    """Prepare a table in any order, then stream; returns how many rows came."""
    return Streamed.of(events, cohort, catalogue).stream()


def whole_from_table(
    events: pa.Table, cohort: pa.Table, catalogue: Catalogue
) -> npt.NDArray[np.float32]:
    """Table to whole matrix, as a notebook asks for it."""
    return compute_matrix(events, cohort, catalogue).values


def densified(matrix: SparseMatrix, rows: int) -> npt.NDArray[np.float32]:
    """The first rows of a sparse matrix, dense, to be checked."""
    parts, have = [], 0
    for part in matrix.parts():
        parts.append(part[: max(rows - have, 0)].toarray())
        have += part.shape[0]
        if have >= rows:
            break
    return np.concatenate(parts)
