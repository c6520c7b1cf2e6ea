"""The compiled inner loops: one pass over a person's events for each prediction time.

Every function here is pure on flat arrays and releases the interpreter lock; threads share the work
by ranges of people. What each number means is said in :data:`features.measures.MEASURES`. All of
it stays in one file: Numba's cache on disk notices a change of this file only.
"""

from __future__ import annotations

import numpy as np

from features.arrays import (
    ALWAYS,
    BY_PERSON,
    BY_RECEIVER,
    BY_REFERENCE,
    NO_DAY,
    Events,
    Floats,
    Int32s,
    Int64s,
    Plan,
    Rows,
)
from features.compiling import compiled
from features.local_days import NEVER
from features.measures import Op

__all__ = ["fill"]


@compiled
def _first_at(time: Int64s, items: Int64s, low: int, high: int, edge: int) -> int:
    """First place in `items[low:high]` whose time is not before `edge`."""
    while low < high:
        middle = (low + high) // 2
        if time[items[middle]] < edge:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _number(op: int, value: Floats, items: Int64s, low: int, high: int) -> float:
    """sum, mean, max or last of the numeric values of `items[low:high]`."""
    total, largest, last, known = 0.0, -np.inf, np.nan, 0
    for i in range(low, high):
        found = np.float64(value[items[i]])
        if not np.isnan(found):
            total += found
            largest = max(largest, found)
            last = found
            known += 1
    if op == Op.SUM:
        return total
    if known == 0:
        return np.nan
    if op == Op.MEAN:
        return total / known
    return largest if op == Op.MAX else last


@compiled
def _usual_gap(day: Int32s, items: Int64s, low: int, high: int) -> float:
    """Mean days between successive days with an event; NaN under two such days."""
    days = 1
    for i in range(low + 1, high):
        if day[items[i]] != day[items[i - 1]]:
            days += 1
    if high - low < 2 or days < 2:
        return np.nan
    return (day[items[high - 1]] - day[items[low]]) / (days - 1)


@compiled
def _services(
    service: Int32s, items: Int64s, low: int, high: int, stamp: Int64s, ticket: int
) -> float:
    """Distinct services of `items[low:high]`."""
    found = 0
    for i in range(low, high):
        one = service[items[i]]
        if stamp[one] != ticket:
            stamp[one] = ticket
            found += 1
    return float(found)


@compiled
def _mark(
    time: Int64s,
    reference: Int32s,
    items: Int64s,
    low: int,
    high: int,
    stamp: Int64s,
    ticket: int,
) -> int:
    """Stamp the references of the closing or answering events; time of the latest without one."""
    latest = NEVER
    for i in range(low, high):
        event = items[i]
        if reference[event] >= 0:
            stamp[reference[event]] = ticket
        else:
            latest = max(latest, time[event])
    return latest


@compiled
def _spells(
    op: int,
    time: Int64s,
    ends: Int64s,
    day: Int32s,
    end_day: Int32s,
    reference: Int32s,
    items: Int64s,
    low: int,
    high: int,
    t: int,
    today: int,
    within: int,
    stamp: Int64s,
    ticket: int,
    latest: int,
) -> float:
    """Open spells, the oldest one's age or the nearest end; see `_mark` for the closing events."""
    number, oldest = 0, NO_DAY
    nearest, lapsed = np.int64(ALWAYS), np.int64(NEVER)
    for i in range(low, high):
        event = items[i]
        about = reference[event]
        closed = stamp[about] == ticket if about >= 0 else latest >= time[event]
        if closed:
            continue
        if ends[event] >= t:
            number += 1
            if oldest == NO_DAY:
                oldest = day[event]
            if ends[event] != ALWAYS:
                nearest = min(nearest, np.int64(end_day[event]))
        else:
            lapsed = max(lapsed, np.int64(end_day[event]))
    if op == Op.OPEN_SPELLS:
        return float(number)
    if op == Op.OPEN_SPELL_AGE:
        return np.nan if number == 0 else float(today - oldest)
    if number > 0:
        return np.nan if nearest == ALWAYS else float(nearest - today)
    if lapsed == NEVER or (within >= 0 and today - lapsed > within):
        return np.nan
    return float(lapsed - today)


@compiled
def _latest_answers(
    time: Int64s, service: Int32s, items: Int64s, low: int, high: int, by_service: Int64s
) -> int:
    """Time of the latest answer, and by service in `by_service`."""
    by_service[:] = NEVER
    latest = NEVER
    for i in range(low, high):
        event = items[i]
        by_service[service[event]] = max(by_service[service[event]], time[event])
        latest = max(latest, time[event])
    return latest


