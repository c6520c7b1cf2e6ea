"""A catalogue made ready to compute: the one way from events to rows, whoever asks for them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.arrays import Floats, Int32s, Int64s, Plan, Rows, SlidingPlan
from features.catalogue import Catalogue
from features.cohort_rows import grouped_rows
from features.event_sets import EventSet
from features.first_call import begin, settle
from features.kernels import fill
from features.layout import Layout, compile_catalogue
from features.local_days import Zone, zone
from features.preparation import Prepared, columns_for, prepare
from features.sliding import slide
from features.steps import sliding_plan

__all__ = ["Engine", "Plans", "cores"]

Take = Callable[[int, Floats, Int32s], None]

BLOCK = 4 << 20
"""Bytes of a block of rows: what stays in a core's cache between its writing and its reading."""
_ALONE = 50_000
"""Events read and rows written, together, under which a second thread costs more than it brings."""


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Plans(NamedTuple):
    """What the kernels follow: the sliding columns, those computed row by row, and which these are.

    sliding: for :func:`features.sliding.slide`.
    general, chosen: for :func:`features.kernels.fill`.
    """

    sliding: SlidingPlan
    general: Plan
    chosen: Int32s


class Engine:
    """Computes the columns of a catalogue from events in memory; safe to use from many threads.

    Training, batch scoring, Spark and the service all come through here, so that a row is the same
    to the last bit wherever it is computed. Columns that compare people with their peers are left
    missing: :mod:`features.peers` fills them.

    Args:
        catalogue: The columns, with the time zone and the services of the sources.
        last_seen: Whether the day of each group's latest event is kept, which sentences need.
        groups: Sets to keep it of; by default those of the catalogue's groups.

    Example:
        >>> from datetime import datetime as at
        >>> from features.catalogue import Feature
        >>> from features.events import EVENTS
        >>> kept = {"code": "CONTACT//APPOINTMENT//SEEN", "subject_id": 7, "source": "social"}
        >>> events = pa.Table.from_pylist([
        ...     kept | {"event_id": "a", "time": at(2025, 3, 3), "recorded_at": at(2025, 3, 4)},
        ...     kept | {"event_id": "b", "time": at(2025, 3, 12), "recorded_at": at(2025, 4, 2)},
        ... ], schema=EVENTS)
        >>> seen = Feature("seen.count.90d", "seen", "count", 90, "contact",
        ...                {"fr": "Rendez-vous", "en": "Appointments"}, "count", (kept["code"],))
        >>> engine = Engine(Catalogue((seen,)))
        >>> people = np.array([7])
        >>> prepared = engine.prepare(events, people)
        >>> times = np.array(["2025-04-01", "2025-05-01"], "datetime64[us]").view(np.int64)
        >>> rows = engine.rows(np.array([7, 7]), times, people)
        >>> engine.values(prepared, rows)[0].tolist()
        [[1.0], [2.0]]
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        last_seen: bool = True,
        groups: tuple[EventSet, ...] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.last_seen = last_seen
        self.layout: Layout = compile_catalogue(catalogue, groups)
        self.where: Zone = zone(catalogue.timezone)
        self.columns = columns_for(self.layout)
        self.groups = len(self.layout.groups) if last_seen else 0
        if len(self.layout.general) and cores() > 1:
            begin()

    def prepare(self, events: pa.Table, subjects: Int64s) -> Prepared:
        """Events as sorted arrays.

        Args:
            events: All versions, any order, with the columns `columns` and either `superseded_at`
                or `event_id`.
            subjects: int64 [people], ascending, each once.

        Raises:
            DataError: columns missing, of the wrong type, or null.
        """
        return prepare(events, subjects, self.layout, self.where, self.catalogue.service_of)

    def plans(self, prepared: Prepared) -> Plans:
        """The plans that the kernels follow for these events."""
        key = (prepared.services, len(prepared.service_names), prepared.exact)
        kept = self.layout.kept
        if ("plans", self.last_seen, *key) not in kept:
            kept["plans", self.last_seen, *key] = self._made(*key)
        return kept["plans", self.last_seen, *key]  # type: ignore[return-value]

    def rows(self, subject: Int64s, instant: Int64s, subjects: Int64s) -> Rows:
        """Cohort rows as arrays.

        Args:
            subject: int64 [rows], any order.
            instant: int64 [rows] prediction times, microseconds UTC.
            subjects: The people of `prepare`; all of `subject` are among them.
        """
        return grouped_rows(subject, instant, subjects, self.layout.windows, self.where)

    def values(
        self, prepared: Prepared, rows: Rows, tell: Callable[[float], None] | None = None
    ) -> tuple[Floats, Int32s]:
        """All rows at once, in the order of the cohort, on all cores.

        Args:
            prepared: From `prepare`.
            rows: From `rows`.
            tell: Told the share done.

        Returns:
            float32 [rows, columns], NaN = missing; int32 [rows, groups] local day of each group's
            latest event, or [rows, 0] without `last_seen`.
        """
        count = len(rows.order)
        values = np.empty((count, len(self.catalogue)), np.float32)
        last_seen = np.empty((count, self.groups), np.int32)
        self.write(prepared, rows, values, last_seen, tell=tell)
        return values, last_seen

    def write(
        self,
        prepared: Prepared,
        rows: Rows,
        values: Floats,
        last_seen: Int32s,
        *,
        threads: int | None = None,
        tell: Callable[[float], None] | None = None,
    ) -> None:
        """As `values`, into arrays that are there already.

        Args:
            prepared: From `prepare`.
            rows: From `rows`.
            values: float32 [rows of the cohort, columns]; only rows in `rows.order` are written.
            last_seen: int32 [rows of the cohort, groups].
            threads: Default: one for each core where there is enough to do.
            tell: Told the share done.
        """
        plans = self.plans(prepared)
        cuts = self._cuts(prepared, rows)

        def one(part: int) -> None:
            first, last = int(cuts[part]), int(cuts[part + 1])
            self._fill(plans, prepared, rows, first, last, 0, values, last_seen)

        self._share(one, len(cuts) - 1, prepared, rows, threads, tell)

    def stream(
        self, prepared: Prepared, rows: Rows, take: Take, *, threads: int | None = None
    ) -> None:
        """All rows, block by block, in memory that is used again for the next block.

        Args:
            prepared: From `prepare`.
            rows: From `rows`, of a cohort sorted by person and time.
            take: Called as `take(first row, values, last_seen)`, from several threads at once; the
                arrays are valid during the call only.
            threads: Default: one for each core.
        """
        plans = self.plans(prepared)
        cuts = self._cuts(prepared, rows)
        most = int(np.diff(rows.begin[cuts]).max(initial=1))
        own = threading.local()

        def one(part: int) -> None:
            if not hasattr(own, "values"):
                own.values = np.empty((most, len(self.catalogue)), np.float32)
                own.last_seen = np.empty((most, self.groups), np.int32)
            first, last = int(cuts[part]), int(cuts[part + 1])
            base, stop = int(rows.begin[first]), int(rows.begin[last])
            values, last_seen = own.values[: stop - base], own.last_seen[: stop - base]
            self._fill(plans, prepared, rows, first, last, base, values, last_seen)
            take(base, values, last_seen)

        self._share(one, len(cuts) - 1, prepared, rows, threads, None)

    def _fill(
        self,
        plans: Plans,
        prepared: Prepared,
        rows: Rows,
        first: int,
        last: int,
        base: int,
        values: Floats,
        last_seen: Int32s,
    ) -> None:
        slide(prepared.events, plans.sliding, rows, first, last, base, values, last_seen)
        if len(plans.chosen):
            settle()
            fill(
                prepared.events,
                plans.general,
                rows,
                prepared.references,
                plans.chosen,
                first,
                last,
                base,
                values,
            )

    def _made(self, services: tuple[str, ...], numbered: int, exact: bool) -> Plans:
        return Plans(
            sliding_plan(self.layout, services, last_seen=self.last_seen),
            self.layout.plan(services, numbered, exact=exact),
            self.layout.general if exact else self.layout.inexact,
        )

    def _cuts(self, prepared: Prepared, rows: Rows) -> npt.NDArray[np.int64]:
        """Ranges of people whose rows fill about a block."""
        people = len(prepared.people)
        room = max(BLOCK // (4 * max(len(self.catalogue) + self.groups, 1)), 1)
        wanted = np.arange(room, int(rows.begin[-1]), room)
        inner = np.searchsorted(rows.begin, wanted, side="left")
        return np.unique(np.concatenate([[0], inner, [people]]).astype(np.int64))

    def _share(
        self,
        one: Callable[[int], None],
        parts: int,
        prepared: Prepared,
        rows: Rows,
        threads: int | None,
        tell: Callable[[float], None] | None,
    ) -> None:
        work = len(prepared.events.time) + len(rows.order) * (1 + len(self.layout.general))
        workers = threads or (1 if work < _ALONE else cores())
        if workers == 1 or parts < 2:
            for part in range(parts):
                one(part)
            return
        with ThreadPoolExecutor(workers) as pool:
            for done, _ in enumerate(pool.map(one, range(parts)), start=1):
                if tell is not None:
                    tell(done / parts)
