"""Appointments and invitations: planned ahead, then seen, excused, missed, revoked or never filled
in."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from simulator import layout, rates
from simulator.chance import around, memoryless, normal, uniform, whole
from simulator.clock import FIXED, PAST, PERIODS, WAIT_AT, period
from simulator.tracking import confirm, emit, missed, seen


@njit(nogil=True)
def moment(r: np.ndarray, w: np.ndarray, d: int) -> int:
    """An instant of local day d between 08:00 and 18:00."""
    return w[d + PAST] + whole(r, 480, 1080)


@njit(nogil=True)
def new_ref(s: np.ndarray) -> int:
    """The next reference of this person."""
    s[layout.NEXT_REF] += 1
    return s[layout.NEXT_REF]


@njit(nogil=True)
def month_factor(w: np.ndarray, service: int, d: int) -> float:
    """How much longer than usual a service makes people wait in the month of day d."""
    return w[WAIT_AT + service * PERIODS + period(d)] / FIXED


@njit(nogil=True)
def book(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, service: int, d: int, first: bool
) -> None:
    """Plan an appointment of a service, created on day d."""
    if first:
        days = around(
            r, rates.WAITS[service] * month_factor(w, service, d) * f[layout.F_PACE], 0.40
        )
    else:
        days = around(
            r,
            rates.INTERVALS[service]
            * (0.6 + 0.4 * month_factor(w, service, d))
            * math.sqrt(f[layout.F_PACE]),
            0.38,
        )
    due = d + min(max(days, 2), 63)
    weekday = (due + 6) % 7
    if weekday >= 5:
        due += 7 - weekday
    s[layout.D_DUE + service] = due
    # Half-hour slots, set apart by service: two services never meet a person in the same minute.
    s[layout.DUE_T + service] = w[due + PAST] + 480 + 30 * whole(r, 0, 19) + 5 * service
    s[layout.CREATED_T + service] = moment(r, w, d)
    s[layout.DUE_REF + service] = new_ref(s)
    summon = rates.SUMMONED_SHARE * (1.25 if service <= layout.EMPLOYMENT else 0.45)
    s[layout.SUMMONED + service] = 1 if uniform(r) < summon else 0
    s[layout.D_PLAN + service] = layout.NEVER


@njit(nogil=True)
def follow(s: np.ndarray, service: int, until: int, d: int) -> None:
    """A service takes the person on, until a day, and plans a first appointment soon."""
    s[layout.ACTIVE + service] = max(s[layout.ACTIVE + service], until)
    if s[layout.D_DUE + service] == layout.NEVER:
        s[layout.D_PLAN + service] = min(s[layout.D_PLAN + service], d)


@njit(nogil=True)
def plan_next(
    s: np.ndarray, f: np.ndarray, r: np.ndarray, service: int, d: int, status: int
) -> None:
    """Decide when a service will plan the next appointment."""
    if s[layout.ACTIVE + service] < d:
        s[layout.D_PLAN + service] = layout.NEVER
        return
    delay = 1
    if status == layout.NOSHOW:
        delay = memoryless(r, 3.0 * f[layout.F_PACE])
        if s[layout.NOSHOWS] >= 4:
            delay += memoryless(r, 30.0 * f[layout.F_PACE])
    elif uniform(r) < 0.30:
        delay = memoryless(r, 12.0 * f[layout.F_PACE])
    s[layout.D_PLAN + service] = d + delay


@njit(nogil=True)
def outcome(s: np.ndarray, f: np.ndarray, r: np.ndarray, service: int) -> int:
    """Draw what becomes of an appointment."""
    u = uniform(r)
    if u < rates.P_REVOKED:
        return layout.REVOKED
    if u < rates.P_REVOKED + rates.P_UNKNOWN:
        return layout.UNKNOWN
    if s[layout.DISENGAGED] == 1:
        u = uniform(r)
        if u < 0.82:
            return layout.NOSHOW
        if u < 0.93:
            return layout.EXCUSED
        return layout.SEEN
    if uniform(r) < rates.P_EXCUSED:
        return layout.EXCUSED
    z = -2.83 + 0.45 * f[layout.F_FRAILTY]
    if s[layout.SUMMONED + service] == 1:
        z += 1.30
    if s[layout.NEED + layout.N_MOBILITY] == layout.RAISED:
        z += 0.65
    if s[layout.LATENT + layout.N_DIGITAL] == 1:
        z += 0.20
    if f[layout.F_LONE] > 0.5 and s[layout.NEED + layout.N_CHILDCARE] == layout.RAISED:
        z += 0.55
    if uniform(r) < 1.0 / (1.0 + math.exp(-z)):
        return layout.NOSHOW
    return layout.SEEN


@njit(nogil=True)
def hold(
    s: np.ndarray,
    f: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    tape: np.ndarray,
    service: int,
    d: int,
) -> None:
    """The appointment of a service is due: draw its outcome and what follows."""
    t = s[layout.DUE_T + service]
    confirm(s, w, tape, t)
    status = outcome(s, f, r, service)
    emit(
        s,
        tape,
        layout.K_APPOINTMENT,
        t,
        s[layout.DUE_REF + service],
        status,
        service,
        s[layout.CREATED_T + service],
        s[layout.SUMMONED + service],
    )
    s[layout.LAST_T] = max(s[layout.LAST_T], t)
    s[layout.D_DUE + service] = layout.NEVER
    if status == layout.SEEN:
        seen(s, w, service, t)
        if s[layout.DISENGAGED] == 1 and uniform(r) < 0.75:
            s[layout.DISENGAGED] = 0
            s[layout.D_BACK] = layout.NEVER
            s[layout.D_DROP] = layout.NEVER
    elif status == layout.NOSHOW:
        missed(s, tape, t)
    plan_next(s, f, r, service, d, status)


@njit(nogil=True)
def hold_all(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Hold the day's appointments in the order of their hours."""
    while True:
        first = -1
        for k in range(layout.N_SERVICES):
            if s[layout.D_DUE + k] == d and (
                first < 0 or s[layout.DUE_T + k] < s[layout.DUE_T + first]
            ):
                first = k
        if first < 0:
            return
        hold(s, f, w, r, tape, first, d)


