"""One day of one person, and the two ways of running days: the history that is exported, the runs
behind the truth."""

from __future__ import annotations

import numpy as np
from numba import njit

from simulator import layout, rates
from simulator.activity import (
    apply_for_job,
    change_apprenticeship,
    change_course,
    change_immersion,
    change_work,
    register,
)
from simulator.appointments import follow_invitation, hold_all, new_ref, plan_all
from simulator.borrowing import borrowed
from simulator.chance import sow, uniform, whole
from simulator.clock import PAST
from simulator.handover import answer_referral
from simulator.hazard import happen, refresh
from simulator.living import (
    change_arrears,
    change_care,
    change_eviction,
    change_rehousing,
    change_rights,
    suspend,
)
from simulator.pathway import close_pathway, come_back, orient, welcome
from simulator.support import change_action, change_contract, change_need, decide_aid, diagnose
from simulator.tracking import confirm, emit, in_rupture, onset


@njit(nogil=True)
def wake(s: np.ndarray) -> None:
    """Set the next day on which something is due."""
    soonest = s[0]
    for i in range(1, layout.N_DEADLINES):
        if s[i] < soonest:
            soonest = s[i]
    s[layout.WAKE] = soonest


@njit(nogil=True)
def before_pathway(
    s: np.ndarray,
    q: np.ndarray,
    f: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    tape: np.ndarray,
    d: int,
    u: float,
) -> None:
    """A day of someone with rights and no orientation yet."""
    if s[layout.D_ORIENTATION] <= d:
        orient(s, f, w, r, tape, d)
        refresh(s, q, f, w, d)
    elif s[layout.D_INVITATION] <= d:
        s[layout.D_INVITATION] = layout.NEVER
        welcome(s, f, w, r, tape, d)
    elif u < q[layout.Q_TOTAL]:
        # Leaves the RSA without having been oriented.
        emit(s, tape, layout.K_RSA, w[d + PAST], new_ref(s), layout.RSA_CLOSED, layout.M_RFD, -1, 0)
        s[layout.PHASE] = layout.CLOSED
        for i in range(layout.N_DEADLINES):
            s[i] = layout.NEVER
        q[layout.Q_TOTAL] = 0.0
    wake(s)


