"""Matrices of tens of thousands of columns: only what a person's events changed is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from filelock import FileLock

from features.arrays import Rows
from features.catalogue import Catalogue, Feature
from features.catalogue_file import empty_values, read_catalogue, write_catalogue
from features.cohort_rows import read_cohort
from features.engine import Engine, cores
from features.errors import ConfigurationError, DataError
from features.layout import slides
from features.measures import MEASURES
from features.part_folder import column_name
from features.parts import Part, in_parts, parts_of
from features.preparation import Prepared
from features.sliding import slide_sparse
from features.sparse_block import SparseBlock, cover
from features.sparse_matrix import SparseMatrix, catalogue_file
from features.store import part_name

if TYPE_CHECKING:
    import pandas as pd

    from features.timelines import Timelines

__all__ = ["SparseMatrix", "build_sparse", "sparse_as_zero"]

Progress = Callable[[str, float], None]

ROOM = 1 << 20
"""Values of a block of memory, unless the rows of one person need more."""
EVENTS_AT_ONCE = 500_000
ROWS_AT_ONCE = 100_000


def sparse_as_zero(feature: Feature) -> bool:
    """Whether a column can be sparse, and what is not written in it is 0.

    Those are the columns that SciPy and LightGBM read as they are: `SparseMatrix.csr`.

    Example:
        >>> from dataclasses import replace
        >>> seen = Feature("seen.count.90d", "seen", "count", 90, "contact",
        ...                {"fr": "Rendez-vous", "en": "Appointments"}, "count", ("C//A//SEEN",))
        >>> sparse_as_zero(seen), sparse_as_zero(replace(seen, measure="mean"))
        (True, False)
    """
    return slides(feature) and MEASURES[feature.measure].empty == 0


def build_sparse(
    folder: str | Path,
    timelines: Timelines | pa.Table,
    cohort: pa.Table | pd.DataFrame,
    catalogue: Catalogue,
    *,
    events_at_once: int = EVENTS_AT_ONCE,
    progress: Progress | None = None,
) -> SparseMatrix:
    """The features of each cohort row in sparse form, straight to disk; memory stays bounded.

    Worth it beyond about a thousand columns: time and size follow the events, not the columns. As
    in `features.store.build_store`, what is there already is kept: a part is named by the data it
    was read from and by its rows, its columns by their definitions. An interrupted build goes on,
    an added column computes only itself, and nothing is removed before the new matrix is whole.

    Args:
        folder: Where the store lies, apart from that of dense matrices; made when it is not there.
        timelines: The territory's timelines, or a table of events with all their versions.
        cohort: Columns `subject_id` and `prediction_time` (UTC).
        catalogue: Columns of count, any, sum, mean, days_since_last, days_since_first, tenure,
            trend and share over windows that end at the prediction time.
        events_at_once: Events of a part at most, unless one person has more; each core works on
            one part.
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
    with FileLock(home / ".lock"):
        tell("reading the cohort", 0.0)
        asked, subject, instant = read_cohort(cohort)
        parts = parts_of(timelines, subject, instant, events=events_at_once, rows=ROWS_AT_ONCE)
        data = _digest(timelines) if isinstance(timelines, pa.Table) else timelines
        names = [part_name(part, data, catalogue) for part in parts]
        work = _Work(home, timelines, catalogue, names)
        if not work.own_file.is_file():
            write_catalogue(catalogue, work.own_file)
        done: dict[int, _Done] = {}
        for one in in_parts(parts, work.part, cores()):
            done[one.part] = one
            tell("computing the features", 0.05 + 0.9 * len(done) / len(parts))
        places = np.concatenate([part.places for part in parts])
        matrix = SparseMatrix(
            home,
            asked.take(pa.array(places, pa.int64())),
            catalogue.hash,
            tuple(names),
            tuple(len(part.places) for part in parts),
            tuple(done[part.number].blocks for part in parts),
            len(catalogue),
            empty_values(tuple(feature.measure for feature in catalogue.features)),
            sum(one.values for one in done.values()),
            None if isinstance(timelines, pa.Table) else timelines.version,
            sum(one.computed for one in done.values()),
        )
        matrix.sign()
    tell("features", 1.0)
    return matrix


