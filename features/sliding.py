"""The compiled inner loop of columns that follow from what enters and leaves a window.

A person's events are read once, in the order of time, whatever the number of prediction times:
from one time to the next only the events that become known, enter or leave a window change the
state, and the state is the row. Everything here stays in one file: Numba's cache on disk notices
a change of this file only.
"""

from __future__ import annotations

import numpy as np

from features.arrays import ALWAYS, NO_DAY, Events, Floats, Int32s, Int64s, Rows, SlidingPlan
from features.compiling import compiled, inlined
from features.local_days import NEVER
from features.steps import Step

__all__ = ["slide", "slide_sparse"]

_COUNT, _ANY, _SUM, _MEAN = int(Step.COUNT), int(Step.ANY), int(Step.SUM), int(Step.MEAN)
_LATEST, _EARLIEST, _PART = int(Step.LATEST), int(Step.EARLIEST), int(Step.PART)
_STEPS = len(Step)
_OUT, _STAYING, _LEAVING, _ENTERING = 0, 1, 2, 4
"""Whether an event is known and stands: no; yes; no longer, from this time on; from now on."""
_HELD, _IN = _STAYING | _LEAVING, _STAYING | _ENTERING
"""States of events that windows hold from the time before; of those that they hold afterwards."""


@inlined
def _change(  # type: ignore[no-untyped-def]
    sign, event, window, windows, begin, step, column, weight, kind, day, value, time, row, part,
    whole, total, lost, losses,
):  # fmt: skip
    """Let an event enter (sign 1) or leave (sign -1) one window.

    A column whose latest or earliest event leaves while others stay is marked in `lost` by its
    step, and counted in `losses`: see `_find`.
    """
    place = kind[event] * windows + window
    for k in range(begin[place], begin[place + 1]):
        c = column[k]
        s = step[k]
        if s == _COUNT:
            row[c] += sign * weight[k]
        elif s in (_SUM, _MEAN):
            v = np.float64(value[event])
            if not np.isnan(v):
                part[c] += sign
                total[c] += sign * v
                if part[c] == 0:
                    total[c] = 0.0
                    row[c] = 0.0 if s == _SUM else np.nan
                else:
                    row[c] = total[c] if s == _SUM else total[c] / part[c]
        elif s == _ANY:
            part[c] += sign
            row[c] = 1.0 if part[c] > 0 else 0.0
        elif s in (_LATEST, _EARLIEST):
            if time[event] != NEVER:
                part[c] += sign
                own = -np.float32(day[event])
                if part[c] == 0:
                    row[c] = np.nan
                    if lost[c] == s:
                        lost[c] = 0
                        losses[s] -= 1
                elif sign > 0:
                    if part[c] == 1:
                        row[c] = own
                    elif s == _LATEST:
                        row[c] = min(row[c], own)
                    else:
                        row[c] = max(row[c], own)
                elif row[c] == own and lost[c] != s:
                    lost[c] = s
                    losses[s] += 1
        else:
            if s == _PART:
                part[c] += sign
            else:
                whole[c] += sign
            row[c] = part[c] / whole[c] if whole[c] > 0 else np.nan


@inlined
def _find(  # type: ignore[no-untyped-def]
    window, windows, low, high, first, begin, column, kind, day, time, state, row, lost, losses,
):  # fmt: skip
    """Find the latest or earliest event of all marked columns at once, and unmark them.

    The events from `low` to `high` are those of the window. Each is read at most twice for a
    prediction time, however many of them left and whatever the number of columns.
    """
    for s in range(_LATEST, _EARLIEST + 1):
        i = high - 1 if s == _LATEST else low
        while losses[s] > 0 and low <= i < high:
            if state[i - first] & _IN != 0 and time[i] != NEVER:
                place = kind[i] * windows + window
                for k in range(begin[place], begin[place + 1]):
                    c = column[k]
                    if lost[c] == s:
                        row[c] = -np.float32(day[i])
                        lost[c] = 0
                        losses[s] -= 1
            i += -1 if s == _LATEST else 1


