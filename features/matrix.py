"""Cohort rows in, feature matrix out: what was known of each person at each prediction time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.catalogue import Catalogue
from features.cohort_rows import read_cohort
from features.engine import Engine, cores
from features.parts import Part, in_parts, parts_of

if TYPE_CHECKING:
    import pandas as pd

    from features.peers import Keys, PeerGroups
    from features.timelines import Timelines

__all__ = ["Matrix", "compute_matrix"]

Progress = Callable[[str, float], None]

CHUNK = 2_000_000
"""Events of a part, unless one person has more; each core works on one part."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Features of cohort rows, with all that is needed to say where they come from.

    Attributes:
        values: float32 [rows, features], NaN = missing; missing is never 0 days.
        catalogue: What the columns are.
        cohort: The rows asked for, in their order, with the columns they came with.
        last_seen: int32 [rows, groups], local calendar day (days since 1970-01-01) of the latest
            event of each group of the catalogue known at the row's time; the smallest int32 is
            never. For a group without events (the season) it is the day of the prediction.
        data_version: Version of the timelines read; None for events given as a table.
        peers: The groups that people were compared in; None without such columns.
    """

    values: npt.NDArray[np.float32] = field(repr=False)
    catalogue: Catalogue = field(repr=False)
    cohort: pa.Table = field(repr=False)
    last_seen: npt.NDArray[np.int32] = field(repr=False)
    data_version: int | None = None
    peers: PeerGroups | None = field(default=None, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.catalogue.names

    @cached_property
    def hash(self) -> str:
        """Sha256 of the values, days, cohort, catalogue and data version: the same, bit for bit."""
        from features.matrix_file import table_bytes

        digest = hashlib.sha256(f"{self.catalogue.hash} {self.data_version}".encode())
        for array in (self.values, self.last_seen):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        for part in table_bytes(self.cohort):
            digest.update(part)
        return digest.hexdigest()

    def frame(self) -> pd.DataFrame:
        """The values as a pandas frame, indexed by subject_id and prediction_time."""
        import pandas as pd

        keys = [self.cohort.column(name).to_pandas() for name in ("subject_id", "prediction_time")]
        return pd.DataFrame(
            self.values, index=pd.MultiIndex.from_arrays(keys), columns=list(self.names)
        )

    def save(self, folder: str | Path) -> Path:
        """Write one Parquet file named by the hash; it is there whole or not at all.

        Args:
            folder: Made when it does not exist.

        Returns:
            The file.
        """
        from features.matrix_file import write

        return write(self, Path(folder))

    @classmethod
    def load(cls, path: str | Path) -> Matrix:
        """Read what `save` wrote, and check it against its hash; or a matrix of a store.

        Args:
            path: A Parquet file of `save`, or the `.json` file of a stored matrix.

        Raises:
            DataError: no such file, not a matrix, or content changed since it was written.
        """
        if str(path).endswith(".json"):
            from features.stored_matrix import StoredMatrix

            return StoredMatrix.open(path).matrix()
        from features.matrix_file import read

        return read(Path(path))


def compute_matrix(
    timelines: Timelines | pa.Table,
    cohort: pa.Table | pd.DataFrame,
    catalogue: Catalogue,
    *,
    peers: PeerGroups | None = None,
    progress: Progress | None = None,
) -> Matrix:
    """The features of each cohort row, as known strictly before its prediction time.

    An event version counts at *t* when it was recorded before *t*, no later version of the event
    was recorded before *t*, and it happened before *t*; only `days_to_next` and `ahead` also read
    planned events due at or after *t*. Windows are `[t - N local calendar days, t)`, at the same
    time of day across clock changes. A person without events, or before the first one, has counts
    0 and everything else missing.

    Timelines are read in parts, so that memory is that of the result and, for each core, of two
    million events.

    Args:
        timelines: The territory's timelines, or a table of events with all their versions.
        cohort: Columns `subject_id` and `prediction_time` (UTC), any order, repeats allowed; other
            columns are carried along.
        catalogue: The features wanted, with the time zone and the services of the sources.
        peers: Groups to compare people with; by default those of this cohort, at each prediction
            time.
        progress: Told the step and the share done.

    Returns:
        One row for each cohort row, in the same order.

    Raises:
        DataError: columns missing, of the wrong type, or null.

    Example:
        >>> from features.catalogue import Feature
        >>> from features.events import EVENTS
        >>> from datetime import datetime as at
        >>> missed = {"code": "CONTACT//APPOINTMENT//NOSHOW", "subject_id": 7, "source": "social"}
        >>> events = pa.Table.from_pylist([
        ...     missed | {"event_id": "a", "time": at(2025, 3, 3), "recorded_at": at(2025, 3, 4)},
        ...     missed | {"event_id": "b", "time": at(2025, 3, 12), "recorded_at": at(2025, 4, 2)},
        ... ], schema=EVENTS)
        >>> absences = Feature("noshow.count.90d", "noshow", "count", 90, "contact",
        ...                    {"fr": "Absences", "en": "Absences"}, "count", (missed["code"],))
        >>> rows = {"subject_id": [7, 7, 8], "prediction_time": [at(2025, 4, 1), at(2025, 5, 1),
        ...                                                      at(2025, 5, 1)]}
        >>> matrix = compute_matrix(events, pa.table(rows), Catalogue((absences,)))
        >>> matrix.values[:, 0].tolist()       # the second absence was entered on 2 April
        [1.0, 2.0, 0.0]
        >>> compute_matrix(events, pa.table({"person": [7]}), Catalogue((absences,)))
        Traceback (most recent call last):
        features.errors.DataError: reading the cohort: column(s) missing: subject_id, \
