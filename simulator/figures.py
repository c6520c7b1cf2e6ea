"""What comes out of the simulation, to be set beside the published figures."""

from __future__ import annotations

import numpy as np

from simulator import layout
from simulator.clock import PAST, midnights
from simulator.history import History
from simulator.outcomes import COMPETING, RUPTURE, Rows, auc
from simulator.people import People

PUBLISHED: dict[str, tuple[float, float]] = {
    "orientation_delay_days": (79.0, 8.0),
    "oriented_share": (0.86, 0.05),
    "oriented_share_over_a_year": (0.90, 0.04),
    "track_employment": (0.40, 0.03),
    "track_department": (0.32, 0.03),
    "track_other": (0.28, 0.03),
    "contract_share_outside_employment": (0.49, 0.06),
    "contract_delay_days": (57.0, 8.0),
    "noshow_share": (0.127, 0.012),
    "noshow_share_summoned": (0.190, 0.025),
    "noshow_share_invited": (0.106, 0.012),
    "unknown_share": (0.12, 0.015),
    "excused_share": (0.12, 0.015),
    "revoked_share": (0.06, 0.015),
    "message_delivered": (0.89, 0.02),
    "message_opened_sms": (0.50, 0.06),
    "message_opened_mail": (0.31, 0.06),
    "exits_in_a_year": (0.25, 0.04),
    "any_barrier": (0.82, 0.025),
    "barrier_mobility": (0.43, 0.03),
    "barrier_health": (0.29, 0.03),
    "barrier_childcare": (0.25, 0.03),
    "barrier_housing": (0.20, 0.03),
    "barrier_admin": (0.15, 0.025),
    "barrier_skills": (0.12, 0.025),
    "lone_parents": (0.29, 0.025),
    "below_baccalaureate": (0.63, 0.03),
    "course_abandoned": (0.08, 0.025),
    "course_abandoned_under_26": (0.12, 0.05),
    "apprenticeship_broken_at_nine_months": (0.21, 0.07),
}
"""Published figure and tolerance, by name (domain: DREES, DARES, rdv-insertion, RSA pilots)."""


def measure(people: People, history: History) -> dict[str, float]:
    """Figures of a set, under the names of `PUBLISHED`.

    Args:
        people: everybody at entry.
        history: the whole history (clean, before any mess of the exports).

    Returns:
        Shares in [0, 1] and delays in days.
    """
    out: dict[str, float] = {}
    out |= _orientation(people, history)
    out |= _appointments(history)
    out |= _messages(history)
    out |= _barriers(people, history)
    out |= _activities(people, history)
    return {k: round(float(v), 4) for k, v in out.items()}