@inlined
def _advance(  # type: ignore[no-untyped-def]
    t, since, oldest, first, last, low, high, pending, pendings, expiring, expirings, come, gone,
    state, begin, step, column, weight, kind, day, value, time, recorded, superseded, row, part,
    whole, total, lost, losses,
):  # fmt: skip
    """Bring the state of one person from an earlier prediction time to `t`."""
    windows, kept, went = len(since), 0, 0
    for k in range(expirings):
        i = expiring[k]
        if superseded[i] < t:
            state[i - first] = _LEAVING
            gone[went] = i
            went += 1
        else:
            expiring[kept] = i
            kept += 1
    expirings = kept
    before = high
    while high < last and time[high] < oldest:
        # Too old for every window, now and at any later time.
        state[high - first] = _OUT
        high += 1
    passed = high if before < high else 0
    kept, came, k = 0, 0, 0
    while True:
        if k < pendings:
            i = pending[k]
            k += 1
        elif high < last and time[high] < t:
            i = high
            high += 1
            state[i - first] = _OUT
        else:
            break
        if recorded[i] >= t:
            pending[kept] = i
            kept += 1
        elif t <= superseded[i]:
            state[i - first] = _ENTERING
            come[came] = i
            came += 1
            if superseded[i] != ALWAYS:
                expiring[expirings] = i
                expirings += 1
    pendings = kept
    for w in range(windows):
        edge = since[w]
        lowest, k = low[w], 0
        while True:
            # First what the window's edge passes, then what was replaced.
            if lowest < before and time[lowest] < edge:
                i = lowest
                lowest += 1
                if state[i - first] & _HELD == 0:
                    continue
            elif k < went:
                i = gone[k]
                k += 1
                if time[i] < edge:
                    continue
            else:
                break
            _change(
                -1, i, w, windows, begin, step, column, weight, kind, day, value, time, row, part,
                whole, total, lost, losses,
            )  # fmt: skip
        for k in range(came):
            i = come[k]
            if time[i] >= edge:
                _change(
                    1, i, w, windows, begin, step, column, weight, kind, day, value, time, row,
                    part, whole, total, lost, losses,
                )  # fmt: skip
        # What came too old for the window was never in it.
        lowest = max(lowest, passed)
        while lowest < high and time[lowest] < edge:
            lowest += 1
        low[w] = lowest
        _find(
            w, windows, lowest, high, first, begin, column, kind, day, time, state, row, lost,
            losses,
        )  # fmt: skip
    for k in range(went):
        state[gone[k] - first] = _OUT
    for k in range(came):
        state[come[k] - first] = _STAYING
    return high, pendings, expirings


@compiled
def slide(
    events: Events,
    plan: SlidingPlan,
    rows: Rows,
    first: int,
    last: int,
    base: int,
    out: Floats,
    last_seen: Int32s,
) -> None:
    """Write the rows of people `first` to `last`: sliding columns, and what all others begin with.

    Args:
        events: Sorted events; a version counts at t iff recorded < t <= superseded and time < t.
        plan: The sliding columns of a catalogue.
        rows: Cohort rows by person and time.
        first: First person of the range.
        last: Person after the last.
        base: Position in the cohort of the first row of `out`.
        out: float32 [rows, columns].
        last_seen: int32 [rows, groups] or [0, 0]: local day of each group's latest event, NO_DAY
            for none, the day of the row for a group without events of its own.
    """
    # Arrays are taken out of their tuples once: passing a tuple on costs a count for each of them.
    time, recorded, superseded = events.time, events.recorded, events.superseded
    day, value, kind = events.day, events.value, events.kind
    begin, step, column, weight = plan.begin, plan.step, plan.column, plan.weight
    empty, daily, columns, windows = plan.empty, plan.daily, plan.columns, len(plan.window)
    groups = len(empty) - columns
    plain = not daily[:columns].any()
    zero = np.float32(0.0)  # so that no -0.0 leaves, whichever columns stand beside it
    row = empty.copy()
    part = np.zeros(len(empty), np.int32)
    whole = np.zeros(len(empty), np.int32)
    total = np.zeros(len(empty), np.float64)
    lost = np.zeros(len(empty), np.uint8)
    losses = np.zeros(_STEPS, np.int64)
    low = np.zeros(windows, np.int64)
    since = np.zeros(windows, np.int64)
    state = np.zeros(256, np.uint8)
    pending = np.zeros(256, np.int64)
    expiring = np.zeros(256, np.int64)
    come = np.zeros(256, np.int64)
    gone = np.zeros(256, np.int64)
    for person in range(first, last):
        from_event, to_event = events.begin[person], events.end[person]
        if to_event - from_event > len(state):
            room = 2 * (to_event - from_event)
            state = np.zeros(room, np.uint8)
            pending = np.zeros(room, np.int64)
            expiring = np.zeros(room, np.int64)
            come = np.zeros(room, np.int64)
            gone = np.zeros(room, np.int64)
        start = rows.begin[person]
        for place in range(start, rows.begin[person + 1]):
            instant = rows.instant[place]
            t = rows.time[instant]
            back = place == start
            oldest = t
            for w in range(windows):
                edge = rows.since[instant, plan.window[w]]
                oldest = min(oldest, edge)
                # A clock set back can move the edge of a window back, too: begin again.
                back = back or edge < since[w]
                since[w] = edge
            if back:
                for f in range(len(empty)):  # copying a slice compiles far more code
                    row[f] = empty[f]
                part[:] = 0
                whole[:] = 0
                total[:] = 0.0
                low[:] = from_event
                high, pendings, expirings = from_event, 0, 0
            high, pendings, expirings = _advance(
                t, since, oldest, from_event, to_event, low, high, pending, pendings, expiring,
                expirings, come, gone, state, begin, step, column, weight, kind, day, value, time,
                recorded, superseded, row, part, whole, total, lost, losses,
            )  # fmt: skip
            r = rows.order[place] - base
            if plain:
                for c in range(columns):
                    out[r, c] = row[c] + zero
            else:
                today = np.float32(rows.day[instant])
                for c in range(columns):
                    out[r, c] = row[c] + today * daily[c]
            for g in range(groups):
                latest = -row[columns + g]
                if daily[columns + g] > 0:
                    last_seen[r, g] = rows.day[instant]
                elif np.isnan(latest):
                    last_seen[r, g] = NO_DAY
                else:
                    last_seen[r, g] = np.int32(latest)