@compiled
def _latest_of_others(service: int, by_service: Int64s) -> int:
    """Time of the latest answer by another service."""
    latest = NEVER
    for one in range(len(by_service)):
        if one != service:
            latest = max(latest, by_service[one])
    return latest


@compiled
def _unanswered(
    op: int,
    answering: int,
    time: Int64s,
    day: Int32s,
    service: Int32s,
    receiver: Int32s,
    reference: Int32s,
    items: Int64s,
    low: int,
    high: int,
    today: int,
    within: int,
    stamp: Int64s,
    ticket: int,
    latest: int,
    by_service: Int64s,
) -> float:
    """Unanswered events or the age of the oldest; `latest` is the latest answer without a reference
    (by reference) or by anyone (by person)."""
    number, oldest = 0, NO_DAY
    for i in range(low, high):
        event = items[i]
        if today - day[event] < within:
            continue
        if answering == BY_REFERENCE and reference[event] >= 0:
            answered = stamp[reference[event]] == ticket
        elif answering in (BY_REFERENCE, BY_PERSON):
            answered = latest >= time[event]
        elif answering == BY_RECEIVER and receiver[event] >= 0:
            answered = by_service[receiver[event]] >= time[event]
        else:
            answered = _latest_of_others(service[event], by_service) >= time[event]
        if not answered:
            number += 1
            if oldest == NO_DAY:
                oldest = day[event]
    if op == Op.UNANSWERED:
        return float(number)
    return np.nan if number == 0 else float(today - oldest)


