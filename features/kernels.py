"""The compiled inner loops of columns computed row by row: one pass over a person's events for each
prediction time.

Every function here is pure on flat arrays and releases the interpreter lock; threads share the work
by ranges of people. What each number means is said in :data:`features.measures.MEASURES`. A row
costs what its events cost: features whose events are all absent are passed over. Sums go in the
order of the events, in float64, so that a value never depends on what is computed beside it. All of
it stays in one file: Numba's cache on disk notices a change of this file only.

In every function `items[low:high]` are the numbers of some events, by time.
"""

from __future__ import annotations

import numpy as np

from features.arrays import (
    ALWAYS,
    BY_OTHER,
    BY_PERSON,
    BY_RECEIVER,
    BY_REFERENCE,
    NO_DAY,
    Bools,
    Events,
    Floats,
    Int32s,
    Int64s,
    Plan,
    Rows,
)
from features.compiling import called, compiled
from features.local_days import NEVER
from features.measures import Op

__all__ = ["fill"]

_COUNT, _ANY, _SUM, _MEAN = int(Op.COUNT), int(Op.ANY), int(Op.SUM), int(Op.MEAN)
_MAX, _MIN, _LAST, _STD = int(Op.MAX), int(Op.MIN), int(Op.LAST), int(Op.STD)
_SLOPE, _SHARE, _CURRENT, _STREAK = int(Op.SLOPE), int(Op.SHARE), int(Op.CURRENT), int(Op.STREAK)
_SINCE_LAST, _SINCE_FIRST = int(Op.DAYS_SINCE_LAST), int(Op.DAYS_SINCE_FIRST)
_TO_NEXT, _AHEAD = int(Op.DAYS_TO_NEXT), int(Op.AHEAD)
_MEAN_GAP, _LONGEST_GAP = int(Op.MEAN_GAP), int(Op.LONGEST_GAP)
_ACTIVE_DAYS, _OVER_USUAL = int(Op.ACTIVE_DAYS), int(Op.CURRENT_OVER_USUAL_GAP)
_TREND, _TREND_RATIO = int(Op.TREND), int(Op.TREND_RATIO)
_OPEN, _OPEN_AGE = int(Op.OPEN_SPELLS), int(Op.OPEN_SPELL_AGE)
_TO_END, _OVERLAP = int(Op.DAYS_TO_SPELL_END), int(Op.OVERLAP)
_SERVICES, _DOMINANT = int(Op.ACTIVE_SERVICES), int(Op.DOMINANT_SHARE)
_CODES, _REFERENCES = int(Op.DISTINCT_CODES), int(Op.DISTINCT_REFERENCES)
_SEQUENCES, _SEQUENCE_DELAY = int(Op.SEQUENCES), int(Op.SEQUENCE_DELAY)
_UNANSWERED, _DAYS_UNANSWERED = int(Op.UNANSWERED), int(Op.DAYS_UNANSWERED)
_ANSWER_DELAY, _MONTH_DAY = int(Op.ANSWER_DELAY), int(Op.DAY_OF_MONTH)
_MONTH_SIN, _MONTH_COS = int(Op.MONTH_SIN), int(Op.MONTH_COS)


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


@called
def _stretch(
    time: Int64s, items: Int64s, begin: int, dated: int, stop: int, since: int, until: int
) -> tuple[int, int]:
    """Where a window lies in the items of a set; since NEVER = all, static events too."""
    low, high = begin, stop
    if since != NEVER:
        low = _first_at(time, items, dated, stop, since)
    if until != ALWAYS:
        high = _first_at(time, items, low, stop, until)
    return low, high


@called
def _numbers(
    value: Floats, items: Int64s, low: int, high: int
) -> tuple[int, float, float, float, float]:
    """How many numeric values, their sum, least, largest and latest."""
    known, total, least, largest, latest = 0, 0.0, np.inf, -np.inf, np.nan
    for i in range(low, high):
        found = np.float64(value[items[i]])
        if not np.isnan(found):
            known += 1
            total += found
            least = min(least, found)
            largest = max(largest, found)
            latest = found
    return known, total, least, largest, latest


