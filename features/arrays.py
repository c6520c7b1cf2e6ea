"""The flat arrays that timelines, catalogues and cohorts become before anything is computed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALWAYS",
    "BY_OTHER",
    "BY_PERSON",
    "BY_RECEIVER",
    "BY_REFERENCE",
    "NO_DAY",
    "Bools",
    "Events",
    "Floats",
    "Int32s",
    "Int64s",
    "Plan",
    "Rows",
    "SlidingPlan",
]

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

ALWAYS = int(np.iinfo(np.int64).max)
"""An instant after all others: an end that is not planned, a version that none supersedes."""
NO_DAY = int(np.iinfo(np.int32).min)
"""A calendar day that does not exist."""
BY_REFERENCE, BY_PERSON, BY_OTHER, BY_RECEIVER = 0, 1, 2, 3
"""Who answers an event: one of its reference, anyone, another service, the receiving service.

Never renumber: kernels compiled earlier and kept on disk hold them, and the two constants above.
"""


class Events(NamedTuple):
    """All versions of the events of some people, sorted by person, time, recorded_at, value.

    begin, end: int64 [people] range of each person's events.
    time, recorded, superseded, ends: int64 [events] microseconds; time NEVER = static, ends ALWAYS
    = none planned.
    day, end_day: int32 [events] local calendar days.
    value: float32 [events], NaN = none.
    kind: int32 [events] number of the event's code, source and band of values together.
    code: int32 [events] number of the code in `Layout.codes`; one more than the last = no feature
    looks at it.
    service, receiver: int32 [events]; receiver -1 = not named.
    reference: int32 [events] numbered within the person, -1 = none.

    A column that no feature of the catalogue looks at has length 0.
    """

    begin: Int64s
    end: Int64s
    time: Int64s
    recorded: Int64s
    superseded: Int64s
    ends: Int64s
    day: Int32s
    end_day: Int32s
    value: Floats
    kind: Int32s
    code: Int32s
    service: Int32s
    receiver: Int32s
    reference: Int32s


class Plan(NamedTuple):
    """The features that are computed row by row, as arrays; see :mod:`features.kernels`.

    A *set* is the events of some codes, services and values; a *span* is a set in a window.

    kind_begin, kind_sets: sets that hold the events of a kind, compressed rows.
    ahead: bool [sets] whether the set is also looked for after the prediction time.
    about: int32 [sets] set whose references an event of this set must share; -1 = none.
    span_set, span_window, span_anchor: int32 [spans]; window 0 is the whole history; anchor = the
    set whose latest dated event begins the window, -1 = the window's own edge.
    op, main, other, third, span, before, within, answering: int32 [features of the catalogue];
    `main`, `other`, `third` are sets (-1 = none), `span` and `before` spans (the feature's window
    and the second one it needs), `within` days or -1, `answering` one of BY_REFERENCE, BY_PERSON,
    BY_OTHER, BY_RECEIVER.
    empty: float32 [features] value of a person without any event.
    window_closed: bool [windows] whether a window ends before the prediction time.
    services: int64 number of services; codes: int64 number of codes.
    """

    kind_begin: Int32s
    kind_sets: Int32s
    ahead: Bools
    about: Int32s
    span_set: Int32s
    span_window: Int32s
    span_anchor: Int32s
    op: Int32s
    main: Int32s
    other: Int32s
    third: Int32s
    span: Int32s
    before: Int32s
    within: Int32s
    answering: Int32s
    empty: Floats
    window_closed: Bools
    services: int
    codes: int


class SlidingPlan(NamedTuple):
    """The features that follow from what enters and leaves a window; see :mod:`features.sliding`.

    window: int32 [sliding windows] their numbers in `Rows.since`.
    begin: int32 [kinds * windows + 1] range of steps for an event of a kind in a window.
    step, column: int32 [steps] what to do, and to which column of the state.
    weight: float32 [steps] what an event adds to a count.
    empty: float32 [state] state of a person without events.
    daily: float32 [state] 1 where the column counts days until the prediction time, else 0.
    columns: int64 columns of the matrix; the state's others are days of last events by group.
    """

    window: Int32s
    begin: Int32s
    step: Int32s
    column: Int32s
    weight: Floats
    empty: Floats
    daily: Floats
    columns: int


class Rows(NamedTuple):
    """Cohort rows of the same people, by person and time.

    begin: int64 [people + 1] range in `order` of each person's rows.
    order: int64 [rows] position of the row in the cohort.
    instant: int64 [rows] number of its prediction time.
    time: int64 [instants] microseconds; day, month, month_day: int32 [instants] local.
    since, until: int64 [instants, windows] first instant of each window, and the one after its
    last; window 0 is the whole history. `until` is the prediction time unless the window is closed.
    """

    begin: Int64s
    order: Int64s
    instant: Int64s
    time: Int64s
    day: Int32s
    month: Int32s
    month_day: Int32s
    since: Int64s
    until: Int64s
