"""What may happen on any day: disengagement, exits, and the news of a life."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from simulator import layout, rates
from simulator.activity import disengage, start_work, strike_off
from simulator.chance import uniform
from simulator.clock import FIXED, MONTH_AT, PAST, SEASON_AT
from simulator.handover import lead_service, refer_somewhere, reorient
from simulator.living import change_arrears, change_rehousing, suspend
from simulator.pathway import close_pathway
from simulator.support import ask_aid, plan_action, raise_need


@njit(nogil=True)
def ramp(x: float, low: float, high: float) -> float:
    """0 under low, 1 over high, straight between."""
    if x <= low:
        return 0.0
    if x >= high:
        return 1.0
    return (x - low) / (high - low)


@njit(nogil=True)
def season(w: np.ndarray, d: int) -> float:
    """Weight of the month of day d."""
    return w[SEASON_AT + w[MONTH_AT + d + PAST]] / FIXED


@njit(nogil=True)
def log_hazard(s: np.ndarray, f: np.ndarray, w: np.ndarray, d: int) -> float:
    """Log of the daily hazard of disengagement.

    Not additive on purpose: help out of step acts only where another service is absent, needs
    saturate, and an unmet need weighs far more on someone who has a course or a job to hold.
    """
    t = w[d + PAST]
    unmet = 0.0
    stuck = 0.0
    for theme in range(layout.N_THEMES):
        if s[layout.NEED + theme] == layout.RAISED:
            age = ramp(float(d - s[layout.NEED_DAY + theme]), 14.0, 75.0)
            unmet += rates.NEED_WEIGHT[theme] * age
            if theme <= layout.N_CHILDCARE:
                stuck = max(stuck, age)
    near = 0
    for k in range(layout.N_SERVICES):
        if t - s[layout.SEEN_T + k] < 45 * layout.DAY:
            near += 1
    since_employment = t - s[layout.SEEN_T + layout.EMPLOYMENT]
    busy = (
        s[layout.COURSE] >= layout.RUNNING
        or s[layout.WORK] >= layout.RUNNING
        or s[layout.APPR] >= layout.RUNNING
    )
    x = rates.BASE + rates.W_FRAILTY * f[layout.F_FRAILTY]
    needs = rates.W_NEED * (1.0 - math.exp(-0.9 * unmet))
    if near >= 2:
        # Two services in step: support holds, and an unmet need weighs less.
        x += rates.W_IN_STEP
        needs *= 0.4
    x += needs
    if d - s[layout.ANSWER_DAY] < 35:
        x += rates.W_TIMELY
    # Re-housed: with or without a service that accompanies the new life.
    rehoused = d - s[layout.REHOUSED_DAY]
    if 14 <= rehoused < 240:
        if since_employment > 60 * layout.DAY and not busy:
            x += rates.W_REHOUSED_ALONE
        else:
            x += rates.W_REHOUSED_TOGETHER
    # Diagnosed with no offer behind; offers without a diagnosis; both.
    diagnosed = 30 <= d - s[layout.DIAGNOSIS_DAY] < 400
    offered = d - s[layout.OFFER_DAY] <= 120
    if diagnosed and not offered:
        x += rates.W_DIAGNOSIS_ALONE
    elif diagnosed:
        x += rates.W_DIAGNOSIS_TOGETHER
    elif offered:
        x += rates.W_OFFER_ALONE
    if busy:
        x += rates.W_BUSY_UNMET * stuck
    in_care = s[layout.CARE] == 1 or s[layout.CARE] == 2
    unseen = t - s[layout.SEEN_T + layout.HEALTH] > 75 * layout.DAY
    if in_care and unseen and since_employment < 60 * layout.DAY:
        x += rates.W_SICK_PUSHED
    x += rates.W_SILENCE * ramp(
        float(t - max(s[layout.SEEN_ANY], s[layout.OPEN_T])), 35.0 * layout.DAY, 80.0 * layout.DAY
    )
    if s[layout.NOSHOW_T] > s[layout.SEEN_ANY] and s[layout.NOSHOW_T] > t - 60 * layout.DAY:
        x += rates.W_ABSENCE
    if s[layout.CON_STATE] == 1:
        if s[layout.CON_END] - d <= 30 and s[layout.D_DUE + lead_service(s)] == layout.NEVER:
            x += rates.W_CONTRACT_END
    elif s[layout.CON_STATE] == 2:
        x += rates.W_CONTRACT_OVER
    for i in range(3):
        if s[layout.R6_T + i] < t - 10 * layout.DAY:
            x += rates.W_HAND_OVER
            break
    if s[layout.SITUATION] <= layout.SIT_HOSTED:
        x += rates.W_UNHOUSED
    if s[layout.EVICTION] == 1 and t - s[layout.SEEN_T + layout.HOUSING] > 60 * layout.DAY:
        x += rates.W_EVICTION
    if f[layout.F_AGE] + d < 26 * 365.25:
        x += rates.W_YOUNG
    if f[layout.F_LONE] > 0.5 and w[MONTH_AT + d + PAST] == 6:
        x += rates.W_SUMMER_ALONE
    return x + rates.W_SEASON * season(w, d)


@njit(nogil=True)
def exit_rate(s: np.ndarray, f: np.ndarray, d: int, code: int) -> float:
    """Daily rate of one exit for this person."""
    rate = rates.EXIT_RATES[code]
    if code == layout.X_JOB:
        rate *= f[layout.F_EMPLOYABLE]
        if s[layout.WORK] >= layout.RUNNING and d - s[layout.WORK_DAY] > 20:
            rate *= 3.5
        if s[layout.DISENGAGED] == 1:
            rate *= 0.5
    elif code == layout.X_TRAINING:
        rate *= (
            4.0 if s[layout.COURSE] == layout.RUNNING or s[layout.APPR] == layout.RUNNING else 0.4
        )
    elif code == layout.X_RETIRED:
        if (f[layout.F_AGE] + d) / 365.25 > rates.RETIREMENT_AGE:
            rate = rates.RETIREMENT_RATE
    elif code == layout.X_AGE:
        age = (f[layout.F_AGE] + d) / 365.25
        young_contract = s[layout.CON_TYPE] == layout.CEJ and s[layout.CON_STATE] == 1
        if young_contract and 26.0 <= age < 27.0:
            rate = 2.0 * rates.PER_DAY
    elif (
        code == layout.X_NO_SOLUTION
        and s[layout.NEED + layout.N_HOUSING] == layout.RAISED
        and s[layout.SITUATION] <= layout.SIT_SHELTER
    ):
        rate *= 12.0
    return rate


@njit(nogil=True)
def news_rate(s: np.ndarray, f: np.ndarray, d: int, i: int) -> float:
    """Daily rate of one kind of news for this person."""
    rate = rates.NEWS[i]
    if i == rates.NEW_APPRENTICESHIP:
        if f[layout.F_AGE] + d > 30 * 365.25 or s[layout.APPR] != layout.NO_SPELL:
            return 0.0
    elif i == rates.NEW_IAE:
        if s[layout.TRACK] == layout.TRACK_SOCIAL or s[layout.WORK] != layout.NO_SPELL:
            return 0.0
    elif i == rates.NEW_COURSE:
        if s[layout.COURSE] != layout.NO_SPELL or s[layout.R5_COURSE_T] != layout.NEVER:
            return 0.0
        if s[layout.TRACK] == layout.TRACK_SOCIAL:
            rate *= 0.6
    elif i == rates.NEW_JOB:
        rate *= f[layout.F_EMPLOYABLE] * (0.5 if s[layout.TRACK] == layout.TRACK_SOCIAL else 1.0)
    elif i == rates.NEW_IMMERSION and s[layout.TRACK] == layout.TRACK_SOCIAL:
        rate *= 0.3
    if s[layout.DISENGAGED] == 1 and rates.NEW_REFERRAL <= i <= rates.NEW_ACTION:
        rate *= 0.3
    return rate


@njit(nogil=True)
def refresh(s: np.ndarray, q: np.ndarray, f: np.ndarray, w: np.ndarray, d: int) -> None:
    """Recompute the rates that hold until something changes, a week at most."""
    if s[layout.PHASE] != layout.OPEN:
        return
    if s[layout.DISENGAGED] == 1:
        q[layout.Q_DISENGAGE] = 0.0
    else:
        q[layout.Q_DISENGAGE] = min(0.08, math.exp(log_hazard(s, f, w, d)))
    q[layout.Q_EXIT] = 0.0
    for code in range(9):
        q[layout.Q_EXIT] += exit_rate(s, f, d, code)
    q[layout.Q_NEWS] = 0.0
    for i in range(rates.N_NEWS):
        q[layout.Q_NEWS] += news_rate(s, f, d, i)
    q[layout.Q_TOTAL] = q[layout.Q_DISENGAGE] + q[layout.Q_EXIT] + q[layout.Q_NEWS]
    s[layout.D_HAZARD] = d + 7


@njit(nogil=True)
def leave(
    s: np.ndarray,
    q: np.ndarray,
    f: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    tape: np.ndarray,
    d: int,
) -> None:
    """Choose the exit and close the pathway."""
    total = 0.0
    for code in range(9):
        total += exit_rate(s, f, d, code)
    u = uniform(r) * total
    for code in range(9):
        u -= exit_rate(s, f, d, code)
        if u < 0.0:
            close_pathway(s, q, w, r, tape, d, code)
            return


@njit(nogil=True)
def tell(
    s: np.ndarray, f: np.ndarray, w: np.ndarray, r: np.ndarray, tape: np.ndarray, d: int
) -> None:
    """Choose the news of the day."""
    total = 0.0
    for i in range(rates.N_NEWS):
        total += news_rate(s, f, d, i)
    u = uniform(r) * total
    kind = rates.N_NEWS - 1
    for i in range(rates.N_NEWS):
        u -= news_rate(s, f, d, i)
        if u < 0.0:
            kind = i
            break
    if kind == rates.NEW_NEED:
        theme = int(uniform(r) * uniform(r) * layout.N_THEMES)
        if s[layout.NEED + theme] != layout.RAISED and s[layout.NEED + theme] != layout.ANSWERED:
            raise_need(s, f, w, r, tape, theme, d)
    elif kind == rates.NEW_REFERRAL:
        refer_somewhere(s, w, r, tape, d)
    elif kind == rates.NEW_REORIENTATION:
        reorient(s, w, r, tape, d)
    elif kind == rates.NEW_COURSE:
        s[layout.D_COURSE] = min(s[layout.D_COURSE], d + 1)
    elif kind == rates.NEW_APPRENTICESHIP:
        s[layout.D_APPRENTICESHIP] = min(s[layout.D_APPRENTICESHIP], d + 1)
    elif kind == rates.NEW_IAE:
        start_work(s, r, layout.W_IAE, d)
    elif kind == rates.NEW_JOB:
        start_work(s, r, layout.W_JOB, d)
    elif kind == rates.NEW_IMMERSION:
        s[layout.D_IMMERSION] = min(s[layout.D_IMMERSION], d + 1)
    elif kind == rates.NEW_AID:
        ask_aid(s, w, r, tape, d)
    elif kind == rates.NEW_ACTION:
        plan_action(s, w, r, tape, d)
    elif kind == rates.NEW_ARREARS:
        if s[layout.ARREARS_REF] < 0:
            change_arrears(s, w, r, tape, d)
    elif kind == rates.NEW_REHOUSING:
        if s[layout.REHOUSING] == 0 and s[layout.D_REHOUSING] == layout.NEVER:
            change_rehousing(s, f, w, r, tape, d)
    else:
        suspend(s, w, r, tape, d, True)


@njit(nogil=True)
def happen(
    s: np.ndarray,
    q: np.ndarray,
    f: np.ndarray,
    w: np.ndarray,
    r: np.ndarray,
    tape: np.ndarray,
    d: int,
    u: float,
) -> None:
    """Something happens today; `u` is the day's draw, under q[Q_TOTAL]."""
    if u < q[layout.Q_DISENGAGE]:
        disengage(s, f, r, d)
        if s[layout.REGISTERED] == 1 and uniform(r) < 0.04:
            strike_off(s, w, r, tape, d)
    elif u < q[layout.Q_DISENGAGE] + q[layout.Q_EXIT]:
        leave(s, q, f, w, r, tape, d)
    else:
        tell(s, f, w, r, tape, d)
