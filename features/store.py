"""The matrix on disk, in parts of people and blocks of columns: only what is new is computed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from filelock import FileLock

from features.arrays import Floats, Int32s
from features.blocks import Block
from features.catalogue import FORMAT as RULES
from features.catalogue import Catalogue
from features.cohort_rows import read_cohort
from features.engine import Engine, cores
from features.layout import groups_of
from features.part_folder import PartFolder, column_name, digest, seen_name
from features.parts import Part, in_parts, parts_of
from features.stored_matrix import StoredMatrix, comparisons_name

if TYPE_CHECKING:
    import pandas as pd

    from features.timelines import Timelines

__all__ = ["WIDE", "Built", "build_store", "part_name"]

Progress = Callable[[str, float], None]

WIDE = 1_000
"""Columns beyond which compressed sparse rows take less time and room, where they are possible."""
FORMAT = 1
"""Raised when a kernel changes what a value is, so that stored columns are computed again."""
EVENTS_AT_ONCE = 1_000_000
ROWS_AT_ONCE = 200_000
"""Rows of a part, unless one person has more."""


@dataclass(frozen=True)
class Built:
    """What a build did.

    Attributes:
        matrix: The matrix on disk.
        parts: Its parts.
        computed: Parts in which something was computed.
        columns: Columns computed, at most, in any part; the others were there.
    """

    matrix: StoredMatrix
    parts: int
    computed: int
    columns: int


def build_store(
    folder: str | Path,
    timelines: Timelines,
    cohort: pa.Table | pd.DataFrame,
    catalogue: Catalogue,
    *,
    last_seen: bool = True,
    events_at_once: int = EVENTS_AT_ONCE,
    progress: Progress | None = None,
) -> Built:
    """Bring a stored matrix up to date: compute what is not there, keep what is.

    A part is named by the data it was read from and by its rows; a column by its definition. What
    has the name is right, so that an interrupted build goes on where it stopped, an added feature
    computes only itself, and new data in one bucket of the timelines touches that bucket alone.
    Columns that compare people depend on everyone: they are made again when any part changed. One
    build at a time works in a store; another waits.

    Args:
        folder: Where the store lies; made when it is not there.
        timelines: The events.
        cohort: Columns `subject_id` and `prediction_time` (UTC); others are carried along.
        catalogue: The columns wanted.
        last_seen: Whether the day of each group's latest event is kept, which sentences need.
        events_at_once: Events of a part at most, unless one person has more; each core works on
            one part.
        progress: Told the step and the share done.

    Raises:
        DataError: cohort columns missing, of the wrong type, or null.

    Warns:
        UserWarning: there are so many columns that a sparse matrix would serve better.
    """
    if len(catalogue) > WIDE:
        warnings.warn(
            f"a matrix of {len(catalogue)} columns: beyond about {WIDE}, compressed sparse rows "
            "take less time and room: `jalon features build TERRITORY --sparse`, or build_sparse",
            stacklevel=2,
        )
    Path(folder).mkdir(parents=True, exist_ok=True)
    with FileLock(Path(folder) / ".lock"):
        return _built(
            Path(folder), timelines, cohort, catalogue, last_seen, events_at_once, progress
        )


def _built(
    folder: Path,
    timelines: Timelines,
    cohort: pa.Table | pd.DataFrame,
    catalogue: Catalogue,
    last_seen: bool,
    events_at_once: int,
    progress: Progress | None,
) -> Built:
    tell = progress or _silent
    tell("reading the cohort", 0.0)
    asked, subject, instant = read_cohort(cohort)
    parts = parts_of(timelines, subject, instant, events=events_at_once, rows=ROWS_AT_ONCE)
    names = [part_name(part, timelines, catalogue) for part in parts]
    work = _Work(folder, timelines, catalogue, names, last_seen)
    done: list[int] = []
    for columns in in_parts(parts, work.part, cores()):
        done.append(columns)
        tell("computing the features", 0.05 + 0.85 * len(done) / len(parts))
    places = np.concatenate([part.places for part in parts])
    sizes = tuple(len(part.places) for part in parts)
    matrix = StoredMatrix(
        folder, catalogue, asked, tuple(names), sizes, places, timelines.version, last_seen
    )
    tell("comparing peers", 0.9)
    matrix.compare_peers()
    matrix.sign()
    tell("features", 1.0)
    return Built(matrix, len(parts), sum(columns > 0 for columns in done), max(done, default=0))


@dataclass(frozen=True)
class _Work:
    """What is done for each part of a build."""

    folder: Path
    timelines: Timelines
    catalogue: Catalogue
    names: Sequence[str]
    last_seen: bool

    def part(self, part: Part, threads: int) -> int:
        """Compute the columns of a part that are not there; returns how many there were."""
        from features.peers import narrow, peer_keys

        place = PartFolder(self.folder / "parts" / self.names[part.number])
        there = place.columns()
        own = {column_name(f): f for f in self.catalogue.features if not f.among_peers}
        new = {name: feature for name, feature in own.items() if name not in there}
        days = {}
        if self.last_seen:
            seen = {seen_name(events): events for events in groups_of(self.catalogue).values()}
            days = {name: events for name, events in seen.items() if name not in there}
        compared = comparisons_name(self.catalogue)
        keyed = compared is not None and not place.keys_file(compared).is_file()
        if not new and not days and not keyed:
            return 0
        # Peer keys need the columns that compare; what those compare is there or among the new.
        also = narrow(self.catalogue).features if keyed else ()
        asked = dict.fromkeys([*new.values(), *also])
        some = Catalogue(tuple(asked), self.catalogue.timezone, self.catalogue.service_of)
        engine = Engine(some, last_seen=bool(days), groups=tuple(days.values()))
        prepared = engine.prepare(part.events(self.timelines, engine.columns), part.people)
        rows = engine.rows(part.subject, part.instant, part.people)
        if keyed and compared is not None:
            place.write_keys(compared, peer_keys(prepared, rows, engine.layout, len(part.subject)))
        if new or days:
            with place.block([*new, *days]) as stream:
                block = Block(stream, list(new), list(days))

                def take(first: int, values: Floats, last_seen: Int32s) -> None:
                    block.take(first, values[:, : len(new)], last_seen)

                engine.stream(prepared, rows, take, threads=1)
                block.close()
        return len(new) + len(days)


def part_name(part: Part, timelines: Timelines | str, catalogue: Catalogue) -> str:
    """Name of a part: the same as long as its rows and the data that they are computed from are.

    Args:
        part: Of a cohort.
        timelines: What it is read from; of a table of events, what says which they are.
        catalogue: Gives the time zone and the services.
    """
    data: list[object] | str | None = None
    if isinstance(timelines, str):
        data = timelines
    elif part.chunk is not None:
        chunk = part.chunk
        data = [timelines.fingerprint(chunk.bucket), chunk.first, chunk.last]
    rows = sha256(part.subject.tobytes() + part.instant.tobytes()).hexdigest()
    services = sorted(catalogue.service_of.items())
    return digest(FORMAT, RULES, data, rows, catalogue.timezone, services)


def _silent(step: str, share: float) -> None:
    """Nobody asked for progress."""