@compiled
def slide_sparse(
    events: Events,
    plan: SlidingPlan,
    rows: Rows,
    first: int,
    last: int,
    base: int,
    counts: Int64s,
    indices: Int32s,
    data: Floats,
) -> tuple[int, int]:
    """The same rows in compressed sparse form, without the values of a person without events.

    Args:
        events: As for `slide`.
        plan: As for `slide`.
        rows: As for `slide`; their order is the order of the cohort.
        first: First person of the range.
        last: Person after the last.
        base: Position of the first row of the block.
        counts: int64 [rows], how many values each row has.
        indices: int32 [room], columns, ascending within a row.
        data: float32 [room], values.

    Returns:
        The person after the last one that found room, and how many values were written.
    """
    time, recorded, superseded = events.time, events.recorded, events.superseded
    day, value, kind = events.day, events.value, events.kind
    begin, step, column, weight = plan.begin, plan.step, plan.column, plan.weight
    empty, daily, windows = plan.empty, plan.daily, len(plan.window)
    row = empty.copy()
    part = np.zeros(len(empty), np.int32)
    whole = np.zeros(len(empty), np.int32)
    total = np.zeros(len(empty), np.float64)
    lost = np.zeros(len(empty), np.uint8)
    losses = np.zeros(_STEPS, np.int64)
    low = np.zeros(windows, np.int64)
    since = np.zeros(windows, np.int64)
    state = np.zeros(256, np.uint8)
    pending = np.zeros(256, np.int64)
    expiring = np.zeros(256, np.int64)
    come = np.zeros(256, np.int64)
    gone = np.zeros(256, np.int64)
    touched = np.zeros(1024, np.int32)
    marked = np.zeros(len(empty), np.bool_)
    written = 0
    for person in range(first, last):
        from_event, to_event = events.begin[person], events.end[person]
        if to_event - from_event > len(state):
            room = 2 * (to_event - from_event)
            state = np.zeros(room, np.uint8)
            pending = np.zeros(room, np.int64)
            expiring = np.zeros(room, np.int64)
            come = np.zeros(room, np.int64)
            gone = np.zeros(room, np.int64)
        many = 0
        for i in range(from_event, to_event):
            for k in range(begin[kind[i] * windows], begin[(kind[i] + 1) * windows]):
                if not marked[column[k]]:
                    marked[column[k]] = True
                    if many == len(touched):
                        touched = np.append(touched, np.zeros(many, np.int32))
                    touched[many] = column[k]
                    many += 1
        of_person = np.sort(touched[:many])
        for c in of_person:
            marked[c] = False
        start, stop = rows.begin[person], rows.begin[person + 1]
        if written + many * (stop - start) > len(indices):
            return person, written
        for place in range(start, stop):
            instant = rows.instant[place]
            t = rows.time[instant]
            back = place == start
            oldest = t
            for w in range(windows):
                edge = rows.since[instant, plan.window[w]]
                oldest = min(oldest, edge)
                back = back or edge < since[w]
                since[w] = edge
            if back:
                for c in of_person:
                    row[c] = empty[c]
                    part[c] = 0
                    whole[c] = 0
                    total[c] = 0.0
                low[:] = from_event
                high, pendings, expirings = from_event, 0, 0
            high, pendings, expirings = _advance(
                t, since, oldest, from_event, to_event, low, high, pending, pendings, expiring,
                expirings, come, gone, state, begin, step, column, weight, kind, day, value, time,
                recorded, superseded, row, part, whole, total, lost, losses,
            )  # fmt: skip
            today = np.float32(rows.day[instant])
            before = written
            for c in of_person:
                if row[c] == empty[c] or (np.isnan(row[c]) and np.isnan(empty[c])):
                    continue
                indices[written] = c
                data[written] = row[c] + today * daily[c]
                written += 1
            counts[rows.order[place] - base] = written - before
        for c in of_person:
            row[c] = empty[c]
    return last, written
