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
    "Events",
    "Floats",
    "Int32s",
    "Int64s",
    "Plan",
    "Rows",
]

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

ALWAYS = int(np.iinfo(np.int64).max)
"""An instant after all others: an end that is not planned, a version that none supersedes."""
NO_DAY = int(np.iinfo(np.int32).min)
"""A calendar day that does not exist."""
BY_REFERENCE, BY_PERSON, BY_OTHER, BY_RECEIVER = 0, 1, 2, 3
"""Who answers an event: one of its reference, anyone, another service, the receiving service."""


class Events(NamedTuple):
    """All versions of the events of some people, sorted by person, time, recorded_at, value.

    begin, end: int64 [people] range of each person's events.
    time, recorded, superseded, ends: int64 [events] microseconds; time NEVER = static, ends ALWAYS
    = none planned.
    day, end_day: int32 [events] local calendar days.
    value: float32 [events], NaN = none.
    kind: int32 [events] number of the event's code and source together.
    service, receiver: int32 [events]; receiver -1 = not named.
    reference: int32 [events] numbered within the person, -1 = none.
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
    service: Int32s
    receiver: Int32s
    reference: Int32s


class Plan(NamedTuple):
    """A catalogue as arrays.

    kind_begin, kind_sets: sets that hold the events of a kind, compressed rows.
    ahead: bool [sets] whether the set is looked for after the prediction time.
    span_set, span_window: int32 [spans] the (set, window) pairs in use.
    op, main, other, span, before, within, answering: int32 [features]; `main` and `other` are sets,
    `span` and `before` spans (the feature's window and the second one it needs), `within` days or
    -1, `answering` one of BY_REFERENCE, BY_PERSON, BY_OTHER, BY_RECEIVER.
    group_set: int32 [groups] set of the group's events, -1 = the prediction time itself.
    services: int64 number of services.
    """

    kind_begin: Int32s
    kind_sets: Int32s
    ahead: npt.NDArray[np.bool_]
    span_set: Int32s
    span_window: Int32s
    op: Int32s
    main: Int32s
    other: Int32s
    span: Int32s
    before: Int32s
    within: Int32s
    answering: Int32s
    group_set: Int32s
    services: int


class Rows(NamedTuple):
    """Cohort rows of the same people.

    begin: int64 [people + 1] range in `order` of each person's rows.
    order: int64 [rows] position of the row in the cohort.
    instant: int64 [rows] number of its prediction time.
    time: int64 [instants] microseconds; day, month: int32 [instants] local.
    edges: int64 [instants, windows] start of each window; window 0 is the whole history.
    """

    begin: Int64s
    order: Int64s
    instant: Int64s
    time: Int64s
    day: Int32s
    month: Int32s
    edges: Int64s