@compiled
def fill(
    events: Events,
    plan: Plan,
    rows: Rows,
    references: int,
    first: int,
    last: int,
    out: Floats,
    last_seen: Int32s,
) -> None:
    """Write the features of the rows of people `first` to `last`, as known at each row's time.

    Args:
        events: Sorted events; a version counts at t iff recorded < t <= superseded and time < t.
        plan: The compiled catalogue.
        rows: Cohort rows, grouped by person.
        references: The most references that one person has.
        first: First person of the range.
        last: Person after the last.
        out: float32 [rows, features], written in cohort order.
        last_seen: int32 [rows, groups], local day of each group's latest event or NO_DAY.
    """
    # Arrays are taken out of their tuples once: passing a tuple on costs a count for each of them.
    time, recorded, superseded = events.time, events.recorded, events.superseded
    ends, day, end_day, number = events.ends, events.day, events.end_day, events.value
    kinds, service, receiver = events.kind, events.service, events.receiver
    reference = events.reference
    kind_begin, kind_sets, ahead = plan.kind_begin, plan.kind_sets, plan.ahead
    sets, spans = len(ahead), len(plan.span_set)
    begin = np.zeros(sets + 1, np.int64)
    stop = np.zeros(sets, np.int64)
    dated = np.zeros(sets, np.int64)
    following = np.zeros(sets, np.int32)
    low = np.zeros(spans, np.int64)
    stamp = np.zeros(max(references, plan.services) + 1, np.int64)
    by_service = np.zeros(max(plan.services, 1), np.int64)
    items = np.zeros(1024, np.int64)
    ticket = 0
    for person in range(first, last):
        from_event, to_event = events.begin[person], events.end[person]
        begin[:] = 0
        for event in range(from_event, to_event):
            for k in range(kind_begin[kinds[event]], kind_begin[kinds[event] + 1]):
                begin[kind_sets[k] + 1] += 1
        for s in range(sets):
            begin[s + 1] += begin[s]
        if begin[sets] > len(items):
            items = np.zeros(2 * begin[sets], np.int64)
        for place in range(rows.begin[person], rows.begin[person + 1]):
            row, instant = rows.order[place], rows.instant[place]
            t, today = rows.time[instant], rows.day[instant]
            stop[:] = begin[:sets]
            dated[:] = begin[:sets]
            following[:] = NO_DAY
            for event in range(from_event, to_event):
                if recorded[event] >= t or t > superseded[event]:
                    continue
                kind, past = kinds[event], time[event] < t
                for k in range(kind_begin[kind], kind_begin[kind + 1]):
                    s = kind_sets[k]
                    if past:
                        items[stop[s]] = event
                        stop[s] += 1
                        if time[event] == NEVER:
                            dated[s] += 1
                    elif ahead[s] and following[s] == NO_DAY:
                        following[s] = day[event]
            for k in range(spans):
                s, w = plan.span_set[k], plan.span_window[k]
                low[k] = begin[s]
                if w > 0:
                    low[k] = _first_at(time, items, dated[s], stop[s], rows.edges[instant, w])
            for f in range(len(plan.op)):
                op, s, other = plan.op[f], plan.main[f], plan.other[f]
                value = np.nan
                if op == Op.MONTH_SIN or op == Op.MONTH_COS:
                    angle = 2.0 * np.pi * (rows.month[instant] - 1) / 12.0
                    out[row, f] = np.sin(angle) if op == Op.MONTH_SIN else np.cos(angle)
                    continue
                lo, hi = low[plan.span[f]], stop[s]
                since = max(lo, dated[s])
                if op == Op.COUNT:
                    value = float(hi - lo)
                elif op == Op.ANY:
                    value = 1.0 if hi > lo else 0.0
                elif op == Op.SUM or op == Op.MEAN or op == Op.MAX or op == Op.LAST:
                    value = _number(op, number, items, lo, hi)
                elif op == Op.DAYS_SINCE_LAST:
                    if hi > since:
                        value = float(today - day[items[hi - 1]])
                elif op == Op.DAYS_SINCE_FIRST:
                    if hi > since:
                        value = float(today - day[items[since]])
                elif op == Op.DAYS_TO_NEXT:
                    if following[s] != NO_DAY:
                        value = float(following[s] - today)
                elif op == Op.MEAN_GAP:
                    value = _usual_gap(day, items, since, hi)
                elif op == Op.CURRENT_OVER_USUAL_GAP:
                    usual = _usual_gap(day, items, since, hi)
                    if not np.isnan(usual):
                        value = (today - day[items[hi - 1]]) / usual
                elif op == Op.TREND:
                    value = float((hi - lo) - (lo - low[plan.before[f]]))
                elif op == Op.SHARE:
                    resolved = stop[other] - low[plan.before[f]]
                    if resolved > 0:
                        value = (hi - lo) / resolved
                elif op == Op.STREAK:
                    edge = NEVER
                    if stop[other] > dated[other]:
                        edge = time[items[stop[other] - 1]] + 1
                    value = float(hi - max(since, _first_at(time, items, since, hi, edge)))
                elif op == Op.CURRENT:
                    latest = NEVER
                    if stop[other] > max(low[plan.before[f]], dated[other]):
                        latest = time[items[stop[other] - 1]]
                    if hi > since and time[items[hi - 1]] >= latest:
                        value = 1.0
                    elif latest != NEVER:
                        value = 0.0
                elif op == Op.ACTIVE_SERVICES:
                    ticket += 1
                    value = _services(service, items, lo, hi, stamp, ticket)
                elif op == Op.OPEN_SPELLS or op == Op.OPEN_SPELL_AGE or op == Op.DAYS_TO_SPELL_END:
                    if hi > since:
                        ticket += 1
                        latest = NEVER
                        if other >= 0:
                            from_, to = dated[other], stop[other]
                            latest = _mark(time, reference, items, from_, to, stamp, ticket)
                        value = _spells(
                            op,
                            time,
                            ends,
                            day,
                            end_day,
                            reference,
                            items,
                            since,
                            hi,
                            t,
                            today,
                            plan.within[f],
                            stamp,
                            ticket,
                            latest,
                        )
                    elif op == Op.OPEN_SPELLS:
                        value = 0.0
                elif hi > since:
                    ticket += 1
                    from_, to = dated[other], stop[other]
                    if plan.answering[f] == BY_REFERENCE:
                        latest = _mark(time, reference, items, from_, to, stamp, ticket)
                    else:
                        latest = _latest_answers(time, service, items, from_, to, by_service)
                    value = _unanswered(
                        op,
                        plan.answering[f],
                        time,
                        day,
                        service,
                        receiver,
                        reference,
                        items,
                        since,
                        hi,
                        today,
                        plan.within[f],
                        stamp,
                        ticket,
                        latest,
                        by_service,
                    )
                elif op == Op.UNANSWERED:
                    value = 0.0
                out[row, f] = value
            for g in range(len(plan.group_set)):
                s = plan.group_set[g]
                if s < 0:
                    last_seen[row, g] = today
                elif stop[s] > dated[s]:
                    last_seen[row, g] = day[items[stop[s] - 1]]
                else:
                    last_seen[row, g] = NO_DAY