@called
def _deviation(value: Floats, items: Int64s, low: int, high: int) -> float:
    """Standard deviation of the numeric values; NaN under two. Values that are all one give 0."""
    known, total, start = 0, 0.0, 0.0
    for i in range(low, high):
        found = np.float64(value[items[i]])
        if not np.isnan(found):
            if known == 0:
                start = found
            known += 1
            total += found - start
    if known < 2:
        return np.nan
    mean, squares = total / known, 0.0
    for i in range(low, high):
        found = np.float64(value[items[i]])
        if not np.isnan(found):
            squares += (found - start - mean) ** 2
    return np.sqrt(squares / known)


@called
def _slope(value: Floats, day: Int32s, items: Int64s, low: int, high: int) -> float:
    """Least-squares slope of the numeric values for 30 days; NaN under two days with one."""
    known, days, total, start, first = 0, 0.0, 0.0, 0.0, 0
    for i in range(low, high):
        found = np.float64(value[items[i]])
        if not np.isnan(found):
            if known == 0:
                start, first = found, day[items[i]]
            known += 1
            days += day[items[i]] - first
            total += found - start
    if known < 2:
        return np.nan
    middle, mean, above, below = days / known, total / known, 0.0, 0.0
    for i in range(low, high):
        found = np.float64(value[items[i]])
        if not np.isnan(found):
            apart = day[items[i]] - first - middle
            above += apart * (found - start - mean)
            below += apart * apart
    return 30.0 * above / below if days > 0.0 and below > 0.0 else np.nan


@called
def _days(day: Int32s, items: Int64s, low: int, high: int) -> tuple[int, int]:
    """Distinct days, and the most days between two successive ones."""
    if high == low:
        return 0, 0
    days, longest, latest = 1, 0, day[items[low]]
    for i in range(low + 1, high):
        # Never back: a clock set back just after midnight brings a day a second time.
        if day[items[i]] > latest:
            days += 1
            longest = max(longest, day[items[i]] - latest)
            latest = day[items[i]]
    return days, longest


@called
def _distinct(
    number: Int32s, items: Int64s, low: int, high: int, stamp: Int64s, count: Int64s, ticket: int
) -> tuple[int, int]:
    """Distinct numbers among those that are not negative, and how often the commonest stands."""
    found, most = 0, 0
    for i in range(low, high):
        one = number[items[i]]
        if one < 0:
            continue
        if stamp[one] != ticket:
            stamp[one] = ticket
            count[one] = 0
            found += 1
        count[one] += 1
        most = max(most, count[one])
    return found, most


@called
def _mark(
    time: Int64s, reference: Int32s, items: Int64s, low: int, high: int, stamp: Int64s, ticket: int
) -> int:
    """Stamp the references of closing or answering events; time of the latest without one."""
    latest = NEVER
    for i in range(low, high):
        about = reference[items[i]]
        if about >= 0:
            stamp[about] = ticket
        else:
            latest = time[items[i]]
    return latest


@called
def _latest_answers(
    time: Int64s, service: Int32s, items: Int64s, low: int, high: int, by_service: Int64s
) -> tuple[int, int, int]:
    """Time and service of the latest answer, time of the latest by another service than that; and
    the time of each service's latest in `by_service`."""
    by_service[:] = NEVER
    leader, latest, second = -1, NEVER, NEVER
    for i in range(low, high):
        event = items[i]
        if service[event] != leader:
            leader, second = service[event], latest
        latest = time[event]
        by_service[leader] = latest
    return latest, leader, second


