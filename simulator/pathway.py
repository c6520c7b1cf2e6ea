"""The beginning and the end of a pathway: welcome, orientation, coming back, exit."""

from __future__ import annotations

import numpy as np
from numba import njit

from simulator import layout, rates
from simulator.appointments import invite, moment, new_ref
from simulator.chance import around, memoryless, uniform, whole
from simulator.clock import PAST
from simulator.handover import lead_service
from simulator.tracking import confirm, emit, seen, watch_silence


@njit(nogil=True)
def orient(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Orientation: a first interview, a decision that opens the pathway, the services that
    start."""
    t = w[d + PAST] + 480 + 30 * whole(r, 0, 18)
    emit(
        s,
        tape,
        layout.K_APPOINTMENT,
        t,
        new_ref(s),
        layout.SEEN,
        layout.SOCIAL,
        w[d - whole(r, 8, 25) + PAST] + whole(r, 480, 1080),
        1 if uniform(r) < 0.3 else 0,
    )
    s[layout.OPEN_T] = t + 25
    seen(s, w, layout.SOCIAL, t)
    s[layout.PHASE] = layout.OPEN
    watch_silence(s, w)
    s[layout.LAST_T] = t + 25
    code = layout.ORI_PRO if s[layout.TRACK] == layout.TRACK_PRO else layout.ORI_SOCIAL
    if s[layout.TRACK] == layout.TRACK_SOCIO_PRO:
        code = layout.ORI_SOCIO_PRO
    emit(s, tape, layout.K_ORIENTATION, t + 25, new_ref(s), code, -1, -1, 0)
    s[layout.D_ORIENTATION] = layout.NEVER
    if s[layout.TRACK] != layout.TRACK_PRO:
        s[layout.ACTIVE + layout.SOCIAL] = layout.NEVER
        s[layout.D_PLAN + layout.SOCIAL] = d + 1
    if s[layout.TRACK] != layout.TRACK_SOCIAL:
        s[layout.ACTIVE + layout.EMPLOYMENT] = layout.NEVER
        s[layout.D_PLAN + layout.EMPLOYMENT] = d + 1
        s[layout.D_REGISTRATION] = d + whole(r, 0, 12)
        s[layout.D_APPLICATION] = d + memoryless(r, 90.0)
    if uniform(r) < (0.75 if s[layout.TRACK] == layout.TRACK_PRO else 0.92):
        s[layout.D_DIAGNOSIS] = d + around(
            r, 40.0 if s[layout.TRACK] == layout.TRACK_PRO else 22.0, 0.6
        )
    if uniform(r) < rates.P_CONTRACT[s[layout.TRACK]]:
        s[layout.D_CONTRACT] = d + around(r, rates.CONTRACT_DELAY, 0.5)


@njit(nogil=True)
def come_back(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """A disengaged person turns up again: he counts once more as reachable and the lead service
    plans."""
    s[layout.DISENGAGED] = 0
    s[layout.D_BACK] = layout.NEVER
    s[layout.D_DROP] = layout.NEVER
    lead = lead_service(s)
    if s[layout.D_DUE + lead] == layout.NEVER and s[layout.ACTIVE + lead] >= d:
        s[layout.D_PLAN + lead] = min(s[layout.D_PLAN + lead], d + 1)


@njit(nogil=True)
def close_pathway(
    s: np.ndarray, q: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int, code: int
) -> None:
    """The pathway ends: pending delays are counted up to that instant, then nothing more
    happens."""
    t = max(s[layout.LAST_T] + 7, moment(r, w, d))
    confirm(s, w, tape, t)
    s[layout.PHASE] = layout.CLOSED
    s[layout.EXIT_T] = t
    s[layout.EXIT_CODE] = code
    emit(s, tape, layout.K_EXIT, t, new_ref(s), code, -1, -1, 0)
    day = w[d + PAST]
    if s[layout.CON_STATE] == 1:
        how = layout.END_CANCELLED if code >= layout.X_DROPPED else layout.END_ENDED
        emit(s, tape, layout.K_CONTRACT_END, day, s[layout.CON_REF], s[layout.CON_TYPE], how, -1, 0)
    for k in range(layout.N_SERVICES):
        if s[layout.D_DUE + k] != layout.NEVER:
            # Revoked by its service at the exit: entered then, due later.
            emit(
                s,
                tape,
                layout.K_APPOINTMENT,
                s[layout.DUE_T + k],
                s[layout.DUE_REF + k],
                layout.REVOKED,
                k,
                s[layout.CREATED_T + k],
                s[layout.SUMMONED + k] + 2 * (d + 1),
            )
    if code != layout.X_DROPPED and code != layout.X_NO_SOLUTION:
        motive = layout.M_RFD
        if code == layout.X_MOVED:
            motive = layout.M_MUT
        emit(
            s,
            tape,
            layout.K_RSA,
            w[d + whole(r, 1, 40) + PAST],
            new_ref(s),
            layout.RSA_CLOSED,
            motive,
            -1,
            0,
        )
    elif uniform(r) < 0.6:
        motive = layout.M_ECH if uniform(r) < 0.7 else layout.M_RAU
        emit(
            s,
            tape,
            layout.K_RSA,
            w[d + whole(r, 20, 110) + PAST],
            new_ref(s),
            layout.RSA_CLOSED,
            motive,
            -1,
            0,
        )
    for i in range(layout.N_DEADLINES):
        s[i] = layout.NEVER
    for i in range(layout.N_RATES):
        q[i] = 0.0


@njit(nogil=True)
def welcome(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Before orientation: most are invited to a first interview by a message."""
    if uniform(r) < 0.5:
        invite(s, f, w, r, tape, layout.SOCIAL, d)
        s[layout.D_INVITATION] = layout.NEVER
        s[layout.D_PLAN + layout.SOCIAL] = layout.NEVER
