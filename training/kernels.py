"""The compiled rules: onsets of ruptures, who is at risk as known at a time, what became of them.

Pure functions on the arrays of :class:`training.history.History`; instants are int64 microseconds.
All of it, constants included, stays in one file: Numba's cache on disk notices a change of this
file only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from features.compiling import compiled

__all__ = ["Events", "all_onsets", "outcomes_of_rows", "person_onsets", "status_of_rows"]

NEVER = -(2**63)
FAR = 2**63 - 1

# What an event is to the rules, as bits: one event may be several things at once.
OPENS, CLOSES, COMPETES, SEEN, ANCHOR = 1, 2, 4, 8, 16
MISSED, EXPIRED, PLANNED = 32, 64, 128
ORIENTED, CONTRACT, STRUCK_OFF, RIGHTS_LOST = 256, 512, 1024, 2048
JOB_BROKEN, COURSE_LEFT, COURSE_ANSWER = 4096, 8192, 16384
APPRENTICESHIP_BROKEN, APPRENTICESHIP_ANSWER = 32768, 65536
ACCEPTED, EXIT_BROKEN = 131072, 262144

# Positions in the vector of parameters: the count of R1, windows, then each rule's place.
COUNT, W1, W2, W3, W5C, W5A, W6, W7, PLACE = range(9)
PER_EVENT = 12
"""No event can make more onsets than there are clauses in the rules."""

# Rows of the array that holds the events of one person which a rule may see.
TIME, ENTERED, END, FLAGS, SERVICE, RECEIVER = range(6)

UNOPENED, CLOSED, BROKEN, AT_RISK = range(4)
RUPTURE, COMPETING, NO_RUPTURE, CENSORED, PRIOR = range(5)


class Events(NamedTuple):
    """Events sorted by person, time and entry; person ``i`` owns ``offsets[i]:offsets[i + 1]``.

    Each of the others is [rows]: when it happened; when this version was known, and the next; when
    the first version was known; planned end of a spell; bits; service; receiving service.
    """

    offsets: Any
    time: Any
    recorded: Any
    superseded: Any
    entered: Any
    end: Any
    flags: Any
    service: Any
    receiver: Any


@compiled
def person_onsets(
    kept: Any,
    n: int,
    p: Any,
    out_time: Any,
    out_rule: Any,
) -> tuple[int, int, int]:
    """Onsets of one person from `n` visible events sorted by time.

    Writes onset instants and rules (0 for R1 .. 6 for R7), sorted, into `out_time`, `out_rule`.

    Returns:
        Number of onsets, instant of opening and of closing (FAR when none).
    """
    time, entered, end = kept[TIME], kept[ENTERED], kept[END]
    flags, service, receiver = kept[FLAGS], kept[SERVICE], kept[RECEIVER]
    opened = FAR
    closed = FAR
    for i in range(n):
        if opened == FAR and flags[i] & OPENS:
            opened = time[i]
            break
    for i in range(n):
        if flags[i] & CLOSES and time[i] >= opened:
            closed = time[i]
            break
    m = 0
    if opened == FAR:
        return m, opened, closed
    for i in range(n):
        s = time[i]
        f = flags[i]
        if f & MISSED and p[PLACE] >= 0:
            seen = NEVER
            for j in range(i - 1, -1, -1):
                if flags[j] & SEEN and time[j] < s:
                    seen = time[j]
                    break
            count = 0
            for j in range(i, -1, -1):
                if time[j] <= s - p[W1] or time[j] <= seen:
                    break
                if flags[j] & MISSED:
                    count += 1
            for j in range(i + 1, n):
                if time[j] > s:
                    break
                if flags[j] & MISSED:
                    count += 1
            if count >= p[COUNT]:
                m = _note(out_time, out_rule, m, s, 0, 0, opened, closed)
        if f & EXPIRED and p[PLACE + 1] >= 0:
            silent = True
            for j in range(n):
                if flags[j] & SEEN and s <= time[j] < s + p[W2]:
                    silent = False
                if flags[j] & PLANNED and s <= entered[j] < s + p[W2]:
                    silent = False
            if silent:
                m = _note(out_time, out_rule, m, s, p[W2], 1, opened, closed)
        if f & ORIENTED and p[PLACE + 2] >= 0 and not _covered(time, end, flags, n, s, p[W3], -1):
            m = _note(out_time, out_rule, m, s, p[W3], 2, opened, closed)
        if f & CONTRACT and p[PLACE + 2] >= 0 and end[i] != FAR:
            lapse = max(end[i], s)
            if not _covered(time, end, flags, n, lapse, p[W3], i):
                m = _note(out_time, out_rule, m, lapse, p[W3], 2, opened, closed)
        if f & STRUCK_OFF and p[PLACE + 2] >= 0:
            m = _note(out_time, out_rule, m, s, 0, 2, opened, closed)
        if f & RIGHTS_LOST and p[PLACE + 3] >= 0:
            m = _note(out_time, out_rule, m, s, 0, 3, opened, closed)
        if p[PLACE + 4] >= 0:
            if f & JOB_BROKEN:
                m = _note(out_time, out_rule, m, s, 0, 4, opened, closed)
            if f & COURSE_LEFT and not _answered(time, flags, n, s, p[W5C], COURSE_ANSWER):
                m = _note(out_time, out_rule, m, s, p[W5C], 4, opened, closed)
            if f & APPRENTICESHIP_BROKEN and not _answered(
                time, flags, n, s, p[W5A], APPRENTICESHIP_ANSWER
            ):
                m = _note(out_time, out_rule, m, s, p[W5A], 4, opened, closed)
        if f & ACCEPTED and p[PLACE + 5] >= 0:
            caught = False
            for j in range(n):
                if time[j] >= s + p[W6]:
                    break
                if flags[j] & SEEN and time[j] >= s:
                    if receiver[i] >= 0:
                        caught = service[j] == receiver[i]
                    else:
                        caught = service[j] != service[i]
                    if caught:
                        break
            if not caught:
                m = _note(out_time, out_rule, m, s, p[W6], 5, opened, closed)
        if f & EXIT_BROKEN and p[PLACE + 6] >= 0:
            m = _note(out_time, out_rule, m, s, 0, 6, opened, closed)
    if p[PLACE + 6] >= 0:
        since = opened
        for i in range(n):
            if flags[i] & SEEN and time[i] > since:
                if time[i] >= since + p[W7]:
                    m = _note(out_time, out_rule, m, since, p[W7], 6, opened, closed)
                since = time[i]
        m = _note(out_time, out_rule, m, since, p[W7], 6, opened, closed)
    _sort(out_time, out_rule, m, p)
    return m, opened, closed


@compiled
def _note(
    out_time: Any,
    out_rule: Any,
    m: int,
    s: int,
    wait: int,
    rule: int,
    opened: int,
    closed: int,
) -> int:
    onset = s + wait
    if onset < opened or onset > closed or (wait > 0 and onset == closed):
        return m
    out_time[m] = onset
    out_rule[m] = rule
    return m + 1


@compiled
def _covered(time: Any, end: Any, flags: Any, n: int, s: int, wait: int, but: int) -> bool:
    """Whether a contract other than row `but` is valid at some instant of [s, s + wait)."""
    for j in range(n):
        if time[j] >= s + wait:
            return False
        if j != but and flags[j] & CONTRACT and end[j] > s:
            return True
    return False


@compiled
def _answered(time: Any, flags: Any, n: int, s: int, wait: int, answer: int) -> bool:
    for j in range(n):
        if time[j] >= s + wait:
            return False
        if time[j] >= s and flags[j] & answer:
            return True
    return False


@compiled
def _sort(out_time: Any, out_rule: Any, m: int, p: Any) -> None:
    """By instant, then by the rule's place in `first_of`; a person has few onsets."""
    for i in range(1, m):
        t, r = out_time[i], out_rule[i]
        j = i - 1
        while j >= 0 and (
            out_time[j] > t or (out_time[j] == t and p[PLACE + out_rule[j]] > p[PLACE + r])
        ):
            out_time[j + 1], out_rule[j + 1] = out_time[j], out_rule[j]
            j -= 1
        out_time[j + 1], out_rule[j + 1] = t, r