@called
def _spells(
    time: Int64s, ends: Int64s, day: Int32s, end_day: Int32s, reference: Int32s, items: Int64s,
    low: int, high: int, t: int, stamp: Int64s, ticket: int, latest: int,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Number of open spells, day of the oldest, day of the nearest end, and the latest day on which
    a spell ended that nothing closed; NO_DAY for none. See `_mark` for the closing events."""
    number, oldest, nearest, lapsed = 0, NO_DAY, NO_DAY, NO_DAY
    for i in range(low, high):
        event = items[i]
        about = reference[event]
        closed = stamp[about] == ticket if about >= 0 else latest >= time[event]
        if closed:
            continue
        if ends[event] < t:
            lapsed = max(lapsed, end_day[event])
            continue
        number += 1
        if oldest == NO_DAY:
            oldest = day[event]
        if ends[event] != ALWAYS and (nearest == NO_DAY or end_day[event] < nearest):
            nearest = end_day[event]
    return number, oldest, nearest, lapsed


@called
def _unanswered(
    answering: int, time: Int64s, day: Int32s, service: Int32s, receiver: Int32s, reference: Int32s,
    items: Int64s, low: int, high: int, youngest: int, stamp: Int64s, ticket: int, latest: int,
    leader: int, second: int, by_service: Int64s,
) -> tuple[int, int]:  # fmt: skip
    """Number of unanswered events up to the day `youngest`, and the day of the oldest.

    `latest`, `leader` and `second` are those of `_latest_answers`; by reference, `latest` is that
    of `_mark`; by person, the time of the latest answer.
    """
    number, oldest = 0, NO_DAY
    for i in range(low, high):
        event = items[i]
        if day[event] > youngest:
            continue
        if answering == BY_REFERENCE and reference[event] >= 0:
            answered = stamp[reference[event]] == ticket
        elif answering in (BY_REFERENCE, BY_PERSON):
            answered = latest >= time[event]
        elif answering == BY_RECEIVER and receiver[event] >= 0:
            answered = by_service[receiver[event]] >= time[event]
        elif service[event] == leader:
            answered = second >= time[event]
        else:
            answered = latest >= time[event]
        if not answered:
            number += 1
            if oldest == NO_DAY:
                oldest = day[event]
    return number, oldest


@called
def _first_answers(
    answering: int, apart: bool, time: Int64s, service: Int32s, receiver: Int32s, reference: Int32s,
    items: Int64s, low: int, high: int, start: int, stop: int, nearest: Int64s, after: Int64s,
    stamp: Int64s, ticket: int, found: Int64s,
) -> None:  # fmt: skip
    """Write to `found` the first of `items[start:stop]` that answers each of `items[low:high]`, at
    the same time or later; -1 for none.

    Both are read backwards, once: for each reference, or each service, the nearest answer is kept
    and the one after it, for an event is no answer to itself where `apart` is set.
    """
    first, second, j = -1, -1, stop - 1
    for i in range(high - 1, low - 1, -1):
        event = items[i]
        while j >= start and time[items[j]] >= time[event]:
            one = items[j]
            slot = 0
            if answering == BY_REFERENCE:
                slot = reference[one] + 1
            elif answering != BY_PERSON:
                slot = service[one]
                if first >= 0 and service[first] != slot:
                    second = first
                first = one
            after[slot] = nearest[slot] if stamp[slot] == ticket else -1
            nearest[slot] = one
            stamp[slot] = ticket
            j -= 1
        answer = -1
        if answering == BY_OTHER or (answering == BY_RECEIVER and receiver[event] < 0):
            answer = first
            if first >= 0 and service[first] == service[event]:
                answer = second
        else:
            slot = 0
            if answering == BY_REFERENCE:
                slot = reference[event] + 1
            elif answering == BY_RECEIVER:
                slot = receiver[event]
            if stamp[slot] == ticket:
                answer = nearest[slot]
                if apart and answer == event:
                    answer = after[slot]
        found[i - low] = answer


@called
def _sequences(
    day: Int32s, items: Int64s, low: int, high: int, within: int, found: Int64s
) -> tuple[int, int]:
    """How many events are followed in `within` days, and the sum of their delays in days."""
    number, total = 0, 0
    for i in range(low, high):
        if found[i - low] >= 0:
            delay = day[found[i - low]] - day[items[i]]
            if within < 0 or delay <= within:
                number += 1
                total += delay
    return number, total


@called
def _middle(day: Int32s, items: Int64s, low: int, high: int, found: Int64s) -> float:
    """Median delay in days of the events that have an answer; NaN for none. Writes on `found`."""
    number = 0
    for i in range(low, high):
        if found[i - low] >= 0:
            found[number] = day[found[i - low]] - day[items[i]]
            number += 1
    if number == 0:
        return np.nan
    gap = 1
    while gap < number // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, number):
            one, j = found[i], i
            while j >= gap and found[j - gap] > one:
                found[j] = found[j - gap]
                j -= gap
            found[j] = one
        gap //= 3
    return (found[(number - 1) // 2] + found[number // 2]) / 2.0


@called
def _gather(
    time: Int64s, recorded: Int64s, superseded: Int64s, kinds: Int32s, kind_begin: Int32s,
    kind_sets: Int32s, low: int, high: int, t: int, items: Int64s, stop: Int64s, dated: Int64s,
) -> None:  # fmt: skip
    """Append the events `low` to `high` that are known at `t` to each of their sets' items."""
    for event in range(low, high):
        if recorded[event] < t and t <= superseded[event]:
            static = time[event] == NEVER
            for k in range(kind_begin[kinds[event]], kind_begin[kinds[event] + 1]):
                s = kind_sets[k]
                items[stop[s]] = event
                stop[s] += 1
                if static:
                    dated[s] += 1


@called
def _keep(
    time: Int64s, reference: Int32s, items: Int64s, low: int, high: int, stamp: Int64s, ticket: int
) -> tuple[int, int]:
    """Keep only the events of stamped references; where they stop, and where dated ones begin."""
    kept, dated = low, low
    for i in range(low, high):
        event = items[i]
        if reference[event] >= 0 and stamp[reference[event]] == ticket:
            items[kept] = event
            kept += 1
            if time[event] == NEVER:
                dated += 1
    return kept, dated


@called
def _look_ahead(
    recorded: Int64s, superseded: Int64s, day: Int32s, kinds: Int32s, reference: Int32s,
    kind_begin: Int32s, kind_sets: Int32s, ahead: Bools, about: Int32s, low: int, high: int, t: int,
    only: int, stamp: Int64s, ticket: int, following: Int32s, coming: Int64s,
) -> None:  # fmt: skip
    """Count the events `low` to `high` that are known at `t`, and keep the day of the first, for
    the set `only`, those of stamped references; where no set has that number, for the sets that
    look ahead at any reference."""
    one = only < len(ahead)
    for event in range(low, high):
        if recorded[event] >= t or t > superseded[event]:
            continue
        if one and (reference[event] < 0 or stamp[reference[event]] != ticket):
            continue
        for k in range(kind_begin[kinds[event]], kind_begin[kinds[event] + 1]):
            s = kind_sets[k]
            if ahead[s] and (s == only or (not one and about[s] < 0)):
                if coming[s] == 0:
                    following[s] = day[event]
                coming[s] += 1


@compiled
def fill(
    events: Events,
    plan: Plan,
    rows: Rows,
    references: int,
    chosen: Int32s,
    first: int,
    last: int,
    base: int,
    out: Floats,
) -> None:
    """Write some columns of the rows of people `first` to `last`, as known at each row's time.

    Only what differs from `plan.empty` is written: `out` holds those values already.

    Args:
        events: Sorted events; a version counts at t iff recorded < t <= superseded and time < t.
        plan: The compiled catalogue.
        rows: Cohort rows, grouped by person.
        references: The most references that one person has.
        chosen: int32, the columns to compute; quickest where those that read the same events stand
            together, as they do in a catalogue.
        first: First person of the range.
        last: Person after the last.
        base: Position in the cohort of the first row of `out`.
        out: float32 [rows, columns].
    """
    # Arrays are taken out of their tuples once: passing a tuple on costs a count for each of them.
    time, recorded, superseded = events.time, events.recorded, events.superseded
    ends, day, end_day, number = events.ends, events.day, events.end_day, events.value
    kinds, service, receiver = events.kind, events.service, events.receiver
    reference, code = events.reference, events.code
    kind_begin, kind_sets, ahead, about = plan.kind_begin, plan.kind_sets, plan.ahead, plan.about
    ops, mains, others, thirds = plan.op, plan.main, plan.other, plan.third
    spans, befores, answerings, withins = plan.span, plan.before, plan.answering, plan.within
    span_set, span_window, span_anchor = plan.span_set, plan.span_window, plan.span_anchor
    window_closed = plan.window_closed
    sets = len(ahead)
    # Runs of columns that read the same set and have nothing to say without its events.
    runs, codes, any_ahead, any_about = 0, 0, False, False
    run = np.zeros(len(chosen) + 1, np.int64)
    restless = np.zeros_like(run)
    for i in range(len(chosen)):
        f = chosen[i]
        op, s = ops[f], mains[f]
        stays = s < 0 or op in (_SHARE, _CURRENT) or span_anchor[spans[f]] >= 0
        restless[i] = stays
        if i == 0 or s != mains[chosen[i - 1]] or stays != restless[i - 1]:
            run[runs] = i
            runs += 1
        if op == _CODES:
            codes = plan.codes + 1
        any_ahead = any_ahead or op in (_TO_NEXT, _AHEAD)
    run[runs] = len(chosen)
    for s in range(sets):
        any_about = any_about or about[s] >= 0
    begin = np.zeros(sets + 1, np.int64)
    stop = np.zeros(sets, np.int64)
    dated = np.zeros(sets, np.int64)
    sets_held, runs_awake = np.zeros(sets, np.int64), np.zeros(len(chosen), np.int64)
    following = np.zeros(sets, np.int32)
    coming = np.zeros(sets, np.int64)
    room = max(references, plan.services, codes) + 1
    stamp, count = np.zeros(room, np.int64), np.zeros(room, np.int64)
    answers = np.zeros(max(references, plan.services) + 1, np.int64)
    chain, nearest, after = np.zeros_like(answers), np.zeros_like(answers), np.zeros_like(answers)
    by_service = np.zeros(max(plan.services, 1), np.int64)
    items = np.zeros(256, np.int64)
    found = np.zeros(256, np.int64)
    ticket = 0
    for person in range(first, last):
        if rows.begin[person] == rows.begin[person + 1]:
            continue
        from_event, to_event = events.begin[person], events.end[person]
        begin[:] = 0
        for event in range(from_event, to_event):
            for k in range(kind_begin[kinds[event]], kind_begin[kinds[event] + 1]):
                begin[kind_sets[k] + 1] += 1
        held = 0
        for s in range(sets):
            if begin[s + 1] > 0:
                sets_held[held] = s
                held += 1
            begin[s + 1] += begin[s]
            # One by one: to copy a slice is to compile the text of its error, for two seconds.
            stop[s] = begin[s]
            dated[s] = begin[s]
        if begin[sets] > len(items):
            items = np.zeros(2 * begin[sets], np.int64)
        if to_event - from_event > len(found):
            found = np.zeros(2 * (to_event - from_event), np.int64)
        awake = 0
        for r in range(runs):
            s = mains[chosen[run[r]]]
            if restless[run[r]] or begin[s + 1] > begin[s]:
                runs_awake[awake] = r
                awake += 1
        for place in range(rows.begin[person], rows.begin[person + 1]):
            row, instant = rows.order[place] - base, rows.instant[place]
            t, today = rows.time[instant], rows.day[instant]
            for k in range(held):
                s = sets_held[k]
                stop[s] = begin[s]
                dated[s] = begin[s]
                coming[s] = 0
            past, high = from_event, to_event
            while past < high:
                middle = (past + high) // 2
                if time[middle] < t:
                    past = middle + 1
                else:
                    high = middle
            _gather(
                time, recorded, superseded, kinds, kind_begin, kind_sets, from_event, past, t,
                items, stop, dated,
            )  # fmt: skip
            if any_ahead:
                ticket += 1
                _look_ahead(
                    recorded, superseded, day, kinds, reference, kind_begin, kind_sets, ahead,
                    about, past, to_event, t, sets, stamp, ticket, following, coming,
                )  # fmt: skip
            for k in range(held if any_about else 0):
                s, a = sets_held[k], about[sets_held[k]]
                if a < 0:
                    continue
                ticket += 1
                _mark(time, reference, items, begin[a], stop[a], stamp, ticket)
                stop[s], dated[s] = _keep(time, reference, items, begin[s], stop[s], stamp, ticket)
                if ahead[s]:
                    _look_ahead(
                        recorded, superseded, day, kinds, reference, kind_begin, kind_sets, ahead,
                        about, past, to_event, t, s, stamp, ticket, following, coming,
                    )  # fmt: skip
            # What was found last, and for which span and set: the next column often asks again.
            valued, dayed, spelled, asked, chained, marked = -1, -1, -1, -1, -1, -1
            spelled_other, chained_other, marked_how, chained_how = -1, -1, -1, -1
            asked_other, asked_how, asked_within = -1, -1, -1
            known, total, least, largest, newest = 0, 0.0, 0.0, 0.0, 0.0
            days, longest, open_, oldest, nearest_end, lapsed = 0, 0, 0, NO_DAY, NO_DAY, NO_DAY
            latest, leader, second, answer_ticket = NEVER, -1, NEVER, 0
            number_unanswered, oldest_unanswered = 0, NO_DAY
            for k in range(awake):
                r = runs_awake[k]
                s = mains[chosen[run[r]]]
                if not restless[run[r]] and stop[s] == begin[s] and coming[s] == 0:
                    continue
                current, window, absent, edge, until = -1, 0, False, NEVER, ALWAYS
                lo, hi, since = 0, 0, 0
                for i in range(run[r], run[r + 1]):
                    f = chosen[i]
                    op, other = ops[f], others[f]
                    if s < 0:
                        if op == _MONTH_DAY:
                            out[row, f] = rows.month_day[instant]
                        else:
                            angle = 2.0 * np.pi * (rows.month[instant] - 1) / 12.0
                            out[row, f] = np.sin(angle) if op == _MONTH_SIN else np.cos(angle)
                        continue
                    span, before = spans[f], befores[f]
                    if span != current:
                        current, window, anchor = span, span_window[span], span_anchor[span]
                        edge, until, absent = rows.since[instant, window], ALWAYS, False
                        if window_closed[window]:
                            until = rows.until[instant, window]
                        if anchor >= 0:
                            absent = stop[anchor] == dated[anchor]
                            if not absent:
                                edge = time[items[stop[anchor] - 1]]
                        lo, hi = _stretch(time, items, begin[s], dated[s], stop[s], edge, until)
                        since = max(lo, dated[s])
                    if absent:
                        continue
                    lo2, hi2 = 0, 0
                    if before >= 0:
                        s2, edge2 = span_set[before], edge
                        if span_window[before] != window:
                            edge2 = rows.since[instant, span_window[before]]
                        lo2, hi2 = _stretch(
                            time, items, begin[s2], dated[s2], stop[s2], edge2, until
                        )
                    value = np.nan
                    if op == _COUNT:
                        value = float(hi - lo)
                    elif op == _ANY:
                        value = 1.0 if hi > lo else 0.0
                    elif op in (_SUM, _MEAN, _MAX, _MIN, _LAST):
                        if valued != span:
                            valued = span
                            known, total, least, largest, newest = _numbers(number, items, lo, hi)
                        if op == _SUM:
                            value = total
                        elif known > 0:
                            if op == _MEAN:
                                value = total / known
                            elif op == _MAX:
                                value = largest
                            else:
                                value = least if op == _MIN else newest
                    elif op == _STD:
                        value = _deviation(number, items, lo, hi)
                    elif op == _SLOPE:
                        value = _slope(number, day, items, since, hi)
                    elif op == _SINCE_LAST:
                        if hi > since:
                            value = float(today - day[items[hi - 1]])
                    elif op == _SINCE_FIRST:
                        if hi > since:
                            value = float(today - day[items[since]])
                    elif op == _TO_NEXT:
                        if coming[s] > 0:
                            value = float(following[s] - today)
                    elif op == _AHEAD:
                        value = float(coming[s])
                    elif op in (_ACTIVE_DAYS, _LONGEST_GAP, _MEAN_GAP, _OVER_USUAL):
                        if dayed != span:
                            dayed = span
                            days, longest = _days(day, items, since, hi)
                        if op == _ACTIVE_DAYS:
                            value = float(days)
                        elif days > 1:
                            usual = (day[items[hi - 1]] - day[items[since]]) / (days - 1)
                            if op == _LONGEST_GAP:
                                value = float(longest)
                            elif op == _MEAN_GAP:
                                value = usual
                            else:
                                value = (today - day[items[hi - 1]]) / usual
                    elif op == _TREND:
                        value = float((hi - lo) - (lo - lo2))
                    elif op == _TREND_RATIO:
                        if lo > lo2:
                            value = (hi - lo) / (lo - lo2)
                    elif op == _SHARE:
                        if hi2 > lo2:
                            value = (hi - lo) / (hi2 - lo2)
                    elif op == _STREAK:
                        broken = since
                        if hi2 > max(lo2, dated[other]):
                            broken = _first_at(time, items, since, hi, time[items[hi2 - 1]] + 1)
                        value = float(hi - broken)
                    elif op == _CURRENT:
                        rival = NEVER
                        if hi2 > max(lo2, dated[other]):
                            rival = time[items[hi2 - 1]]
                        if hi > since and time[items[hi - 1]] >= rival:
                            value = 1.0
                        elif rival != NEVER:
                            value = 0.0
                    elif op in (_SERVICES, _DOMINANT):
                        ticket += 1
                        distinct, most = _distinct(service, items, lo, hi, stamp, count, ticket)
                        if op == _SERVICES:
                            value = float(distinct)
                        elif hi > lo:
                            value = most / (hi - lo)
                    elif op in (_CODES, _REFERENCES):
                        ticket += 1
                        if op == _CODES:
                            distinct, most = _distinct(code, items, lo, hi, stamp, count, ticket)
                        else:
                            distinct, most = _distinct(
                                reference, items, lo, hi, stamp, count, ticket
                            )
                        value = float(distinct)
                    elif op in (_OPEN, _OPEN_AGE, _TO_END, _OVERLAP):
                        if marked != other or marked_how != BY_REFERENCE:
                            marked, marked_how = other, BY_REFERENCE
                            ticket += 1
                            answer_ticket, latest = ticket, NEVER
                            if other >= 0:
                                latest = _mark(
                                    time, reference, items, dated[other], stop[other], answers,
                                    ticket,
                                )  # fmt: skip
                        if spelled != span or spelled_other != other:
                            spelled, spelled_other = span, other
                            open_, oldest, nearest_end, lapsed = _spells(
                                time, ends, day, end_day, reference, items, since, hi, t, answers,
                                answer_ticket, latest,
                            )  # fmt: skip
                        if op == _OPEN:
                            value = float(open_)
                        elif op == _OPEN_AGE:
                            if open_ > 0:
                                value = float(today - oldest)
                        elif op == _OVERLAP:
                            value = 0.0
                            third = thirds[f]
                            if open_ > 0:
                                open2, oldest2, _, _ = _spells(
                                    time, ends, day, end_day, reference, items,
                                    max(lo2, dated[third]), hi2, t, answers, answer_ticket, latest,
                                )  # fmt: skip
                                if open2 > 0:
                                    value = float(today - max(oldest, oldest2))
                        elif open_ > 0:
                            if nearest_end != NO_DAY:
                                value = float(nearest_end - today)
                        elif lapsed != NO_DAY and (withins[f] < 0 or today - lapsed <= withins[f]):
                            value = float(lapsed - today)
                    elif op in (_UNANSWERED, _DAYS_UNANSWERED):
                        how = answerings[f]
                        kept = BY_OTHER if how == BY_RECEIVER else how
                        if marked != other or marked_how != kept:
                            marked, marked_how = other, kept
                            ticket += 1
                            answer_ticket, latest, leader, second = ticket, NEVER, -1, NEVER
                            if how == BY_REFERENCE:
                                latest = _mark(
                                    time, reference, items, dated[other], stop[other], answers,
                                    ticket,
                                )  # fmt: skip
                            elif how != BY_PERSON:
                                latest, leader, second = _latest_answers(
                                    time, service, items, dated[other], stop[other], by_service
                                )
                            elif stop[other] > dated[other]:
                                latest = time[items[stop[other] - 1]]
                        within = max(withins[f], 0)
                        if (
                            asked != span
                            or asked_other != other
                            or asked_how != how
                            or asked_within != within
                        ):
                            asked, asked_other = span, other
                            asked_how, asked_within = how, within
                            number_unanswered, oldest_unanswered = _unanswered(
                                how, time, day, service, receiver, reference, items, since, hi,
                                today - within, answers, answer_ticket, latest, leader,
                                second, by_service,
                            )  # fmt: skip
                        if op == _UNANSWERED:
                            value = float(number_unanswered)
                        elif number_unanswered > 0:
                            value = float(today - oldest_unanswered)
                    elif hi == since or stop[other] == dated[other]:
                        if op == _SEQUENCES:
                            value = 0.0
                    else:
                        # Any answer is one; what follows in a sequence is never the event itself.
                        how, apart = answerings[f], op != _ANSWER_DELAY
                        if apart and how != BY_REFERENCE:
                            how = BY_PERSON
                        if (
                            not apart
                            or chained != span
                            or chained_other != other
                            or chained_how != how
                        ):
                            chained, chained_other, chained_how = span, other, how
                            ticket += 1
                            _first_answers(
                                how, apart, time, service, receiver, reference, items, since, hi,
                                dated[other], stop[other], nearest, after, chain, ticket, found,
                            )  # fmt: skip
                        if not apart:
                            chained = -1
                            value = _middle(day, items, since, hi, found)
                        else:
                            followed, delays = _sequences(day, items, since, hi, withins[f], found)
                            if op == _SEQUENCES:
                                value = float(followed)
                            elif followed > 0:
                                value = delays / followed
                    out[row, f] = value
