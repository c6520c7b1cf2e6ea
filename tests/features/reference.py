"""Every measure once more in plain pandas, slow: what the compiled kernels are compared with.

One person's events at one time are a frame (`reference_rows`), a feature's events are picked from
it by masks, and each measure is a short function over them (`reference_measures`,
`reference_links`). Nothing here is shared with the engine but the names of the fields.
"""

from __future__ import annotations

import math

from features.catalogue import Feature
from tests.features.reference_links import LINKED, overlap
from tests.features.reference_measures import (
    IN_WINDOW,
    OF_DATED,
    OF_DUE,
    OF_EVENTS,
    OF_TIMES,
    breaks,
)
from tests.features.reference_rows import Mask, Row, known
from tests.features.reference_windows import Window, calendar, days_before

__all__ = ["Row", "Window", "calendar", "days_before", "known", "value"]


def value(row: Row, feature: Feature) -> float:
    """One feature of one row."""
    name, month = feature.measure, row.clock.month
    if name == "day_of_month":
        return row.clock.day
    if name == "month_sin":
        return math.sin(2 * math.pi * (month - 1) / 12)
    if name == "month_cos":
        return math.cos(2 * math.pi * (month - 1) / 12)
    if name in OF_DUE:
        return OF_DUE[name](row.pick(row.measured(feature) & ~row.past))
    window = row.window(feature)
    if window is None:
        return math.nan
    found = row.measured(feature) & row.inside(window)
    if name == "overlap":
        return overlap(row, feature, window, found)
    if name in IN_WINDOW:
        return IN_WINDOW[name](row, feature, window, found)
    if name in OF_EVENTS:
        return row.once((name, found.tobytes()), lambda: OF_EVENTS[name](row.pick(found)))
    dated = found & row.dated
    if name in OF_DATED:
        return row.once((name, dated.tobytes()), lambda: OF_DATED[name](row.pick(dated)))
    if name in OF_TIMES:
        return of_times(row, name, dated, breaks(row, feature, window))
    return row.once((name, options(feature, dated)), lambda: LINKED[name](row, feature, dated))


def of_times(row: Row, name: str, found: Mask, broken: Mask) -> float:
    def make() -> float:
        return OF_TIMES[name](row.pick(found)["time"], row.pick(broken)["time"])

    return row.once((name, found.tobytes(), broken.tobytes()), make)


def options(f: Feature, found: Mask) -> object:
    """What the value of a linked measure depends on: of no event, on nothing."""
    if not found.any():
        return None
    answer = f.answered_by, f.answered_by_service
    return f.closed_by, answer, f.followed_by, f.match, f.within, found.tobytes()
