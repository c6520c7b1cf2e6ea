"""Matrices of tens of thousands of columns: only what a person's events changed is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.arrays import Rows
from features.blocks import writing
from features.catalogue import Catalogue
from features.cohort_rows import read_cohort
from features.engine import Engine, cores
from features.errors import ConfigurationError, DataError
from features.layout import slides
from features.parts import Part, in_parts, parts_of
from features.preparation import Prepared
from features.sliding import slide_sparse

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

    from features.timelines import Timelines

__all__ = ["SparseMatrix", "build_sparse"]

Progress = Callable[[str, float], None]

ROOM = 1 << 20
"""Values of a block, unless the rows of one person need more."""
EVENTS_AT_ONCE = 500_000
ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A matrix in compressed sparse rows on disk, by person and time.

    A value that is not written is that of a person without events: `empty`, by column.

    Attributes:
        folder: Where it lies.
        cohort: The rows, in the order on disk.
        columns: How many columns there are.
        sizes: Rows of each part.
        empty: float32 [columns].
        values: How many values were written.
    """

    folder: Path
    cohort: pa.Table = field(repr=False)
    columns: int
    sizes: tuple[int, ...] = field(repr=False)
    empty: npt.NDArray[np.float32] = field(repr=False)
    values: int

    def parts(self) -> Iterator[csr_array]:
        """The rows part by part, as SciPy arrays over files that are not read before they are used.

        Raises:
            DataError: a column whose empty value is not 0; SciPy would take it for 0.
        """
        from scipy.sparse import csr_array

        odd = int((self.empty != 0).sum())
        if odd:
            raise DataError(
                f"reading a sparse matrix: {odd} column(s) are missing, not 0, without events",
                expected="counts, sums and flags",
                got=f"{odd} other column(s) of {self.columns}",
                hint="Read `raw_parts`, or build those columns with build_store.",
            )
        for counts, indices, data in self.raw_parts():
            indptr = np.append(0, np.cumsum(counts))
            yield csr_array((data, indices, indptr), shape=(len(counts), self.columns))

    def raw_parts(self) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        """Part by part: values of each row, their columns (ascending in a row), and they."""
        for number in range(len(self.sizes)):
            kinds = ("counts", "indices", "data")
            files = [self.folder / f"part-{number:05d}.{kind}.npy" for kind in kinds]
            yield tuple(np.load(file, mmap_mode="r") for file in files)


def build_sparse(
    folder: str | Path,
    timelines: Timelines | pa.Table,
    cohort: pa.Table | pd.DataFrame,
    catalogue: Catalogue,
    *,
    progress: Progress | None = None,
) -> SparseMatrix:
    """The features of each cohort row in sparse form, straight to disk; memory stays bounded.

    Worth it beyond about a thousand columns: time and size follow the events, not the columns.

    Args:
        folder: Where it goes; what lies there of an earlier build is replaced.
        timelines: The territory's timelines, or a table of events with all their versions.
        cohort: Columns `subject_id` and `prediction_time` (UTC).
        catalogue: Columns of count, any, sum, mean, days_since_last, days_since_first, tenure,
            trend and share over windows that end at the prediction time.
        progress: Told the step and the share done.

    Raises:
        ConfigurationError: columns of other measures.
        DataError: values whose sums are not exact in 64 bits, or a cohort that cannot be read.

    Example:
        >>> import tempfile
        >>> from features.catalogue import Feature
        >>> from features.events import EVENTS
        >>> from datetime import datetime as at
        >>> missed = {"code": "CONTACT//APPOINTMENT//NOSHOW", "subject_id": 7, "source": "social",
        ...           "event_id": "a", "time": at(2025, 3, 3), "recorded_at": at(2025, 3, 4)}
        >>> absences = Feature("noshow.count.90d", "noshow", "count", 90, "contact",
        ...                    {"fr": "Absences", "en": "Absences"}, "count", (missed["code"],))
        >>> rows = {"subject_id": [7, 8], "prediction_time": [at(2025, 4, 1)] * 2}
        >>> matrix = build_sparse(tempfile.mkdtemp(), pa.Table.from_pylist([missed], schema=EVENTS),
        ...                       pa.table(rows), Catalogue((absences,)))
        >>> matrix.values, [part.toarray().tolist() for part in matrix.parts()]
        (1, [[[1.0], [0.0]]])
    """
    tell = progress or _silent
    odd = [feature for feature in catalogue.features if not slides(feature)]
    if odd:
        raise ConfigurationError(
            f"building a sparse matrix: {len(odd)} column(s) cannot be sparse, as {odd[0].name}",
            expected="count, any, sum, mean, days_since_*, trend or share, up to the time",
            got=f"{len(odd)} other column(s)",
            hint="Build them apart, with build_store.",
        )
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    (home / "sparse.json").unlink(missing_ok=True)
    for old in home.glob("part-*.npy"):
        old.unlink()
    asked, subject, instant = read_cohort(cohort)
    engine = Engine(catalogue, last_seen=False)
    parts = parts_of(timelines, subject, instant, events=EVENTS_AT_ONCE, rows=ROWS_AT_ONCE)

    def work(part: Part, threads: int) -> int:
        prepared = engine.prepare(part.events(timelines, engine.columns), part.people)
        if not prepared.exact:
            raise DataError(
                "building a sparse matrix: sums of these values are not exact in 64 bits",
                expected="values within 2**53 of each other",
                got="a wider range",
                hint="Leave sum and mean out, or build with build_store.",
            )
        rows = engine.rows(part.subject, part.instant, part.people)
        return _write(home, part, prepared, rows, engine)

    values = 0
    for done, written in enumerate(in_parts(parts, work, cores()), start=1):
        values += written
        tell("computing the features", done / len(parts))
    places = np.concatenate([part.places for part in parts])
    sizes = tuple(len(part.places) for part in parts)
    empty = engine.layout.arrays["empty"]
    said = {"catalogue": catalogue.hash, "sizes": sizes, "values": values}
    with writing(home / "sparse.json") as stream:
        stream.write(json.dumps(said).encode())
    rows = asked.take(pa.array(places, pa.int64()))
    return SparseMatrix(home, rows, len(catalogue), sizes, empty, values)


def _write(home: Path, part: Part, prepared: Prepared, rows: Rows, engine: Engine) -> int:
    """Write the rows of one part block by block; returns how many values there are."""
    plan = engine.plans(prepared).sliding
    people = len(prepared.people)
    counts = np.zeros(len(part.places), np.int64)
    room = ROOM
    indices, data = np.empty(room, np.int32), np.empty(room, np.float32)
    found: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]] = []
    person = 0
    while person < people:
        after, written = slide_sparse(
            prepared.events, plan, rows, person, people, 0, counts, indices, data
        )
        if after == person and not written:
            room *= 2
            indices, data = np.empty(room, np.int32), np.empty(room, np.float32)
            continue
        found.append((indices[:written].copy(), data[:written].copy()))
        person = after
    name = f"part-{part.number:05d}"
    columns = [np.concatenate([one[k] for one in found] or [indices[:0]]) for k in (0, 1)]
    for kind, array in (("counts", counts), ("indices", columns[0]), ("data", columns[1])):
        with writing(home / f"{name}.{kind}.npy") as stream:
            np.save(stream, array)
    return len(columns[0])


def _silent(step: str, share: float) -> None:
    """Nobody asked for progress."""