def _orientation(people: People, history: History) -> dict[str, float]:
    mid = midnights()
    last = history.last
    rsa = mid[people.rsa_days + PAST]
    opened = last[:, layout.OPEN_T]
    # Only rights opened long enough before the end for any delay to be seen.
    flow = (people.rsa_days >= 0) & (people.rsa_days < history.days - 450) & (opened > -(10**8))
    # Stock: persons with rights at the middle of the observation, oriented or not.
    at = mid[history.days // 2 + PAST]
    left = np.where(last[:, layout.EXIT_T] < layout.NEVER, last[:, layout.EXIT_T], layout.NEVER)
    closed = history.of(layout.K_RSA)
    closed = closed[closed[:, layout.T_A] == layout.RSA_CLOSED]
    np.minimum.at(left, closed[:, layout.T_PERSON], closed[:, layout.T_TIME])
    present = (rsa <= at) & (left > at)
    oriented = (opened > -(10**8)) & (opened <= at)
    long_stay = present & (rsa <= at - 365 * layout.DAY)
    first = history.of(layout.K_ORIENTATION)
    first = first[first[:, layout.T_A] <= layout.ORI_SOCIO_PRO][:, layout.T_A]
    contracts = history.of(layout.K_CONTRACT)
    outside = people.states[:, layout.TRACK] != layout.TRACK_PRO
    valid = np.zeros(outside.size, bool)
    here = (contracts[:, layout.T_TIME] <= at) & (mid[contracts[:, layout.T_END] + PAST] > at)
    valid[contracts[here, layout.T_PERSON]] = True
    signed = contracts[contracts[:, layout.T_B] == 1]
    before = np.full(outside.size, layout.NEVER)
    np.minimum.at(before, signed[:, layout.T_PERSON], signed[:, layout.T_TIME])
    early = flow & (before < layout.NEVER)
    leaving = present & oriented
    return {
        "orientation_delay_days": ((opened - rsa)[flow] / layout.DAY).mean(),
        "oriented_share": oriented[present].mean(),
        "oriented_share_over_a_year": oriented[long_stay].mean(),
        "track_employment": (first == layout.ORI_PRO).mean(),
        "track_department": (first == layout.ORI_SOCIAL).mean(),
        "track_other": (first == layout.ORI_SOCIO_PRO).mean(),
        "contract_share_outside_employment": valid[leaving & outside].mean(),
        "contract_delay_days": ((before - opened)[early] / layout.DAY).mean(),
        "exits_in_a_year": (left[leaving] <= at + 365 * layout.DAY).mean(),
    }


def _appointments(history: History) -> dict[str, float]:
    rows = history.of(layout.K_APPOINTMENT)
    status = rows[:, layout.T_A]
    due = status != layout.PLANNED
    resolved = np.isin(status, (layout.SEEN, layout.EXCUSED, layout.NOSHOW))
    summoned = rows[:, layout.T_VALUE] % 2 == 1
    missed = status == layout.NOSHOW
    return {
        "noshow_share": missed[resolved].mean(),
        "noshow_share_summoned": missed[resolved & summoned].mean(),
        "noshow_share_invited": missed[resolved & ~summoned].mean(),
        "unknown_share": (status[due] == layout.UNKNOWN).mean(),
        "excused_share": (status[due] == layout.EXCUSED).mean(),
        "revoked_share": (status[due] == layout.REVOKED).mean(),
    }


def _messages(history: History) -> dict[str, float]:
    rows = history.of(layout.K_INVITATION)
    state, channel = rows[:, layout.T_A], rows[:, layout.T_B]

    def count(which: int, by: int) -> int:
        return int(((state == which) & (channel == by)).sum())

    sent = (state == layout.I_SENT).sum()
    return {
        "message_delivered": (state == layout.I_DELIVERED).sum() / max(sent, 1),
        "message_opened_sms": count(layout.I_OPENED, 0) / max(count(layout.I_DELIVERED, 0), 1),
        "message_opened_mail": count(layout.I_OPENED, 1) / max(count(layout.I_DELIVERED, 1), 1),
    }


def _barriers(people: People, history: History) -> dict[str, float]:
    acts, needs = history.of(layout.K_ACT), history.of(layout.K_NEED)
    n = people.rsa_days.size
    diagnosed = np.full(n, layout.NEVER)
    done = acts[acts[:, layout.T_A] == layout.A_DIAGNOSIS]
    np.minimum.at(diagnosed, done[:, layout.T_PERSON], done[:, layout.T_TIME])
    noted = np.zeros((n, layout.N_THEMES), bool)
    here = (needs[:, layout.T_B] == layout.RAISED) & (
        needs[:, layout.T_TIME] <= diagnosed[needs[:, layout.T_PERSON]]
    )
    noted[needs[here, layout.T_PERSON], needs[here, layout.T_A]] = True
    noted = noted[diagnosed < layout.NEVER]
    names = {
        "mobility": layout.N_MOBILITY,
        "health": layout.N_HEALTH,
        "childcare": layout.N_CHILDCARE,
        "housing": layout.N_HOUSING,
        "admin": layout.N_ADMIN,
        "skills": layout.N_SKILLS,
    }
    out = {f"barrier_{name}": noted[:, theme].mean() for name, theme in names.items()}
    out["any_barrier"] = noted.any(axis=1).mean()
    out["lone_parents"] = people.traits[:, layout.F_LONE].mean()
    out["below_baccalaureate"] = people.traits[:, layout.F_LOW_EDUCATION].mean()
    return out


def _activities(people: People, history: History) -> dict[str, float]:
    rows = history.of(layout.K_LEARNING)
    age = (
        people.traits[rows[:, layout.T_PERSON], layout.F_AGE] + rows[:, layout.T_TIME] / layout.DAY
    ) / 365.25
    course = rows[:, layout.T_A] == layout.L_COURSE
    ended = course & np.isin(rows[:, layout.T_B], (layout.LS_COMPLETED, layout.LS_BROKEN))
    broken = rows[:, layout.T_B] == layout.LS_BROKEN
    young = age < 26
    started = ~course & (rows[:, layout.T_B] == layout.LS_STARTED)
    # Of apprenticeships started nine months before the end, those broken within nine months.
    keys = rows[:, layout.T_PERSON] * 100_000 + rows[:, layout.T_REF]
    starts = {
        int(k): int(t) for k, t in zip(keys[started], rows[started, layout.T_TIME], strict=True)
    }
    nine = 274 * layout.DAY
    old = {k for k, t in starts.items() if t < history.until - nine}
    breaks = {
        int(k)
        for k, t in zip(keys[~course & broken], rows[~course & broken, layout.T_TIME], strict=True)
        if int(k) in old and t - starts[int(k)] <= nine
    }
    work, ends = history.of(layout.K_WORK), history.of(layout.K_WORK_END)
    iae_ends = ends[ends[:, layout.T_A] == layout.W_IAE]
    return {
        "course_abandoned": broken[ended].mean() if ended.any() else float("nan"),
        "course_abandoned_under_26": broken[ended & young].mean() if (ended & young).any() else 0.0,
        "apprenticeship_broken_at_nine_months": len(breaks) / max(len(old), 1),
        "iae_broken": (iae_ends[:, layout.T_B] == layout.WORK_BROKEN).mean()
        if len(iae_ends)
        else 0.0,
        "work_spells_per_person": len(work) / people.rsa_days.size,
    }


def ruptures(rows: Rows) -> dict[str, float]:
    """Prevalence, shares of the rules and how far silence alone ranks, over all rows at risk."""
    plain = rows.outcome != COMPETING
    broken = rows.outcome == RUPTURE
    out = {
        "rows_at_risk": float(rows.person.size),
        "rupture_share": float(broken.mean()) if broken.size else float("nan"),
        "competing_share": float((rows.outcome == COMPETING).mean())
        if broken.size
        else float("nan"),
        "auc_days_since_seen": auc(rows.quiet[plain].astype(float), broken[plain]),
    }
    for rule in (layout.R1, layout.R5, layout.R6, layout.R7):
        out[f"share_R{rule}"] = float((rows.rule[broken] == rule).mean()) if broken.any() else 0.0
    return {k: round(v, 4) for k, v in out.items()}