@compiled
def all_onsets(
    e: Events,
    p: Any,
    until: int,
) -> tuple[Any, Any, Any]:
    people = len(e.offsets) - 1
    kept, out_time, out_rule = _room(e)
    person_list = []
    time_list = []
    rule_list = []
    for i in range(people):
        n = newest(e, i, kept)
        m, _, _ = person_onsets(kept, n, p, out_time, out_rule)
        for k in range(m):
            if out_time[k] < until:
                person_list.append(i)
                time_list.append(out_time[k])
                rule_list.append(out_rule[k])
    size = len(person_list)
    who = np.empty(size, np.int64)
    when = np.empty(size, np.int64)
    what = np.empty(size, np.int64)
    for k in range(size):
        who[k] = person_list[k]
        when[k] = time_list[k]
        what[k] = rule_list[k]
    return who, when, what


@compiled
def newest(e: Events, person: int, kept: Any) -> int:
    """Copy the newest versions of one person's events into `kept`; return how many."""
    n = 0
    for j in range(e.offsets[person], e.offsets[person + 1]):
        if e.superseded[j] == FAR:
            _keep(e, j, e.flags[j], kept, n)
            n += 1
    return n


@compiled
def known(e: Events, person: int, t: int, kept: Any) -> int:
    """Copy what was known at `t` of one person's past into `kept`; return how many.

    A version is known when recorded_at < t <= recorded_at of the next one. Of an appointment that
    is due later only the fact that it was planned is kept.
    """
    n = 0
    for j in range(e.offsets[person], e.offsets[person + 1]):
        if e.recorded[j] < t and t <= e.superseded[j]:
            bits = e.flags[j] if e.time[j] < t else e.flags[j] & PLANNED
            if bits != 0:
                _keep(e, j, bits, kept, n)
                n += 1
    return n


