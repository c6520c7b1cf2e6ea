"""Compiled loops that put events in one fixed order, number references and count local days."""

from __future__ import annotations

import numpy as np

from features.arrays import Floats, Int32s, Int64s
from features.compiling import called, compiled
from features.local_days import DAY

__all__ = ["by_person_and_time", "dense_references", "in_order", "local_days"]


@compiled
def in_order(subject: Int64s, time: Int64s, recorded: Int64s, value: Floats) -> bool:
    """Whether events are sorted by person, time, entry and value, missing values first."""
    for i in range(1, len(subject)):
        if subject[i - 1] != subject[i]:
            if subject[i - 1] > subject[i]:
                return False
        elif time[i - 1] != time[i]:
            if time[i - 1] > time[i]:
                return False
        elif recorded[i - 1] != recorded[i]:
            if recorded[i - 1] > recorded[i]:
                return False
        elif len(value):
            a, b = value[i - 1], value[i]
            if a > b or (np.isnan(b) and not np.isnan(a)):
                return False
    return True


@called
def _before(a: int, b: int, time: Int64s, recorded: Int64s, value: Floats) -> bool:
    """Whether event `a` must stand before event `b` of the same person."""
    if time[a] != time[b]:
        return time[a] < time[b]
    if recorded[a] != recorded[b]:
        return recorded[a] < recorded[b]
    if len(value) == 0:
        return False
    return value[a] < value[b] or (np.isnan(value[a]) and not np.isnan(value[b]))


@compiled
def by_person_and_time(
    person: Int32s, people: int, time: Int64s, recorded: Int64s, value: Floats
) -> tuple[Int64s, Int64s]:
    """The order of events by person, time, entry and value, and where each person's begin.

    A counting sort by person, then a merge sort within the person; equal events keep their order.

    Args:
        person: int32 [events], number of the person; `people` and more are left out.
        people: How many people there are.
        time: int64 [events].
        recorded: int64 [events].
        value: float32 [events], or of length 0 to leave it aside.

    Returns:
        int64 [events of these people], and int64 [people + 1].
    """
    begin = np.zeros(people + 1, np.int64)
    for one in person:
        if one < people:
            begin[one + 1] += 1
    for p in range(people):
        begin[p + 1] += begin[p]
    place = begin[:-1].copy()
    order = np.empty(begin[people], np.int64)
    for i in range(len(person)):
        p = person[i]
        if p < people:
            order[place[p]] = i
            place[p] += 1
    spare = np.empty(256, np.int64)
    for p in range(people):
        low, high = begin[p], begin[p + 1]
        if high - low > len(spare):
            spare = np.empty(2 * (high - low), np.int64)
        _merge_sort(order, low, high, spare, time, recorded, value)
    return order, begin


@called
def _merge_sort(
    order: Int64s,
    low: int,
    high: int,
    spare: Int64s,
    time: Int64s,
    recorded: Int64s,
    value: Floats,
) -> None:
    """Sort `order[low:high]` in place: runs of 24 by insertion, then merged pair by pair."""
    width = 24
    for start in range(low, high, width):
        for i in range(start + 1, min(start + width, high)):
            one = order[i]
            j = i
            while j > start and _before(one, order[j - 1], time, recorded, value):
                order[j] = order[j - 1]
                j -= 1
            order[j] = one
    while width < high - low:
        for start in range(low, high, 2 * width):
            middle, stop = min(start + width, high), min(start + 2 * width, high)
            if middle >= stop or not _before(
                order[middle], order[middle - 1], time, recorded, value
            ):
                continue
            for i in range(start, middle):
                spare[i - start] = order[i]
            i, many, j, k = 0, middle - start, middle, start
            while i < many:
                if j < stop and _before(order[j], spare[i], time, recorded, value):
                    order[k] = order[j]
                    j += 1
                else:
                    order[k] = spare[i]
                    i += 1
                k += 1
        width *= 2


@compiled
def dense_references(begin: Int64s, end: Int64s, reference: Int32s, known: int) -> int:
    """Number references from 0 within each person, in place; the most that one person has."""
    owner = np.full(known, -1, np.int64)
    number = np.empty(known, np.int32)
    most = 0
    for person in range(len(begin)):
        following = 0
        for i in range(begin[person], end[person]):
            found = reference[i]
            if found >= 0:
                if owner[found] != person:
                    owner[found] = person
                    number[found] = following
                    following += 1
                reference[i] = number[found]
        most = max(most, following)
    return most


@called
def _after(sorted_: Int64s, one: int) -> int:
    """Place of the first number above `one`: NumPy's own search takes long to compile."""
    low, high = 0, len(sorted_)
    while low < high:
        middle = (low + high) // 2
        if sorted_[middle] <= one:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def local_days(instants: Int64s, transitions: Int64s, offsets: Int64s) -> Int32s:
    """Local calendar days since 1970-01-01; quick where neighbours lie in the same half-year."""
    found = np.empty(len(instants), np.int32)
    place = 0
    for i in range(len(instants)):
        one = instants[i]
        inside = (place == 0 or transitions[place - 1] <= one) and (
            place == len(transitions) or one < transitions[place]
        )
        if not inside:
            place = _after(transitions, one)
        found[i] = (one + offsets[place]) // DAY
    return found