@njit(nogil=True)
def invite(
    s: np.ndarray,
    f: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    tape: np.ndarray,
    service: int,
    d: int,
) -> None:
    """Send a booking link instead of setting a date."""
    channel = 0 if f[layout.F_SMS] > 0.5 else 1
    s[layout.INV_REF] = new_ref(s)
    s[layout.INV_SERVICE] = service
    s[layout.INV_CHANNEL] = channel
    t = moment(r, w, d)
    emit(s, tape, layout.K_INVITATION, t, s[layout.INV_REF], layout.I_SENT, channel, -1, 0)
    s[layout.D_PLAN + service] = layout.NEVER
    if uniform(r) >= rates.P_DELIVERED:
        emit(
            s,
            tape,
            layout.K_INVITATION,
            t + 5,
            s[layout.INV_REF],
            layout.I_NOT_DELIVERED,
            channel,
            -1,
            0,
        )
        s[layout.D_PLAN + service] = d + memoryless(r, 8.0)
        return
    emit(s, tape, layout.K_INVITATION, t + 2, s[layout.INV_REF], layout.I_DELIVERED, channel, -1, 0)
    p = rates.P_OPENED_SMS if channel == 0 else rates.P_OPENED_MAIL
    z = (
        math.log(p / (1.0 - p))
        + 0.40
        + 0.5 * (f[layout.F_DIGITAL] - 0.5)
        - 0.25 * f[layout.F_FRAILTY]
    )
    if s[layout.DISENGAGED] == 1:
        z -= 1.6
    if uniform(r) < 1.0 / (1.0 + math.exp(-z)):
        s[layout.INV_STATE] = 2
        s[layout.D_INVITATION] = d + whole(r, 1, 5)
    else:
        s[layout.INV_STATE] = 1
        s[layout.D_INVITATION] = d + rates.INVITATION_DAYS


@njit(nogil=True)
def follow_invitation(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """An invitation is opened (and most often a date booked) or expires."""
    service = s[layout.INV_SERVICE]
    t = moment(r, w, d)
    s[layout.D_INVITATION] = layout.NEVER
    if s[layout.INV_STATE] == 2:
        emit(
            s,
            tape,
            layout.K_INVITATION,
            t,
            s[layout.INV_REF],
            layout.I_OPENED,
            s[layout.INV_CHANNEL],
            -1,
            0,
        )
        if uniform(r) < 0.85:
            s[layout.INV_STATE] = 0
            if s[layout.D_DUE + service] == layout.NEVER:
                book(s, f, w, r, service, d, True)
            return
        s[layout.INV_STATE] = 1
        s[layout.D_INVITATION] = d + rates.INVITATION_DAYS - 2
        return
    emit(
        s,
        tape,
        layout.K_INVITATION,
        t,
        s[layout.INV_REF],
        layout.I_EXPIRED,
        s[layout.INV_CHANNEL],
        -1,
        0,
    )
    s[layout.INV_STATE] = 0
    if s[layout.D_DUE + service] == layout.NEVER:
        s[layout.D_PLAN + service] = d + memoryless(r, 10.0 * f[layout.F_PACE])


@njit(nogil=True)
def plan_all(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Each service whose day it is plans an appointment, or sends an invitation to book one."""
    for k in range(layout.N_SERVICES):
        if s[layout.D_PLAN + k] <= d:
            if s[layout.ACTIVE + k] < d or s[layout.D_DUE + k] != layout.NEVER:
                s[layout.D_PLAN + k] = layout.NEVER
            elif (
                k == layout.SOCIAL and s[layout.D_INVITATION] == layout.NEVER and uniform(r) < 0.22
            ):
                invite(s, f, w, r, tape, k, d)
            else:
                soon = s[layout.SEEN_T + k] < w[d + PAST] - 25 * layout.DAY or s[layout.NOSHOWS] > 0
                book(s, f, w, r, k, d, soon)


@njit(nogil=True)
def jitter(r: np.ndarray) -> float:
    """One draw around 1, for amounts."""
    return math.exp(0.3 * normal(r))
