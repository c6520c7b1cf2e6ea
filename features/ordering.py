"""Compiled loops that put events in one fixed order and number their references."""

from __future__ import annotations

import numpy as np

from features.arrays import Floats, Int32s, Int64s
from features.compiling import compiled

__all__ = ["dense_references", "sort_ties"]


@compiled
def sort_ties(
    order: Int64s, subject: Int64s, time: Int64s, recorded: Int64s, value: Floats
) -> bool:
    """Order events of the same person, time and entry by value, in place; False if unsorted.

    `order` must already sort by person, time and entry; when it does not, nothing is promised and
    the caller sorts in full. Missing values come first.
    """
    n = len(order)
    for i in range(1, n):
        a, b = order[i - 1], order[i]
        if subject[a] != subject[b]:
            if subject[a] > subject[b]:
                return False
        elif time[a] != time[b]:
            if time[a] > time[b]:
                return False
        elif recorded[a] > recorded[b]:
            return False
    start = 0
    while start < n:
        stop = start + 1
        a = order[start]
        while stop < n:
            b = order[stop]
            if subject[a] != subject[b] or time[a] != time[b] or recorded[a] != recorded[b]:
                break
            stop += 1
        if stop - start > 1:
            keys = np.empty(stop - start, np.float32)
            for i in range(start, stop):
                found = value[order[i]]
                keys[i - start] = -np.inf if np.isnan(found) else found
            order[start:stop] = order[start:stop][np.argsort(keys, kind="mergesort")]
        start = stop
    return True


@compiled
def dense_references(subject: Int64s, reference: Int32s, known: int) -> int:
    """Number references from 0 within each person, in place; the most that one person has."""
    owner = np.full(known, -1, np.int64)
    number = np.empty(known, np.int32)
    following, most = 0, 0
    person = subject[0] if len(subject) else np.int64(0)
    for i in range(len(reference)):
        if i == 0 or subject[i] != subject[i - 1]:
            person, following = i, 0
        found = reference[i]
        if found >= 0:
            if owner[found] != person:
                owner[found] = person
                number[found] = following
                following += 1
                most = max(most, following)
            reference[i] = number[found]
    return most