prediction_time. Expected columns subject_id and prediction_time; got 1 column(s).
    """
    from features.peers import compare, peer_keys

    tell = progress or _silent
    tell("reading the cohort", 0.0)
    asked, subject, instant = read_cohort(cohort)
    engine = Engine(catalogue)
    values = np.empty((len(subject), len(catalogue)), np.float32)
    last_seen = np.empty((len(subject), engine.groups), np.int32)
    keys: list[tuple[npt.NDArray[np.int64], list[Keys]]] = []
    parts = parts_of(timelines, subject, instant, events=CHUNK)
    many = len(parts)

    def one(part: Part, threads: int) -> None:
        prepared = engine.prepare(part.events(timelines, engine.columns), part.people)
        rows = engine.rows(part.subject, part.instant, part.people)
        if engine.layout.peers:
            keys.append((part.places, peer_keys(prepared, rows, engine.layout, len(part.subject))))
        rows = rows._replace(order=part.places[rows.order])
        share = None if many > 1 else lambda done: tell("computing the features", 0.3 + 0.65 * done)
        engine.write(prepared, rows, values, last_seen, threads=threads, tell=share)

    tell("reading the timelines", 0.05)
    for done, _ in enumerate(in_parts(parts, one, cores()), start=1):
        tell("computing the features", 0.05 + 0.9 * done / many)
    groups = None
    if engine.layout.peers:
        groups = compare(catalogue, values, scattered(keys), instant, subject, peers)
    tell("features", 1.0)
    version = None if isinstance(timelines, pa.Table) else timelines.version
    return Matrix(values, catalogue, asked, last_seen, version, groups)


def scattered(parts: Sequence[tuple[npt.NDArray[np.int64], list[Keys]]]) -> list[Keys]:
    """Keys of parts of a cohort, in the order of the cohort.

    Args:
        parts: Positions of a part's rows, and their keys in each comparison.
    """
    from features.peers import Keys

    places = np.concatenate([place for place, _ in parts])
    found = []
    for columns in zip(*(keys for _, keys in parts), strict=True):
        whole = Keys.joined(columns)
        number = np.empty_like(whole.number)
        number[places] = whole.number
        found.append(Keys(whole.names, number))
    return found


def _silent(step: str, share: float) -> None:
    """Nobody asked for progress."""
