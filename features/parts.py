"""A cohort in parts: the people whose events fit in memory together, with their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from features.arrays import Int64s
from features.cohort_rows import by_person_and_time
from features.events import EVENTS

if TYPE_CHECKING:
    from features.timeline_chunks import Chunk
    from features.timelines import Timelines

__all__ = ["Part", "in_parts", "parts_of"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Part:
    """Some people of a cohort, and where their rows stand.

    Attributes:
        number: From 0, in the order of the people.
        people: int64, ascending, each once.
        places: int64 positions of their rows in the cohort, by person and time.
        subject: int64 [rows] of those rows.
        instant: int64 [rows] of those rows.
        chunk: What is read of the timelines for them; None when they have no events.
    """

    number: int
    people: Int64s = field(repr=False)
    places: Int64s = field(repr=False)
    subject: Int64s = field(repr=False)
    instant: Int64s = field(repr=False)
    chunk: Chunk | None = None

    def events(self, timelines: Timelines | pa.Table, columns: tuple[str, ...]) -> pa.Table:
        """The events of these people, all versions.

        Args:
            timelines: What the parts were made for.
            columns: Columns of events wanted.
        """
        if isinstance(timelines, pa.Table):
            return timelines
        if self.chunk is None:
            return EVENTS.empty_table()
        return timelines.read_chunk(
            self.chunk, columns=columns, superseded=True, dictionaries=("code", "source")
        )


def parts_of(
    timelines: Timelines | pa.Table,
    subject: Int64s,
    instant: Int64s,
    *,
    events: int,
    rows: int | None = None,
) -> list[Part]:
    """Everyone of a cohort, each in exactly one part.

    Args:
        timelines: Where the events are; a table is one part.
        subject: int64 [rows], any order.
        instant: int64 [rows] microseconds UTC.
        events: How many events a part should have at most.
        rows: How many rows a part should have at most; by default any number. One person is never
            divided, whatever the limits.
    """
    places = by_person_and_time(subject, instant)
    subject, instant = subject[places], instant[places]
    people = np.unique(subject)
    chunks: list[Chunk | None] = [None]
    if not isinstance(timelines, pa.Table):
        chunks = [*timelines.chunks(people, rows=events)] or [None]
    firsts = [chunk.first for chunk in chunks[1:] if chunk is not None]
    cuts = [0, *np.searchsorted(people, firsts).tolist(), len(people)]
    begins = np.append(np.searchsorted(subject, people), len(subject))
    found: list[Part] = []
    for chunk, first, last in zip(chunks, cuts[:-1], cuts[1:], strict=True):
        for low, high in _ranges(begins, first, last, rows):
            mine, own = people[low:high], slice(int(begins[low]), int(begins[high]))
            held = chunk
            if chunk is not None and high - low < last - first:
                held = replace(chunk, first=int(mine[0]), last=int(mine[-1]))
            part = Part(len(found), mine, places[own], subject[own], instant[own], held)
            found.append(part)
    return found


def _ranges(begins: Int64s, first: int, last: int, rows: int | None) -> list[tuple[int, int]]:
    """People from `first` to `last` in ranges of at most about so many rows."""
    many = int(begins[last] - begins[first])
    if rows is None or many <= rows:
        return [(first, last)]
    wanted = begins[first] + np.arange(rows, many, rows)
    inner = np.searchsorted(begins[first:last], wanted, side="left") + first
    cuts = [first, *np.unique(inner[(inner > first) & (inner < last)]).tolist(), last]
    return list(pairwise(cuts))


def in_parts(
    parts: list[Part], work: Callable[[Part, int], Result], workers: int
) -> Iterator[Result]:
    """Do some work for every part, several at once; at most `workers` parts are in memory.

    Args:
        parts: The parts.
        work: Called with a part and how many threads it may use.
        workers: Parts at once.

    Yields:
        What the work returned, as it is done, in no order.
    """
    if workers < 2 or len(parts) < 2:
        for part in parts:
            yield work(part, workers)
        return
    with ThreadPoolExecutor(min(workers, len(parts))) as pool:
        waiting = list(reversed(parts))
        running: set[Future[Result]] = set()
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    running.add(pool.submit(work, waiting.pop(), 1))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    yield one.result()
        finally:
            for one in running:
                one.cancel()
