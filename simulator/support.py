"""Social support: diagnosis, needs, contracts, aid requests, action plan."""

from __future__ import annotations

import numpy as np
from numba import njit

from simulator import layout
from simulator.appointments import jitter, new_ref
from simulator.chance import around, memoryless, uniform, whole
from simulator.clock import CONGESTION_AT, FIXED, PAST, PERIODS, period
from simulator.handover import lead_service, refer
from simulator.tracking import emit


@njit(nogil=True)
def congestion(w: np.ndarray, theme: int, d: int) -> float:
    """How much longer than usual the answers to a need take in the month of day d."""
    return w[CONGESTION_AT + theme * PERIODS + period(d)] / FIXED


@njit(nogil=True)
def raise_need(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, theme: int, d: int
) -> None:
    """A need is noticed and written down; the day of its answer depends on the month and on the
    caseworker."""
    s[layout.NEED + theme] = layout.RAISED
    s[layout.NEED_DAY + theme] = d
    s[layout.NEED_REF + theme] = new_ref(s)
    s[layout.LATENT + theme] = 1
    emit(
        s, tape, layout.K_NEED, w[d + PAST], s[layout.NEED_REF + theme], theme, layout.RAISED, -1, 0
    )
    s[layout.D_NEED + theme] = d + around(r, 70.0 * f[layout.F_PACE] * congestion(w, theme, d), 1.0)
    target = -1
    p = 0.30
    if theme == layout.N_HEALTH:
        target = layout.HEALTH
        p = 0.45
        if s[layout.D_CARE] == layout.NEVER and s[layout.CARE] == 0:
            s[layout.D_CARE] = d + around(r, 25.0, 0.5)
    elif theme == layout.N_HOUSING:
        target = layout.HOUSING
        p = 0.50
        if s[layout.REHOUSING] == 0 and uniform(r) < 0.75:
            s[layout.D_REHOUSING] = d + around(r, 30.0, 0.5)
    elif theme == layout.N_SKILLS or theme == layout.N_LANGUAGE:
        target = layout.TRAINING
        p = 0.40
    if target >= 0 and s[layout.REF_STATE] == 0 and uniform(r) < p:
        refer(s, w, r, tape, target, d)


@njit(nogil=True)
def change_need(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, theme: int, d: int
) -> None:
    """A raised need is answered (later when the person is out of reach), an answered one
    settled."""
    if s[layout.NEED + theme] == layout.RAISED:
        if s[layout.DISENGAGED] == 1 and uniform(r) < 0.7:
            s[layout.D_NEED + theme] = d + memoryless(r, 40.0)
            return
        s[layout.NEED + theme] = layout.ANSWERED
        s[layout.ANSWER_DAY] = d
        emit(
            s,
            tape,
            layout.K_NEED,
            w[d + PAST],
            s[layout.NEED_REF + theme],
            theme,
            layout.ANSWERED,
            -1,
            0,
        )
        s[layout.D_NEED + theme] = d + around(r, 80.0, 0.6)
    else:
        s[layout.NEED + theme] = layout.SETTLED
        s[layout.LATENT + theme] = 0
        emit(
            s,
            tape,
            layout.K_NEED,
            w[d + PAST],
            s[layout.NEED_REF + theme],
            theme,
            layout.SETTLED,
            -1,
            0,
        )
        s[layout.D_NEED + theme] = layout.NEVER