@compiled
def _keep(e: Events, j: int, bits: int, kept: Any, n: int) -> None:
    kept[TIME, n] = e.time[j]
    kept[ENTERED, n] = e.entered[j]
    kept[END, n] = e.end[j]
    kept[FLAGS, n] = bits
    kept[SERVICE, n] = e.service[j]
    kept[RECEIVER, n] = e.receiver[j]


@compiled
def _room(e: Events) -> tuple[Any, Any, Any]:
    """Space for the events of the person with most of them, and for their onsets."""
    most = 0
    for i in range(len(e.offsets) - 1):
        most = max(most, e.offsets[i + 1] - e.offsets[i])
    onsets = PER_EVENT * most + 2
    return np.empty((6, most), np.int64), np.empty(onsets, np.int64), np.empty(onsets, np.int64)


@compiled
def status_of_rows(
    e: Events,
    p: Any,
    row_person: Any,
    row_time: Any,
) -> tuple[Any, Any, Any]:
    """State of each row as known at its time, opening of its pathway, and its anchor."""
    kept, out_time, out_rule = _room(e)
    rows = len(row_person)
    status = np.zeros(rows, np.int64)
    opened = np.full(rows, FAR)
    anchor = np.full(rows, FAR)
    for r in range(rows):
        i = row_person[r]
        t = row_time[r]
        n = known(e, i, t, kept)
        m, opens, closes = person_onsets(kept, n, p, out_time, out_rule)
        opened[r] = opens
        for j in range(n):
            if kept[FLAGS, j] & ANCHOR:
                anchor[r] = kept[TIME, j]
                break
        if opens == FAR:
            status[r] = UNOPENED
        elif closes != FAR:
            status[r] = CLOSED
        elif _in_rupture(kept[TIME], kept[FLAGS], n, out_time, m, t):
            status[r] = BROKEN
        else:
            status[r] = AT_RISK
    return status, opened, anchor


@compiled
def _in_rupture(time: Any, flags: Any, n: int, onset: Any, m: int, t: int) -> bool:
    """Whether an onset before `t` has no SEEN after it and before `t`."""
    last = NEVER
    for k in range(m):
        if onset[k] < t:
            last = onset[k]
    if last == NEVER:
        return False
    for j in range(n - 1, -1, -1):
        if time[j] < t and flags[j] & SEEN:
            return time[j] <= last
    return True


@compiled
def outcomes_of_rows(
    e: Events,
    p: Any,
    row_person: Any,
    row_time: Any,
    horizon: int,
    until: int,
) -> tuple[Any, Any, Any]:
    """Outcome of each row (rows of one person adjacent), first onset and its rule."""
    kept, out_time, out_rule = _room(e)
    rows = len(row_person)
    outcome = np.zeros(rows, np.int64)
    onset = np.zeros(rows, np.int64)
    rule = np.zeros(rows, np.int64)
    present = -1
    n, m, opens, closes = 0, 0, FAR, FAR
    for r in range(rows):
        i = row_person[r]
        t = row_time[r]
        if i != present:
            present = i
            n = newest(e, i, kept)
            m, opens, closes = person_onsets(kept, n, p, out_time, out_rule)
        if opens >= t or closes < t or _in_rupture(kept[TIME], kept[FLAGS], n, out_time, m, t):
            outcome[r] = PRIOR
            continue
        if t + horizon > until:
            outcome[r] = CENSORED
            continue
        first = FAR
        for k in range(m):
            if out_time[k] >= t:
                first = out_time[k]
                onset[r] = first
                rule[r] = out_rule[k]
                break
        competing = FAR
        for j in range(n):
            if t <= kept[TIME, j] <= closes and kept[FLAGS, j] & COMPETES:
                competing = kept[TIME, j]
                break
        if first < t + horizon and first <= competing:
            outcome[r] = RUPTURE
        elif competing < t + horizon:
            outcome[r] = COMPETING
        else:
            outcome[r] = NO_RUPTURE
    return outcome, onset, rule
