"""Ruptures as they happen: the exact rules R1, R5, R6 and R7, tracked in the state one event at a
time.

The same functions run in the history that is exported and in the forward runs behind the truth. An
onset is the instant at which a rule becomes true; a person is in rupture from an onset until the
next SEEN after it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from simulator import layout
from simulator.clock import PAST

R1_WINDOW = 90 * layout.DAY
R5_COURSE_WAIT = 30 * layout.DAY
R5_APPRENTICESHIP_WAIT = 180 * layout.DAY
R6_WAIT = 45 * layout.DAY
R7_WAIT = 120 * layout.DAY


@njit(nogil=True)
def emit(
    s: np.ndarray,
    tape: np.ndarray,
    kind: int,
    t: int,
    ref: int,
    a: int,
    b: int,
    end: int,
    value: int,
) -> None:
    """Write one event on the tape.

    The tape is one int64 array whose first cell counts the events; a tape of one row keeps nothing
    (forward runs), and a
    count beyond its length tells of an overflow. Plain arrays everywhere, because numba counts
    references on every
    attribute of a tuple, which took half of the time.
    """
    if tape.shape[0] > 1:
        i = tape[0, 0] + 1
        if i < tape.shape[0]:
            tape[i, 0] = s[layout.PERSON]
            tape[i, 1] = kind
            tape[i, 2] = t
            tape[i, 3] = ref
            tape[i, 4] = a
            tape[i, 5] = b
            tape[i, 6] = end
            tape[i, 7] = value
        tape[0, 0] = i


@njit(nogil=True)
def day_of(w: np.ndarray, t: int) -> int:
    """Local day of a UTC minute."""
    day = (t + 120) // 1440
    while w[day + PAST] > t:
        day -= 1
    return day


@njit(nogil=True)
def onset(s: np.ndarray, tape: np.ndarray, t: int, rule: int) -> None:
    """Note an onset at instant t."""
    if t > s[layout.ONSET_T]:
        s[layout.ONSET_T] = t
    if t < s[layout.FIRST_ONSET]:
        s[layout.FIRST_ONSET] = t
        s[layout.FIRST_RULE] = rule
    emit(s, tape, layout.K_ONSET, t, -1, rule, -1, -1, 0)


@njit(nogil=True)
def in_rupture(s: np.ndarray) -> bool:
    """Whether an onset still stands: no SEEN later than the last one."""
    return s[layout.ONSET_T] >= s[layout.SEEN_ANY]


@njit(nogil=True)
def confirm(s: np.ndarray, w: np.ndarray, tape: np.ndarray, until: int) -> None:
    """Turn every pending rule whose delay ends at or before `until` (UTC minute) into an onset."""
    for i in range(3):
        if s[layout.R6_T + i] != layout.NEVER and s[layout.R6_T + i] + R6_WAIT <= until:
            onset(s, tape, s[layout.R6_T + i] + R6_WAIT, layout.R6)
            s[layout.R6_T + i] = layout.NEVER
            s[layout.D_R6 + i] = layout.NEVER
    if s[layout.R5_COURSE_T] != layout.NEVER and s[layout.R5_COURSE_T] + R5_COURSE_WAIT <= until:
        onset(s, tape, s[layout.R5_COURSE_T] + R5_COURSE_WAIT, layout.R5)
        s[layout.R5_COURSE_T] = layout.NEVER
        s[layout.D_R5_COURSE] = layout.NEVER
    if (
        s[layout.R5_APPRENTICESHIP_T] != layout.NEVER
        and s[layout.R5_APPRENTICESHIP_T] + R5_APPRENTICESHIP_WAIT <= until
    ):
        onset(s, tape, s[layout.R5_APPRENTICESHIP_T] + R5_APPRENTICESHIP_WAIT, layout.R5)
        s[layout.R5_APPRENTICESHIP_T] = layout.NEVER
        s[layout.D_R5_APPRENTICESHIP] = layout.NEVER
    if s[layout.D_R7] != layout.NEVER:
        due = max(s[layout.OPEN_T], s[layout.SEEN_ANY]) + R7_WAIT
        if due <= until:
            onset(s, tape, due, layout.R7)
            s[layout.D_R7] = layout.NEVER


@njit(nogil=True)
def watch_silence(s: np.ndarray, w: np.ndarray) -> None:
    """Plan the day on which the present silence becomes R7."""
    s[layout.D_R7] = day_of(w, max(s[layout.OPEN_T], s[layout.SEEN_ANY]) + R7_WAIT)


@njit(nogil=True)
def seen(s: np.ndarray, w: np.ndarray, service: int, t: int) -> None:
    """A person was seen by a service at t: hand-overs to it are caught, silence and absences start
    again."""
    s[layout.SEEN_T + service] = t
    s[layout.SEEN_ANY] = t
    s[layout.NOSHOWS] = 0
    for i in range(3):
        if s[layout.R6_T + i] <= t and s[layout.R6_TO + i] == service:
            s[layout.R6_T + i] = layout.NEVER
            s[layout.D_R6 + i] = layout.NEVER
    watch_silence(s, w)


@njit(nogil=True)
def missed(s: np.ndarray, tape: np.ndarray, t: int) -> None:
    """A NOSHOW at t: R1 when an earlier one, after the last SEEN, is less than 90 days old."""
    if s[layout.NOSHOW_T] > s[layout.SEEN_ANY] and s[layout.NOSHOW_T] > t - R1_WINDOW:
        onset(s, tape, t, layout.R1)
    s[layout.NOSHOW_T] = t
    s[layout.NOSHOWS] += 1


@njit(nogil=True)
def handed_over(s: np.ndarray, w: np.ndarray, receiver: int, t: int) -> None:
    """A hand-over was accepted at t: pending R6 until the receiving service sees the person."""
    if s[layout.SEEN_T + receiver] >= t:
        return
    for i in range(3):
        if s[layout.R6_T + i] == layout.NEVER:
            s[layout.R6_T + i] = t
            s[layout.R6_TO + i] = receiver
            s[layout.D_R6 + i] = day_of(w, t + R6_WAIT)
            return


@njit(nogil=True)
def free_slot(s: np.ndarray) -> bool:
    """Whether one more hand-over can be followed (three at a time)."""
    return (
        s[layout.R6_T] == layout.NEVER
        or s[layout.R6_T + 1] == layout.NEVER
        or s[layout.R6_T + 2] == layout.NEVER
    )


@njit(nogil=True)
def course_abandoned(s: np.ndarray, w: np.ndarray, t: int) -> None:
    """A course was abandoned at t: R5 unless a job starts within 30 days."""
    if s[layout.JOB_START_T] < t:
        s[layout.R5_COURSE_T] = t
        s[layout.D_R5_COURSE] = day_of(w, t + R5_COURSE_WAIT)


@njit(nogil=True)
def apprenticeship_broken(s: np.ndarray, w: np.ndarray, t: int) -> None:
    """An apprenticeship was broken at t: R5 unless a new one starts within 180 days."""
    if s[layout.APPRENTICESHIP_START_T] < t:
        s[layout.R5_APPRENTICESHIP_T] = t
        s[layout.D_R5_APPRENTICESHIP] = day_of(w, t + R5_APPRENTICESHIP_WAIT)


@njit(nogil=True)
def job_started(s: np.ndarray, t: int) -> None:
    """A job started at t."""
    s[layout.JOB_START_T] = t
    if s[layout.R5_COURSE_T] <= t:
        s[layout.R5_COURSE_T] = layout.NEVER
        s[layout.D_R5_COURSE] = layout.NEVER


@njit(nogil=True)
def apprenticeship_started(s: np.ndarray, t: int) -> None:
    """A new apprenticeship started at t."""
    s[layout.APPRENTICESHIP_START_T] = t
    if s[layout.R5_APPRENTICESHIP_T] <= t:
        s[layout.R5_APPRENTICESHIP_T] = layout.NEVER
        s[layout.D_R5_APPRENTICESHIP] = layout.NEVER