@njit(nogil=True)
def diagnose(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Social diagnosis: the needs present are written down."""
    if s[layout.DISENGAGED] == 1:
        s[layout.D_DIAGNOSIS] = d + memoryless(r, 30.0)
        return
    s[layout.D_DIAGNOSIS] = layout.NEVER
    s[layout.DIAGNOSIS_DAY] = d
    emit(s, tape, layout.K_ACT, w[d + PAST], new_ref(s), layout.A_DIAGNOSIS, -1, -1, 0)
    for theme in range(layout.N_THEMES):
        if s[layout.LATENT + theme] == 1 and s[layout.NEED + theme] == 0:
            raise_need(s, f, w, r, tape, theme, d)


@njit(nogil=True)
def change_contract(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Sign, renew or let lapse the reciprocal commitment contract."""
    t = w[d + PAST]
    if s[layout.CON_STATE] == 1 and s[layout.D_CONTRACT] >= s[layout.CON_END]:
        emit(
            s,
            tape,
            layout.K_CONTRACT_END,
            t,
            s[layout.CON_REF],
            s[layout.CON_TYPE],
            layout.END_EXPIRED,
            -1,
            0,
        )
        s[layout.CON_STATE] = 2
        s[layout.D_CONTRACT] = d + around(r, 45.0 * f[layout.F_PACE], 0.8)
        return
    lead = lead_service(s)
    willing = s[layout.DISENGAGED] == 0 and s[layout.SEEN_T + lead] > t - 100 * layout.DAY
    if s[layout.CON_STATE] == 1 and not (willing and uniform(r) < 0.70):
        s[layout.D_CONTRACT] = s[layout.CON_END]
        return
    if not willing:
        s[layout.D_CONTRACT] = d + memoryless(r, 30.0)
        return
    if s[layout.CON_RANK] == 0:
        s[layout.CON_TYPE] = layout.PPAE if lead == layout.EMPLOYMENT else layout.CER
        young = (f[layout.F_AGE] + d) < 25.5 * 365.25
        if lead == layout.EMPLOYMENT and young and uniform(r) < 0.6:
            s[layout.CON_TYPE] = layout.CEJ
    elif s[layout.CON_STATE] == 1:
        emit(
            s,
            tape,
            layout.K_CONTRACT_END,
            t,
            s[layout.CON_REF],
            s[layout.CON_TYPE],
            layout.END_ENDED,
            -1,
            0,
        )
    months = 6
    if s[layout.CON_TYPE] == layout.CER:
        u = uniform(r)
        months = 12 if u < 0.3 else (6 if u < 0.8 else 3)
    elif s[layout.CON_TYPE] == layout.CEJ:
        months = 12 if uniform(r) < 0.5 else 6
    s[layout.CON_RANK] += 1
    s[layout.CON_STATE] = 1
    s[layout.CON_REF] = new_ref(s)
    s[layout.CON_END] = d + 30 * months + (months // 2)
    emit(
        s,
        tape,
        layout.K_CONTRACT,
        t,
        s[layout.CON_REF],
        s[layout.CON_TYPE],
        s[layout.CON_RANK],
        s[layout.CON_END],
        whole(r, 2, 5) * 5,
    )
    s[layout.D_CONTRACT] = s[layout.CON_END] - whole(r, 1, 25)


@njit(nogil=True)
def ask_aid(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """An aid is requested, then decided."""
    amount = int(60.0 * jitter(r)) * 2
    if s[layout.D_AID] == layout.NEVER:
        s[layout.AID_REF] = new_ref(s)
        emit(
            s, tape, layout.K_ACT, w[d + PAST], s[layout.AID_REF], layout.A_AID_OPEN, -1, -1, amount
        )
        s[layout.D_AID] = d + around(r, 24.0, 0.5)


@njit(nogil=True)
def decide_aid(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """The aid request is decided."""
    u = uniform(r)
    code = layout.A_AID_ACCEPTED
    if u > 0.62:
        code = layout.A_AID_REFUSED
    if u > 0.82:
        code = layout.A_AID_ADJOURNED
    if u > 0.93:
        code = layout.A_AID_DROPPED
    emit(
        s,
        tape,
        layout.K_ACT,
        w[d + PAST],
        s[layout.AID_REF],
        code,
        -1,
        -1,
        int(60.0 * jitter(r)) * 2,
    )
    s[layout.D_AID] = layout.NEVER


@njit(nogil=True)
def plan_action(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """A line is added to the action plan."""
    if s[layout.D_ACTION] != layout.NEVER:
        return
    s[layout.ACTION_REF] = new_ref(s)
    s[layout.ACTION_STATE] = 1
    emit(s, tape, layout.K_ACT, w[d + PAST], s[layout.ACTION_REF], layout.A_PLANNED, -1, -1, 0)
    s[layout.D_ACTION] = d + around(r, 18.0, 0.6)


@njit(nogil=True)
def change_action(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """The line goes on: in progress, on hold, done, abandoned or cancelled."""
    u = uniform(r)
    code = layout.A_DONE
    if s[layout.ACTION_STATE] == 1:
        code = layout.A_IN_PROGRESS
        if u > 0.90:
            code = layout.A_CANCELLED
    elif u > 0.92:
        code = layout.A_STANDBY
    if s[layout.DISENGAGED] == 1 and u < 0.55:
        code = layout.A_ABANDONED
    emit(s, tape, layout.K_ACT, w[d + PAST], s[layout.ACTION_REF], code, -1, -1, 0)
    if code == layout.A_IN_PROGRESS or code == layout.A_STANDBY:
        s[layout.ACTION_STATE] = 2
        s[layout.D_ACTION] = d + around(r, 45.0, 0.6)
    else:
        s[layout.D_ACTION] = layout.NEVER