@njit(nogil=True)
def planned(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Everything that was due today, but for appointments."""
    for theme in range(layout.N_THEMES):
        if s[layout.D_NEED + theme] <= d:
            change_need(s, f, w, r, tape, theme, d)
    if s[layout.D_REGISTRATION] <= d:
        register(s, w, r, tape, d)
    if s[layout.D_DIAGNOSIS] <= d:
        diagnose(s, f, w, r, tape, d)
    if s[layout.D_CONTRACT] <= d:
        change_contract(s, f, w, r, tape, d)
    if s[layout.D_REFERRAL] <= d:
        answer_referral(s, f, w, r, tape, d)
    if s[layout.D_INVITATION] <= d:
        follow_invitation(s, f, w, r, tape, d)
    if s[layout.D_APPLICATION] <= d:
        apply_for_job(s, f, w, r, tape, d)
    if s[layout.D_WORK] <= d:
        change_work(s, f, w, r, tape, d)
    if s[layout.D_IMMERSION] <= d:
        change_immersion(s, w, r, tape, d)
    if s[layout.D_COURSE] <= d:
        change_course(s, f, w, r, tape, d)
    if s[layout.D_APPRENTICESHIP] <= d:
        change_apprenticeship(s, f, w, r, tape, d)
    if s[layout.D_AID] <= d:
        decide_aid(s, w, r, tape, d)
    if s[layout.D_ACTION] <= d:
        change_action(s, w, r, tape, d)
    if s[layout.D_REHOUSING] <= d:
        change_rehousing(s, f, w, r, tape, d)
    if s[layout.D_ARREARS] <= d:
        change_arrears(s, w, r, tape, d)
    if s[layout.D_EVICTION] <= d:
        change_eviction(s, w, r, tape, d)
    if s[layout.D_CARE] <= d:
        change_care(s, f, w, r, tape, d)
    if s[layout.D_RSA] <= d:
        change_rights(s, w, r, tape, d)


@njit(nogil=True)
def step(
    s: np.ndarray,
    q: np.ndarray,
    f: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    tape: np.ndarray,
    d: int,
) -> None:
    """Live local day d. The one function behind the exported history and the truth.

    Args:
        s: state, int64[N_STATE], changed in place.
        q: rates, float64[N_RATES], changed in place.
        f: traits, float64[N_TRAITS].
        w: the world.
        r: the person's counter of chance, uint64[1].
        tape: where events are written.
        d: local day.
    """
    u = uniform(r)
    if d < s[layout.WAKE] and u >= q[layout.Q_TOTAL]:
        return
    if s[layout.PHASE] == layout.WAITING:
        before_pathway(s, q, f, w, r, tape, d, u)
        return
    if s[layout.PHASE] == layout.CLOSED:
        return
    hold_all(s, f, w, r, tape, d)
    planned(s, f, w, r, tape, d)
    plan_all(s, f, w, r, tape, d)
    if s[layout.D_BACK] <= d:
        come_back(s, f, w, r, tape, d)
    if s[layout.DISENGAGED] == 1 and s[layout.D_DROP] <= d:
        close_pathway(s, q, w, r, tape, d, layout.X_DROPPED)
    elif u < q[layout.Q_TOTAL]:
        if s[layout.DISENGAGED] == 1 and uniform(r) < 0.10:
            suspend(s, w, r, tape, d, False)
        happen(s, q, f, w, r, tape, d, u)
    if s[layout.PHASE] == layout.CLOSED:
        if s[layout.EXIT_CODE] >= layout.X_DROPPED:
            onset(s, tape, s[layout.EXIT_T], layout.R7)
    else:
        confirm(s, w, tape, w[d + PAST + 1] - 1)
        refresh(s, q, f, w, d)
    wake(s)


@njit(nogil=True)
def begin(
    s: np.ndarray, q: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, rsa_day: int
) -> None:
    """A person enters: rights are open, orientation is awaited."""
    emit(
        s,
        tape,
        layout.K_RSA,
        w[rsa_day + PAST],
        new_ref(s),
        layout.RSA_OPEN,
        layout.M_NONE,
        -1,
        608,
    )
    if s[layout.D_ORIENTATION] < layout.NEVER and s[layout.D_ORIENTATION] > s[layout.ENTRY] + 12:
        s[layout.D_INVITATION] = s[layout.D_ORIENTATION] - whole(r, 3, 12)
    q[layout.Q_TOTAL] = rates.LEAVES_WAITING
    wake(s)


@njit(nogil=True)
def flush(s: np.ndarray, tape: np.ndarray) -> None:
    """At the end of observation, write the appointments still to come."""
    if s[layout.PHASE] == layout.OPEN:
        for k in range(layout.N_SERVICES):
            if s[layout.D_DUE + k] != layout.NEVER:
                emit(
                    s,
                    tape,
                    layout.K_APPOINTMENT,
                    s[layout.DUE_T + k],
                    s[layout.DUE_REF + k],
                    layout.PLANNED,
                    k,
                    s[layout.CREATED_T + k],
                    s[layout.SUMMONED + k],
                )


@njit(nogil=True, cache=True)
def live(
    states: np.ndarray,
    traits: np.ndarray,
    rsa_days: np.ndarray,
    world: np.ndarray,
    seed: int,
    days: int,
    firsts: np.ndarray,
    paper: np.ndarray,
    at_risk: np.ndarray,
    quiet: np.ndarray,
    scratch: tuple[np.ndarray, ...],
) -> None:
    """Live the whole history of some persons and write their events.

    Args:
        states: int64[persons, N_STATE], as `people.draw` made them; left at the last state.
        traits: float64[persons, N_TRAITS].
        rsa_days: int64[persons], local day on which rights were opened.
        world: int64, see `people.draw_world`.
        seed: seed of the set.
        days: days of observation.
        firsts: int64[months], the firsts of month.
        paper: int64[capacity + 1, N_TAPE], events out; `paper[0, 0]` counts them.
        at_risk: bool[persons, months] out: open, not in rupture, just before each first of month.
        quiet: int64[persons, months] out: minutes since the last SEEN at that instant.
        scratch: working memory, see `scratch_memory`.
    """
    r, q = borrowed(scratch[0]), borrowed(scratch[1])
    w, tape = borrowed(world), borrowed(paper)
    for p in range(states.shape[0]):
        s, f = borrowed(states[p]), borrowed(traits[p])
        q[:] = 0.0
        r[0] = sow(seed, 1, s[layout.PERSON], 0)
        begin(s, q, w, r, tape, rsa_days[p])
        month = 0
        while month < firsts.size and firsts[month] < s[layout.ENTRY]:
            month += 1
        for d in range(s[layout.ENTRY], days):
            if month < firsts.size and firsts[month] == d:
                at_risk[p, month] = s[layout.PHASE] == layout.OPEN and not in_rupture(s)
                quiet[p, month] = w[d + PAST] - max(s[layout.SEEN_ANY], s[layout.OPEN_T])
                month += 1
            step(s, q, f, w, r, tape, d)
            if s[layout.PHASE] == layout.CLOSED:
                break
        flush(s, tape)


@njit(nogil=True, cache=True)
def foresee(
    states: np.ndarray,
    traits: np.ndarray,
    rsa_days: np.ndarray,
    world: np.ndarray,
    seed: int,
    who: np.ndarray,
    when: np.ndarray,
    horizon: int,
    runs: int,
    rupture: np.ndarray,
    competing: np.ndarray,
    scratch: tuple[np.ndarray, ...],
) -> None:
    """Chance of rupture and of a competing exit within the horizon, from the full state of sampled
    rows.

    Each person is lived again up to the row's day (the same counter gives the same life), then his
    state is copied and run forward `runs` times with counters of their own.

    Args:
        states: int64[persons, N_STATE] at entry (left as they are).
        traits: float64[persons, N_TRAITS].
        rsa_days: int64[persons].
        world: int64, see `people.draw_world`.
        seed: seed of the set.
        who: int64[rows], row of `states`.
        when: int64[rows], local day whose midnight is the prediction time.
        horizon: minutes.
        runs: forward runs a row.
        rupture: float64[rows] out, share of runs with a rupture first.
        competing: float64[rows] out, share of runs with a competing exit first.
        scratch: working memory, see `scratch_memory`.
    """
    r, q, s = borrowed(scratch[0]), borrowed(scratch[1]), borrowed(scratch[2])
    q2, s2, silent = borrowed(scratch[3]), borrowed(scratch[4]), borrowed(scratch[5])
    w = borrowed(world)
    for i in range(who.size):
        p = who[i]
        f = borrowed(traits[p])
        s[:] = states[p]
        q[:] = 0.0
        r[0] = sow(seed, 1, s[layout.PERSON], 0)
        begin(s, q, w, r, silent, rsa_days[p])
        for d in range(s[layout.ENTRY], when[i]):
            step(s, q, f, w, r, silent, d)
        until = w[when[i] + PAST] + horizon
        n_rupture = 0
        n_competing = 0
        for run in range(runs):
            s2[:] = s
            q2[:] = q
            s2[layout.FIRST_ONSET] = layout.NEVER
            r[0] = sow(seed, 2 + when[i], s[layout.PERSON], run)
            d = when[i]
            while w[d + PAST] < until:
                step(s2, q2, f, w, r, silent, d)
                if s2[layout.FIRST_ONSET] != layout.NEVER or s2[layout.PHASE] == layout.CLOSED:
                    break
                d += 1
            exit_t = s2[layout.EXIT_T]
            if s2[layout.FIRST_ONSET] < until and s2[layout.FIRST_ONSET] <= exit_t:
                n_rupture += 1
            elif exit_t < until and s2[layout.EXIT_CODE] < layout.X_DROPPED:
                n_competing += 1
        rupture[i] = n_rupture / runs
        competing[i] = n_competing / runs


def scratch_memory() -> tuple[np.ndarray, ...]:
    """Working memory of one thread: counter, rates, state, both again for forward runs, a silent
    tape."""
    return (
        np.zeros(1, np.uint64),
        np.zeros(layout.N_RATES),
        np.zeros(layout.N_STATE, np.int64),
        np.zeros(layout.N_RATES),
        np.zeros(layout.N_STATE, np.int64),
        np.zeros((1, layout.N_TAPE), np.int64),
    )
