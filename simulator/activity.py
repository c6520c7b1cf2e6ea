"""Activity: registration, applications, jobs, IAE jobs, immersions, courses, apprenticeships."""

from __future__ import annotations

import numpy as np
from numba import njit

from simulator import layout, rates
from simulator.appointments import follow, moment, new_ref
from simulator.chance import around, memoryless, uniform, whole
from simulator.tracking import (
    apprenticeship_broken,
    apprenticeship_started,
    confirm,
    course_abandoned,
    emit,
    job_started,
    onset,
)


@njit(nogil=True)
def is_young(f: np.ndarray, d: int) -> bool:
    """Under 26 on day d."""
    return (f[layout.F_AGE] + d) < 26 * 365.25


@njit(nogil=True)
def register(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """Registration with the employment service."""
    s[layout.REGISTERED] = 1
    s[layout.D_REGISTRATION] = layout.NEVER
    emit(
        s,
        tape,
        layout.K_REGISTRATION,
        moment(r, w, d),
        new_ref(s),
        layout.REG_REGISTERED,
        -1,
        -1,
        0,
    )


@njit(nogil=True)
def strike_off(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """Struck off the list after absences."""
    s[layout.REGISTERED] = 0
    emit(
        s,
        tape,
        layout.K_REGISTRATION,
        moment(r, w, d),
        new_ref(s),
        layout.REG_STRUCK_OFF,
        -1,
        -1,
        0,
    )
    s[layout.D_REGISTRATION] = d + memoryless(r, 120.0)


@njit(nogil=True)
def apply_for_job(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """An application is sent, or the answer to the last one comes."""
    t = moment(r, w, d)
    if s[layout.APP_REF] >= 0:
        u = uniform(r)
        code = 1
        if u < 0.12 * f[layout.F_EMPLOYABLE]:
            code = 0
        elif u > 0.92:
            code = 2
        emit(s, tape, layout.K_APPLICATION_ANSWER, t, s[layout.APP_REF], code, -1, -1, 0)
        s[layout.APP_REF] = -1
        s[layout.D_APPLICATION] = d + memoryless(r, 110.0)
        if code == 0 and s[layout.WORK] == layout.NO_SPELL and s[layout.D_WORK] == layout.NEVER:
            s[layout.WORK_KIND] = layout.W_JOB
            s[layout.D_WORK] = d + whole(r, 2, 15)
        return
    if s[layout.DISENGAGED] == 1 and uniform(r) < 0.8:
        s[layout.D_APPLICATION] = d + memoryless(r, 45.0)
        return
    s[layout.APP_REF] = new_ref(s)
    s[layout.OFFER_DAY] = d
    emit(s, tape, layout.K_APPLICATION, t, s[layout.APP_REF], -1, -1, -1, 0)
    s[layout.D_APPLICATION] = d + around(r, 16.0, 0.5)


@njit(nogil=True)
def change_work(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """A job or an IAE job starts, ends or breaks."""
    t = moment(r, w, d)
    kind = s[layout.WORK_KIND]
    if s[layout.WORK] == layout.NO_SPELL:
        length = around(r, 55.0, 0.6) if kind == layout.W_JOB else around(r, 190.0, 0.4)
        s[layout.WORK_REF] = new_ref(s)
        s[layout.WORK_DAY] = d
        hours = 26 if kind == layout.W_IAE else whole(r, 2, 8) * 5
        emit(s, tape, layout.K_WORK, t, s[layout.WORK_REF], kind, -1, d + length, hours)
        s[layout.OFFER_DAY] = d
        s[layout.WORK] = layout.RUNNING
        s[layout.D_WORK] = d + length
        if uniform(r) < rates.IAE_BASE:
            s[layout.WORK] = layout.BREAKING
            s[layout.D_WORK] = d + whole(r, 10, max(12, length))
        if kind == layout.W_JOB:
            confirm(s, w, tape, t)
            job_started(s, t)
        return
    broken = s[layout.WORK] == layout.BREAKING
    emit(
        s,
        tape,
        layout.K_WORK_END,
        t,
        s[layout.WORK_REF],
        kind,
        layout.WORK_BROKEN if broken else layout.WORK_ENDED,
        -1,
        0,
    )
    if broken and kind == layout.W_IAE:
        onset(s, tape, t, layout.R5)
        s[layout.LAST_T] = max(s[layout.LAST_T], t)
    s[layout.WORK] = layout.NO_SPELL
    s[layout.D_WORK] = layout.NEVER


@njit(nogil=True)
def start_work(s: np.ndarray, r: np.ndarray, kind: int, d: int) -> None:
    """A job is found; it starts within two weeks."""
    if s[layout.WORK] == layout.NO_SPELL and s[layout.D_WORK] == layout.NEVER:
        s[layout.WORK_KIND] = kind
        s[layout.D_WORK] = d + whole(r, 2, 15)


@njit(nogil=True)
def change_immersion(s: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int) -> None:
    """An immersion (about two weeks) starts or ends."""
    t = moment(r, w, d)
    if s[layout.IMM_REF] < 0:
        length = whole(r, 5, 22)
        s[layout.IMM_REF] = new_ref(s)
        s[layout.OFFER_DAY] = d
        emit(s, tape, layout.K_WORK, t, s[layout.IMM_REF], layout.W_IMMERSION, -1, d + length, 30)
        s[layout.D_IMMERSION] = d + length
        return
    broken = s[layout.DISENGAGED] == 1 and uniform(r) < 0.5
    emit(
        s,
        tape,
        layout.K_WORK_END,
        t,
        s[layout.IMM_REF],
        layout.W_IMMERSION,
        layout.WORK_BROKEN if broken else layout.WORK_ENDED,
        -1,
        0,
    )
    s[layout.IMM_REF] = -1
    s[layout.D_IMMERSION] = layout.NEVER


@njit(nogil=True)
def change_course(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """A course is offered, entered, started, completed or abandoned."""
    t = moment(r, w, d)
    state = s[layout.COURSE]
    if state == layout.NO_SPELL:
        s[layout.COURSE_REF] = new_ref(s)
        s[layout.OFFER_DAY] = d
        emit(
            s,
            tape,
            layout.K_LEARNING,
            t,
            s[layout.COURSE_REF],
            layout.L_COURSE,
            layout.LS_OFFERED,
            -1,
            0,
        )
        s[layout.COURSE] = layout.OFFERED
        s[layout.D_COURSE] = d + around(r, 14.0, 0.5)
        return
    if state <= layout.ENROLLED:
        if uniform(r) > (0.72 if state == layout.OFFERED else 0.90) or s[layout.DISENGAGED] == 1:
            s[layout.COURSE] = layout.NO_SPELL
            s[layout.D_COURSE] = layout.NEVER
            return
        if state == layout.OFFERED:
            s[layout.COURSE] = layout.ENROLLED
            start = d + around(r, 28.0, 0.5)
            s[layout.COURSE_END] = start + around(r, 95.0, 0.45)
            emit(
                s,
                tape,
                layout.K_LEARNING,
                t,
                s[layout.COURSE_REF],
                layout.L_COURSE,
                layout.LS_ENROLLED,
                s[layout.COURSE_END],
                30,
            )
            follow(s, layout.TRAINING, s[layout.COURSE_END] + 30, d + 3)
            s[layout.D_COURSE] = start
            return
        s[layout.COURSE] = layout.RUNNING
        s[layout.COURSE_END] = max(s[layout.COURSE_END], d + 20)
        s[layout.D_COURSE] = s[layout.COURSE_END]
        emit(
            s,
            tape,
            layout.K_LEARNING,
            t,
            s[layout.COURSE_REF],
            layout.L_COURSE,
            layout.LS_STARTED,
            s[layout.COURSE_END],
            30,
        )
        base = rates.ABANDON_BASE_YOUNG if is_young(f, d) else rates.ABANDON_BASE
        if uniform(r) < base:
            s[layout.COURSE] = layout.BREAKING
            s[layout.D_COURSE] = whole(r, d + 3, s[layout.COURSE_END])
        return
    broken = state == layout.BREAKING
    code = layout.LS_BROKEN if broken else layout.LS_COMPLETED
    emit(s, tape, layout.K_LEARNING, t, s[layout.COURSE_REF], layout.L_COURSE, code, -1, 0)
    if broken:
        course_abandoned(s, w, t)
    s[layout.COURSE] = layout.NO_SPELL
    s[layout.D_COURSE] = layout.NEVER


@njit(nogil=True)
def change_apprenticeship(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """An apprenticeship is offered, started, completed or broken."""
    t = moment(r, w, d)
    state = s[layout.APPR]
    if state == layout.NO_SPELL:
        s[layout.APPR_REF] = new_ref(s)
        s[layout.OFFER_DAY] = d
        emit(
            s,
            tape,
            layout.K_LEARNING,
            t,
            s[layout.APPR_REF],
            layout.L_APPRENTICESHIP,
            layout.LS_OFFERED,
            -1,
            0,
        )
        s[layout.APPR] = layout.OFFERED
        s[layout.D_APPRENTICESHIP] = d + around(r, 30.0, 0.4)
        return
    if state == layout.OFFERED:
        if uniform(r) > 0.7 or s[layout.DISENGAGED] == 1:
            s[layout.APPR] = layout.NO_SPELL
            s[layout.D_APPRENTICESHIP] = layout.NEVER
            return
        length = 365 if uniform(r) < 0.6 else 730
        s[layout.APPR] = layout.RUNNING
        s[layout.APPR_END] = d + length
        s[layout.D_APPRENTICESHIP] = d + length
        emit(
            s,
            tape,
            layout.K_LEARNING,
            t,
            s[layout.APPR_REF],
            layout.L_APPRENTICESHIP,
            layout.LS_STARTED,
            s[layout.APPR_END],
            35,
        )
        confirm(s, w, tape, t)
        apprenticeship_started(s, t)
        follow(s, layout.TRAINING, d + length, d + 20)
        if uniform(r) < rates.APPRENTICESHIP_BASE:
            s[layout.APPR] = layout.BREAKING
            s[layout.D_APPRENTICESHIP] = d + whole(r, 10, 280)
        return
    broken = state == layout.BREAKING
    code = layout.LS_BROKEN if broken else layout.LS_COMPLETED
    emit(s, tape, layout.K_LEARNING, t, s[layout.APPR_REF], layout.L_APPRENTICESHIP, code, -1, 0)
    s[layout.APPR] = layout.NO_SPELL
    s[layout.D_APPRENTICESHIP] = layout.NEVER
    if broken:
        apprenticeship_broken(s, w, t)
        if uniform(r) < 0.45:
            s[layout.D_APPRENTICESHIP] = d + memoryless(r, 60.0)


@njit(nogil=True)
def disengage(s: np.ndarray, f: np.ndarray, r: np.ndarray, d: int) -> None:
    """The person lets go: what is running is likely to break, appointments to be missed (see
    `outcome`)."""
    s[layout.DISENGAGED] = 1
    s[layout.DISENGAGED_DAY] = d
    s[layout.D_BACK] = d + 15 + memoryless(r, 150.0 * f[layout.F_PACE])
    s[layout.D_DROP] = d + 40 + memoryless(r, 700.0)
    if s[layout.COURSE] == layout.RUNNING and uniform(r) < 0.7:
        s[layout.COURSE] = layout.BREAKING
        s[layout.D_COURSE] = min(s[layout.D_COURSE], d + whole(r, 3, 26))
    if s[layout.WORK] == layout.RUNNING and uniform(r) < (
        0.65 if s[layout.WORK_KIND] == layout.W_IAE else 0.3
    ):
        s[layout.WORK] = layout.BREAKING
        s[layout.D_WORK] = min(s[layout.D_WORK], d + whole(r, 2, 22))
    if s[layout.APPR] == layout.RUNNING and uniform(r) < 0.6:
        s[layout.APPR] = layout.BREAKING
        s[layout.D_APPRENTICESHIP] = min(s[layout.D_APPRENTICESHIP], d + whole(r, 5, 40))
