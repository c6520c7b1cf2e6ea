"""Hand-overs between services: referrals and changes of lead service."""

from __future__ import annotations

import numpy as np
from numba import njit

from simulator import layout, rates
from simulator.appointments import follow, moment, new_ref
from simulator.chance import around, memoryless, uniform, whole
from simulator.tracking import emit, free_slot, handed_over


@njit(nogil=True)
def lead_service(s: np.ndarray) -> int:
    """The service that leads the pathway."""
    return layout.EMPLOYMENT if s[layout.TRACK] == layout.TRACK_PRO else layout.SOCIAL


@njit(nogil=True)
def refer(
    s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, target: int, d: int
) -> None:
    """A hand-over to another service is proposed."""
    s[layout.REF_STATE] = 1
    s[layout.REF_KIND] = 0
    s[layout.REF_TO] = target
    s[layout.REF_FROM] = lead_service(s)
    s[layout.REF_REF] = new_ref(s)
    s[layout.REF_DAY] = d
    emit(
        s,
        tape,
        layout.K_REFERRAL,
        moment(r, w, d),
        s[layout.REF_REF],
        s[layout.REF_FROM],
        target,
        -1,
        0,
    )
    s[layout.D_REFERRAL] = d + around(r, 9.0, 0.6)


@njit(nogil=True)
def refer_somewhere(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """Choose a receiving service and propose a hand-over."""
    if s[layout.REF_STATE] != 0:
        return
    lead = lead_service(s)
    u = uniform(r)
    target = layout.TRAINING
    if u < 0.35:
        target = layout.EMPLOYMENT if lead == layout.SOCIAL else layout.SOCIAL
    elif u < 0.55:
        target = layout.HEALTH
    elif u < 0.70:
        target = layout.HOUSING
    refer(s, w, r, tape, target, d)


@njit(nogil=True)
def reorient(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """A change of lead service is requested."""
    if s[layout.REF_STATE] != 0 or s[layout.TRACK] == layout.TRACK_SOCIO_PRO:
        return
    lead = lead_service(s)
    s[layout.REF_STATE] = 1
    s[layout.REF_KIND] = 1
    s[layout.REF_FROM] = lead
    s[layout.REF_TO] = layout.EMPLOYMENT if lead == layout.SOCIAL else layout.SOCIAL
    s[layout.REF_REF] = new_ref(s)
    s[layout.REF_DAY] = d
    emit(
        s,
        tape,
        layout.K_ORIENTATION,
        moment(r, w, d),
        s[layout.REF_REF],
        layout.REO_REQUESTED,
        s[layout.REF_TO],
        -1,
        0,
    )
    s[layout.D_REFERRAL] = d + around(r, 25.0, 0.5)


@njit(nogil=True)
def answer_referral(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """The proposal is accepted, refused, or expires."""
    s[layout.D_REFERRAL] = layout.NEVER
    s[layout.REF_STATE] = 0
    t = moment(r, w, d)
    to = s[layout.REF_TO]
    u = uniform(r)
    accepted = u < 0.72 and free_slot(s)
    if s[layout.REF_KIND] == 1:
        code = layout.REO_ACCEPTED if accepted else layout.REO_DENIED
        emit(s, tape, layout.K_ORIENTATION, t, s[layout.REF_REF], code, to, -1, 0)
        if accepted:
            old = s[layout.REF_FROM]
            s[layout.TRACK] = layout.TRACK_PRO if to == layout.EMPLOYMENT else layout.TRACK_SOCIAL
            s[layout.ACTIVE + old] = d
            s[layout.CON_RANK] = 0 if s[layout.CON_STATE] != 1 else s[layout.CON_RANK]
            if s[layout.D_CONTRACT] == layout.NEVER:
                s[layout.D_CONTRACT] = d + around(r, rates.CONTRACT_DELAY, 0.5)
            if to == layout.EMPLOYMENT:
                s[layout.D_APPLICATION] = min(s[layout.D_APPLICATION], d + memoryless(r, 90.0))
                if s[layout.REGISTERED] == 0:
                    s[layout.D_REGISTRATION] = d + whole(r, 0, 12)
            handed_over(s, w, to, t)
            follow(s, to, layout.NEVER, d + memoryless(r, 7.0 * f[layout.F_PACE]))
        return
    answer = layout.ANSWER_ACCEPTED
    if not accepted:
        answer = layout.ANSWER_REFUSED if u < 0.87 else layout.ANSWER_EXPIRED
    emit(s, tape, layout.K_REFERRAL_ANSWER, t, s[layout.REF_REF], answer, to, -1, 0)
    if accepted:
        handed_over(s, w, to, t)
        # Some receiving services list the person late: meanwhile nobody holds the hand-over.
        lag = memoryless(r, 4.0 * f[layout.F_PACE])
        if uniform(r) < 0.12:
            lag += memoryless(r, 30.0)
        follow(s, to, d + 90 + whole(r, 60, 300), d + lag)
        if (
            to == layout.TRAINING
            and s[layout.COURSE] == layout.NO_SPELL
            and s[layout.D_COURSE] == layout.NEVER
        ):
            s[layout.D_COURSE] = d + around(r, 45.0, 0.5)