@dataclass(frozen=True)
class _Done:
    """What was done for a part: the blocks that hold its columns, and how many values they hold."""

    part: int
    blocks: tuple[str, ...]
    values: int
    computed: bool


@dataclass(frozen=True)
class _Work:
    """What is done for each part of a build."""

    folder: Path
    timelines: Timelines | pa.Table
    catalogue: Catalogue
    names: Sequence[str]

    @property
    def own_file(self) -> Path:
        """The catalogue's file."""
        return catalogue_file(self.folder, self.catalogue.hash[:20])

    def part(self, part: Part, threads: int) -> _Done:
        """Compute the columns of a part that are not there."""
        folder = self.folder / "parts" / self.names[part.number]
        own = SparseBlock(folder, self.catalogue.hash[:20])
        if own.whole:
            return _Done(part.number, (own.name,), len(own.read()[1]), computed=False)
        have = {
            block.name: self._names_of[block.name]
            for block in SparseBlock.all_of(folder)
            if block.name in self._names_of
        }
        taken = cover(self._wanted, have) if have else {}
        if not taken:
            values = self._compute(part, own, self.catalogue)
            return _Done(part.number, (own.name,), values, computed=True)
        values = 0
        left = np.ones(len(self.catalogue), np.bool_)
        for name, (source, target) in taken.items():
            left[target] = False
            times = np.bincount(source, minlength=len(have[name]))
            values += int(times[SparseBlock(folder, name).read()[1]].sum())
        blocks = tuple(taken)
        if left.any():
            features = tuple(self.catalogue.features[place] for place in np.flatnonzero(left))
            some = Catalogue(features, self.catalogue.timezone, self.catalogue.service_of)
            file = catalogue_file(self.folder, some.hash[:20])
            if not file.is_file():
                write_catalogue(some, file)
            block = SparseBlock(folder, some.hash[:20])
            values += self._compute(part, block, some)
            blocks += (block.name,)
        return _Done(part.number, blocks, values, computed=bool(left.any()))

    def _compute(self, part: Part, block: SparseBlock, catalogue: Catalogue) -> int:
        """Write a block; returns how many values it holds."""
        engine = Engine(catalogue, last_seen=False)
        prepared = engine.prepare(part.events(self.timelines, engine.columns), part.people)
        if not prepared.exact:
            raise DataError(
                "building a sparse matrix: sums of these values are not exact in 64 bits",
                expected="values within 2**53 of each other",
                got="a wider range",
                hint="Leave sum and mean out, or build with build_store.",
            )
        rows = engine.rows(part.subject, part.instant, part.people)
        return _write(block, prepared, rows, engine)

    @cached_property
    def _wanted(self) -> list[str]:
        """Name on disk of each column."""
        return [column_name(feature) for feature in self.catalogue.features]

    @cached_property
    def _names_of(self) -> dict[str, list[str]]:
        """Names on disk of the columns of each block of other catalogues that the store knows."""
        found = {}
        for file in sorted(self.folder.glob("catalogue-*.parquet")):
            if file != self.own_file:
                features = read_catalogue(file).features
                found[file.stem.removeprefix("catalogue-")] = [column_name(f) for f in features]
        return found


def _write(block: SparseBlock, prepared: Prepared, rows: Rows, engine: Engine) -> int:
    """Write the rows of one part; returns how many values there are."""
    plan = engine.plans(prepared).sliding
    people = len(prepared.people)
    counts = np.zeros(len(rows.order), np.int64)
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
    columns = np.concatenate([one[0] for one in found] or [indices[:0]])
    block.write(counts, columns, np.concatenate([one[1] for one in found] or [data[:0]]))
    return len(columns)


class _Hash(RawIOBase):
    """A stream that keeps nothing of what is written but its hash."""

    def __init__(self) -> None:
        super().__init__()
        self.said = sha256()

    def writable(self) -> bool:
        """It takes content."""
        return True

    def write(self, content: Any) -> int:
        """Take content."""
        self.said.update(content)
        return len(content)


def _digest(events: pa.Table) -> str:
    """Sha256 of a table; other chunks or dictionaries of the same rows may give another."""
    kept = _Hash()
    with pa.ipc.new_stream(kept, events.schema) as stream:
        stream.write_table(events)
    return kept.said.hexdigest()


def _silent(step: str, share: float) -> None:
    """Nobody asked for progress."""
