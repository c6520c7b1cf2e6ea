"""Living conditions: housing, arrears, eviction, care, rights to the RSA."""

from __future__ import annotations

import numpy as np
from numba import njit

from simulator import layout
from simulator.appointments import jitter, new_ref
from simulator.chance import around, memoryless, uniform, whole
from simulator.clock import PAST
from simulator.tracking import emit


@njit(nogil=True)
def change_rehousing(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """A re-housing file is opened, then done (a new home) or closed without one."""
    t = w[d + PAST]
    if s[layout.REHOUSING] == 0:
        s[layout.REHOUSING] = 1
        s[layout.REHOUSING_REF] = new_ref(s)
        emit(
            s,
            tape,
            layout.K_HOUSING,
            t,
            s[layout.REHOUSING_REF],
            layout.F_REHOUSING,
            layout.FS_OPENED,
            -1,
            0,
        )
        emit(s, tape, layout.K_SITUATION, t, new_ref(s), s[layout.SITUATION], -1, -1, 0)
        s[layout.D_REHOUSING] = d + around(r, 120.0 * f[layout.F_PACE], 0.6)
        if s[layout.ACTIVE + layout.HOUSING] < d and uniform(r) < 0.7:
            s[layout.ACTIVE + layout.HOUSING] = d + 200
            s[layout.D_PLAN + layout.HOUSING] = d + 2
        return
    s[layout.D_REHOUSING] = layout.NEVER
    if uniform(r) < 0.25:
        s[layout.REHOUSING] = 0
        emit(
            s,
            tape,
            layout.K_HOUSING,
            t,
            s[layout.REHOUSING_REF],
            layout.F_REHOUSING,
            layout.FS_CLOSED,
            -1,
            0,
        )
        return
    s[layout.REHOUSING] = 2
    s[layout.REHOUSED_DAY] = d
    emit(
        s,
        tape,
        layout.K_HOUSING,
        t,
        s[layout.REHOUSING_REF],
        layout.F_REHOUSING,
        layout.FS_DONE,
        -1,
        0,
    )
    s[layout.SITUATION] = layout.SIT_SOCIAL if uniform(r) < 0.7 else layout.SIT_TENANT
    emit(s, tape, layout.K_SITUATION, t, new_ref(s), s[layout.SITUATION], -1, -1, 0)
    # Half of the housing services let go once the keys are handed over.
    if uniform(r) < 0.5:
        s[layout.ACTIVE + layout.HOUSING] = min(s[layout.ACTIVE + layout.HOUSING], d + 10)


@njit(nogil=True)
def change_arrears(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """Rent arrears are noticed, then settled; some lead to an eviction notice."""
    t = w[d + PAST]
    if s[layout.ARREARS_REF] < 0:
        s[layout.ARREARS_REF] = new_ref(s)
        emit(
            s,
            tape,
            layout.K_HOUSING,
            t,
            s[layout.ARREARS_REF],
            layout.F_ARREARS,
            layout.FS_OPENED,
            -1,
            int(900.0 * jitter(r)),
        )
        s[layout.D_ARREARS] = d + around(r, 110.0, 0.6)
        if s[layout.D_EVICTION] == layout.NEVER and s[layout.EVICTION] == 0 and uniform(r) < 0.35:
            s[layout.D_EVICTION] = d + around(r, 60.0, 0.5)
        return
    emit(
        s,
        tape,
        layout.K_HOUSING,
        t,
        s[layout.ARREARS_REF],
        layout.F_ARREARS,
        layout.FS_CLOSED,
        -1,
        0,
    )
    s[layout.ARREARS_REF] = -1
    s[layout.D_ARREARS] = layout.NEVER


@njit(nogil=True)
def change_eviction(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """An eviction notice is served, then withdrawn."""
    t = w[d + PAST]
    if s[layout.EVICTION] == 0:
        s[layout.EVICTION] = 1
        s[layout.EVICTION_REF] = new_ref(s)
        emit(
            s,
            tape,
            layout.K_HOUSING,
            t,
            s[layout.EVICTION_REF],
            layout.F_EVICTION,
            layout.FS_OPENED,
            -1,
            0,
        )
        s[layout.D_EVICTION] = d + around(r, 120.0, 0.5)
        return
    s[layout.EVICTION] = 0
    emit(
        s,
        tape,
        layout.K_HOUSING,
        t,
        s[layout.EVICTION_REF],
        layout.F_EVICTION,
        layout.FS_CLOSED,
        -1,
        0,
    )
    s[layout.D_EVICTION] = layout.NEVER


@njit(nogil=True)
def change_care(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Health: a barrier is noted, care is sought, started, and ends. States only, never a
    diagnosis."""
    t = w[d + PAST]
    if s[layout.CARE] == 0:
        s[layout.CARE_REF] = new_ref(s)
        emit(
            s,
            tape,
            layout.K_HEALTH,
            t,
            s[layout.CARE_REF],
            layout.H_BARRIER,
            layout.HS_RAISED,
            -1,
            0,
        )
        emit(
            s,
            tape,
            layout.K_HEALTH,
            t + layout.DAY,
            s[layout.CARE_REF],
            layout.H_REFERRAL,
            layout.HS_OPEN,
            -1,
            0,
        )
        s[layout.CARE] = 1
        s[layout.D_CARE] = d + around(r, 45.0 * f[layout.F_PACE], 0.8)
        if s[layout.ACTIVE + layout.HEALTH] < d and uniform(r) < 0.6:
            s[layout.ACTIVE + layout.HEALTH] = d + 180
            s[layout.D_PLAN + layout.HEALTH] = d + 2
    elif s[layout.CARE] == 1:
        emit(
            s, tape, layout.K_HEALTH, t, s[layout.CARE_REF], layout.H_CARE, layout.HS_STARTED, -1, 0
        )
        s[layout.CARE] = 2
        s[layout.D_CARE] = d + around(r, 130.0, 0.6)
    else:
        stopped = uniform(r) < (0.7 if s[layout.DISENGAGED] == 1 else 0.15)
        code = layout.HS_STOPPED if stopped else layout.HS_RESOLVED
        emit(s, tape, layout.K_HEALTH, t, s[layout.CARE_REF], layout.H_CARE, code, -1, 0)
        if not stopped:
            emit(
                s,
                tape,
                layout.K_HEALTH,
                t,
                s[layout.CARE_REF],
                layout.H_BARRIER,
                layout.HS_RESOLVED,
                -1,
                0,
            )
        s[layout.CARE] = 3
        s[layout.D_CARE] = layout.NEVER


@njit(nogil=True)
def change_rights(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """Suspended rights open again."""
    emit(s, tape, layout.K_RSA, w[d + PAST], new_ref(s), layout.RSA_OPEN, layout.M_NONE, -1, 608)
    s[layout.RSA] = layout.RSA_OPEN
    s[layout.D_RSA] = layout.NEVER


@njit(nogil=True)
def suspend(
    s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int, neutral: bool
) -> None:
    """Rights or their payment are suspended, for a neutral motive or for disengagement."""
    if s[layout.RSA] != layout.RSA_OPEN:
        return
    u = uniform(r)
    state = layout.RSA_PAYMENT_SUSPENDED if u < 0.7 else layout.RSA_SUSPENDED
    if neutral:
        motive = layout.M_01 if u < 0.5 else layout.M_05
    elif state == layout.RSA_PAYMENT_SUSPENDED:
        motive = whole(r, layout.M_06, layout.M_CV + 1)
    else:
        motive = whole(r, layout.M_DL, layout.M_GL + 1)
    emit(s, tape, layout.K_RSA, w[d + PAST], new_ref(s), state, motive, -1, 0)
    s[layout.RSA] = state
    s[layout.D_RSA] = d + 20 + memoryless(r, 60.0)
