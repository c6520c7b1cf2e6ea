"""What an event does to a row when it enters or leaves a window: the steps of sliding columns."""

from __future__ import annotations

from collections.abc import Sequence
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
        lengths = [len(found[0]) for found in self.found]
        kind = np.concatenate([found[0] for found in self.found] or [np.zeros(0, np.int64)])
        rest = [np.repeat([found[i] for found in self.found], lengths) for i in (1, 2, 3, 4)]
        place = kind * windows + rest[0].astype(np.int64)
        order = np.argsort(place, kind="stable")
        counts = np.bincount(place, minlength=self.kinds.count * windows)
        return SlidingPlan(
            window=np.array(list(self.windows) or [0], np.int32),
            begin=np.append(0, np.cumsum(counts)).astype(np.int32),
            step=rest[1][order].astype(np.int32),
            column=rest[2][order].astype(np.int32),
            weight=rest[3][order].astype(np.float32),
            empty=empty,
            daily=daily,
            columns=width,
        )
