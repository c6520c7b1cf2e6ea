"""What an event does to a row when it enters or leaves a window: the steps of sliding columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np

from features.arrays import SlidingPlan
from features.catalogue import Feature
from features.event_sets import EventSet, Kinds, other_set, own_set
from features.layout import Layout
from features.measures import MEASURES, Op
from features.windows import ALL, Window

__all__ = ["Step", "sliding_plan"]


class Step(IntEnum):
    """Ways in which an event changes one column of the state.

    Append only: kernels compiled earlier and kept on disk hold the numbers.
    """

    COUNT = 0
    ANY = 1
    SUM = 2
    MEAN = 3
    LATEST = 4
    EARLIEST = 5
    PART = 6
    WHOLE = 7


_STEPS = {
    Op.COUNT: Step.COUNT,
    Op.ANY: Step.ANY,
    Op.SUM: Step.SUM,
    Op.MEAN: Step.MEAN,
    Op.DAYS_SINCE_LAST: Step.LATEST,
    Op.DAYS_SINCE_FIRST: Step.EARLIEST,
    Op.SHARE: Step.PART,
}

_BATCH = 1_000_000
"""Steps that are put in order together."""


def sliding_plan(layout: Layout, services: Sequence[str], *, last_seen: bool) -> SlidingPlan:
    """The plan for events of some sources; see :class:`features.arrays.SlidingPlan`.

    Args:
        layout: A compiled catalogue.
        services: Service of each source, in the order of their numbers.
        last_seen: Whether the state ends with the day of the latest event of each group.
    """
    kinds = layout.kinds(services)
    width = len(layout.catalogue)
    steps = _Steps(layout, kinds)
    for column in layout.sliding:
        steps.feature(column, layout.catalogue.features[column])
    if last_seen:
        for place, group in enumerate(layout.groups):
            if group.codes:
                steps.add(group, ALL, Step.LATEST, width + place)
    groups = len(layout.groups) if last_seen else 0
    empty = np.full(width + groups, np.nan, np.float32)
    daily = np.zeros(width + groups, np.float32)
    empty[:width] = layout.arrays["empty"]
    daily[width:] = [not group.codes for group in layout.groups[:groups]]
    for column in layout.sliding:
        op = MEASURES[layout.catalogue.features[column].measure].op
        daily[column] = op in (Op.DAYS_SINCE_LAST, Op.DAYS_SINCE_FIRST)
    return steps.plan(empty, daily, width)


class _Steps:
    """Steps as they are found, to be put in order of kind and window."""

    def __init__(self, layout: Layout, kinds: Kinds) -> None:
        self.layout, self.kinds = layout, kinds
        self.number = {code: place for place, code in enumerate(kinds.codes)}
        self.windows: dict[int, int] = {}
        self.members: dict[EventSet, np.ndarray] = {}
        self.found: list[tuple[np.ndarray, int, int, int, float]] = []

    def feature(self, column: int, feature: Feature) -> None:
        """The steps of one feature."""
        op, own = MEASURES[feature.measure].op, own_set(feature)
        window: Window = feature.period or feature.window_days or ALL
        if op == Op.TREND:
            # Twice the events of the window, less those of the window and of the one before it.
            self.add(own, window, Step.COUNT, column, 2.0)
            self.add(own, 2 * (feature.window_days or 0), Step.COUNT, column, -1.0)
            return
        self.add(own, window, _STEPS[op], column)
        other = other_set(feature)
        if op == Op.SHARE and other is not None:
            self.add(other, window, Step.WHOLE, column)

    def add(
        self, events: EventSet, window: Window, step: Step, column: int, weight: float = 1.0
    ) -> None:
        """What each event of a set does in a window."""
        if events not in self.members:
            self.members[events] = np.array(self.kinds.of_set(events, self.number), np.int64)
        place = self.windows.setdefault(self.layout.windows[window], len(self.windows))
        self.found.append((self.members[events], place, int(step), column, weight))

    def plan(self, empty: np.ndarray, daily: np.ndarray, width: int) -> SlidingPlan:
        """All steps as arrays, for each kind and window in the order of the columns."""
        windows = max(len(self.windows), 1)
        begin = self.begin(windows)
        column, step = np.empty(begin[-1], np.int32), np.empty(begin[-1], np.int32)
        weight = np.empty(begin[-1], np.float32)
        following = begin[:-1].copy()
        for batch in self.batches():
            place = np.concatenate([kinds * windows + at for kinds, at, _, _, _ in batch])
            which = np.repeat(np.arange(len(batch)), [len(found[0]) for found in batch])
            order = np.argsort(place, kind="stable")
            place, which = place[order], which[order]
            # Where each run of one place begins, so that its steps follow those of earlier batches.
            starts = np.flatnonzero(np.diff(place, prepend=-1))
            lengths = np.diff(np.append(starts, len(place)))
            after = np.arange(len(place)) - np.repeat(starts, lengths)
            found = following[place] + after
            following[place[starts]] += lengths
            step[found] = np.array([one[2] for one in batch], np.int32)[which]
            column[found] = np.array([one[3] for one in batch], np.int32)[which]
            weight[found] = np.array([one[4] for one in batch], np.float32)[which]
        return SlidingPlan(
            window=np.array(list(self.windows) or [0], np.int32),
            begin=begin.astype(np.int32),
            step=step,
            column=column,
            weight=weight,
            empty=empty,
            daily=daily,
            columns=width,
        )

    def begin(self, windows: int) -> np.ndarray:
        """Where the steps of each kind and window begin, and where the last ends: int64."""
        begin = np.zeros(self.kinds.count * windows + 1, np.int64)
        for batch in self.batches():
            places = np.concatenate([kinds * windows + at + 1 for kinds, at, _, _, _ in batch])
            found, counts = np.unique(places, return_counts=True)
            begin[found] += counts
        return np.cumsum(begin, out=begin)

    def batches(self) -> Iterator[list[tuple[np.ndarray, int, int, int, float]]]:
        """The steps found, few at a time: sorted whole they would take several times their room."""
        batch: list[tuple[np.ndarray, int, int, int, float]] = []
        room = _BATCH
        for found in self.found:
            batch.append(found)
            room -= len(found[0])
            if room <= 0:
                yield batch
                batch, room = [], _BATCH
        if batch:
            yield batch
