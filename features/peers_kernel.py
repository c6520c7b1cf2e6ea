"""The compiled loop that finds the event that says whose peer a person is, for each cohort row."""

from __future__ import annotations

from features.arrays import Bools, Events, Int32s, Rows
from features.compiling import compiled
from features.local_days import NEVER

__all__ = ["latest_keys"]


@compiled
def latest_keys(
    events: Events,
    member: Bools,
    number: Int32s,
    key: Int32s,
    rows: Rows,
    first: int,
    last: int,
    base: int,
    out: Int32s,
) -> None:
    """The key of the latest dated event of some kinds known at each row.

    At one instant the latest recorded counts; of several recorded together, the largest key, so
    that nothing depends on the order of the input.

    Args:
        events: All versions, sorted by person, time, recorded_at.
        member: bool [kinds] whether events of a kind count.
        number: int32 [events] what the key of an event is looked up by, -1 = it has none.
        key: int32 [numbers] the key of each, -1 = none.
        rows: The cohort rows of the same people.
        first: First person.
        last: The one after the last person.
        base: What is taken from `rows.order` to get a place in `out`.
        out: int32, written at the places of these people's rows; -1 = no event, or none with a key.
    """
    never = NEVER
    for person in range(first, last):
        begin, end = events.begin[person], events.end[person]
        while begin < end and events.time[begin] == never:
            begin += 1
        for place in range(rows.begin[person], rows.begin[person + 1]):
            t = rows.time[rows.instant[place]]
            low, high = begin, end
            while low < high:
                middle = (low + high) // 2
                if events.time[middle] < t:
                    low = middle + 1
                else:
                    high = middle
            found, found_key = -1, -1
            for event in range(low - 1, begin - 1, -1):
                if found >= 0 and (
                    events.time[event] != events.time[found]
                    or events.recorded[event] != events.recorded[found]
                ):
                    break
                known = events.recorded[event] < t <= events.superseded[event]
                if known and member[events.kind[event]]:
                    found = event
                    if number[event] >= 0:
                        found_key = max(found_key, key[number[event]])
            out[rows.order[place] - base] = found_key
