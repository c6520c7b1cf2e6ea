"""Cohort rows in, feature matrix out: what was known of each person at each prediction time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.arrays import Rows
from features.catalogue import Catalogue
from features.cohort_rows import grouped_rows, read_cohort
from features.kernels import fill
from features.layout import compile_catalogue
from features.local_days import zone
from features.preparation import NEEDED, Prepared, prepare
from features.settings import FeaturesSettings

if TYPE_CHECKING:
    import pandas as pd

    from features.timelines import Timelines

__all__ = ["Matrix", "build_matrix"]

Progress = Callable[[str, float], None]

_ALONE = 200_000
"""Events read for all rows together under which a second thread costs more than it brings."""


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
    """

    values: npt.NDArray[np.float32] = field(repr=False)
    catalogue: Catalogue = field(repr=False)
    cohort: pa.Table = field(repr=False)
    last_seen: npt.NDArray[np.int32] = field(repr=False)
    data_version: int | None = None

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
        """Read what `save` wrote, and check it against its hash.

        Raises:
            DataError: no such file, not a matrix, or content changed since it was written.
        """
        from features.matrix_file import read

        return read(Path(path))


def build_matrix(
    timelines: Timelines | pa.Table,
    cohort: pa.Table | pd.DataFrame,
    catalogue: Catalogue,
    *,
    settings: FeaturesSettings,
    progress: Progress | None = None,
) -> Matrix:
    """The features of each cohort row, as known strictly before its prediction time.

    An event version counts at *t* when it was recorded before *t*, no later version of the event
    was recorded before *t*, and it happened before *t*; only `days_to_next` also reads planned
    events due at or after *t*. Windows are `[t - N local calendar days, t)`, at the same time of
    day across clock changes. A person without events, or before the first one, has counts 0 and
    everything else missing.

    Args:
        timelines: The territory's timelines, or a table of events with all their versions.
        cohort: Columns `subject_id` and `prediction_time` (UTC), any order, repeats allowed; other
            columns are carried along.
        catalogue: The features wanted.
        settings: For the time zone of days and the service of each source; an event of a source
            not named there counts as a service of its own.
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
        >>> settings = FeaturesSettings.model_construct(timezone="Europe/Paris", sources={})
        >>> matrix = build_matrix(events, pa.table(rows), Catalogue((absences,)), settings=settings)
        >>> matrix.values[:, 0].tolist()       # the second absence was entered on 2 April
        [1.0, 2.0, 0.0]
        >>> build_matrix(events, pa.table({"person": [7]}), Catalogue((absences,)),
        ...              settings=settings)
        Traceback (most recent call last):
        features.errors.DataError: reading the cohort: column(s) missing: subject_id, \
prediction_time. Expected columns subject_id and prediction_time; got 1 column(s).
    """
    tell = progress or _silent
    tell("reading the cohort", 0.0)
    asked, subject, instant = read_cohort(cohort)
    subjects = np.unique(subject)
    layout = compile_catalogue(catalogue)
    where = zone(settings.timezone)
    tell("reading the timelines", 0.05)
    if isinstance(timelines, pa.Table):
        events, version = timelines, None
    else:
        version = timelines.version
        events = timelines.read(subjects, columns=list(NEEDED))
    tell("sorting the events", 0.25)
    services = {name: source.service for name, source in settings.sources.items()}
    prepared = prepare(
        events,
        subjects,
        layout,
        where,
        lambda source: services.get(source, source),
        tuple(dict.fromkeys(services.values())),
    )
    del events
    rows = grouped_rows(subject, instant, subjects, layout.windows, where)
    values = np.empty((len(subject), len(catalogue)), np.float32)
    last_seen = np.empty((len(subject), len(catalogue.groups)), np.int32)
    _fill_all(prepared, rows, values, last_seen, tell)
    tell("features", 1.0)
    return Matrix(values, catalogue, asked, last_seen, version)


def _silent(step: str, share: float) -> None:
    """Nobody asked for progress."""


def _fill_all(
    prepared: Prepared,
    rows: Rows,
    values: npt.NDArray[np.float32],
    last_seen: npt.NDArray[np.int32],
    tell: Progress,
) -> None:
    """Run the kernel over ranges of people that cost about the same, on the cores there are."""
    events, people = prepared.events, len(prepared.events.begin)
    cost = np.cumsum((events.end - events.begin + 20) * np.diff(rows.begin))
    if not people or cost[-1] <= _ALONE:
        fill(events, prepared.plan, rows, prepared.references, 0, people, values, last_seen)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = 16 * (cores or 1)
    steps = np.linspace(0, int(cost[-1]), parts + 1)[1:-1]
    cuts = np.unique(np.concatenate([[0], np.searchsorted(cost, steps), [people]]))

    def one(part: int) -> None:
        first, last = int(cuts[part]), int(cuts[part + 1])
        fill(events, prepared.plan, rows, prepared.references, first, last, values, last_seen)

    with ThreadPoolExecutor(cores) as pool:
        for done, _ in enumerate(pool.map(one, range(len(cuts) - 1)), start=1):
            tell("computing the features", 0.35 + 0.65 * done / (len(cuts) - 1))
