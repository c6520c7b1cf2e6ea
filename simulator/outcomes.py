"""What really followed each (person, first of month) row: rupture, competing exit, or neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import layout
from simulator.clock import PAST, midnights
from simulator.history import History

HORIZON_DAYS = 90
FIRST_MONTH = 8
"""Rows before this month are not sampled: too little has been observed."""

NO_RUPTURE, RUPTURE, COMPETING = range(3)
OUTCOMES = ("no_rupture", "rupture", "competing")


@dataclass(frozen=True)
class Rows:
    """Rows at risk; arrays of one length.

    Attributes:
        person: simulation person, int64.
        month: index in `History.firsts`, int64.
        day: local day whose midnight is the prediction time, int64.
        time: prediction time, UTC minutes, int64.
        outcome: `NO_RUPTURE`, `RUPTURE` or `COMPETING`, int64.
        rule: number of the rule of the first onset, 0 without a rupture, int64.
        quiet: minutes since the last SEEN (or the opening), int64.
    """

    person: np.ndarray
    month: np.ndarray
    day: np.ndarray
    time: np.ndarray
    outcome: np.ndarray
    rule: np.ndarray
    quiet: np.ndarray

    def take(self, which: np.ndarray) -> Rows:
        """Some of the rows, in the order asked for."""
        return Rows(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def observed_months(history: History) -> np.ndarray:
    """Months whose horizon ends within the observation, int64 indices in `History.firsts`."""
    start = midnights()[history.firsts + PAST]
    return np.flatnonzero(start + HORIZON_DAYS * layout.DAY <= history.until)


def rows_at_risk(history: History) -> Rows:
    """All rows at risk whose horizon is observed, with what followed.

    The first onset in [t, t + 90 days) makes a rupture unless the pathway closed before; an exit
    other than dropped out or no solution makes a competing event; on the same instant (an exit that
    is itself a rupture) the rupture counts.

    Args:
        history: the whole history.

    Returns:
        Rows by month, then person.
    """
    months = observed_months(history)
    onsets = history.of(layout.K_ONSET)
    order = np.lexsort((onsets[:, layout.T_TIME], onsets[:, layout.T_PERSON]))
    onsets = onsets[order]
    # One sorted key per onset: person, then time (times are small next to the factor).
    span = 10**8
    keys = onsets[:, layout.T_PERSON] * span + onsets[:, layout.T_TIME] + span // 2
    exits = history.last[:, layout.EXIT_T]
    exit_codes = history.last[:, layout.EXIT_CODE]
    person, month = [], []
    for m in months:
        here = np.flatnonzero(history.at_risk[:, m])
        person.append(here)
        month.append(np.full(here.size, m))
    who = np.concatenate(person) if person else np.zeros(0, np.int64)
    when = np.concatenate(month) if month else np.zeros(0, np.int64)
    day = history.firsts[when]
    time = midnights()[day + PAST]
    until = time + HORIZON_DAYS * layout.DAY
    at = np.searchsorted(keys, who * span + time + span // 2)
    inside = at < keys.size
    safe = np.minimum(at, max(keys.size - 1, 0))
    mine = np.zeros(who.size, bool)
    first = np.full(who.size, layout.NEVER)
    rule = np.zeros(who.size, np.int64)
    if keys.size:
        mine = inside & (onsets[safe, layout.T_PERSON] == who)
        first = np.where(mine, onsets[safe, layout.T_TIME], layout.NEVER)
        rule = onsets[safe, layout.T_A]
    rupture = (first < until) & (first <= exits[who])
    competing = ~rupture & (exits[who] < until) & (exit_codes[who] < layout.X_DROPPED)
    outcome = np.where(rupture, RUPTURE, np.where(competing, COMPETING, NO_RUPTURE))
    return Rows(who, when, day, time, outcome, np.where(rupture, rule, 0), history.quiet[who, when])


def sample(rows: Rows, history: History, size: int, seed: int) -> Rows:
    """Rows for the truth: about two thirds in the last twelve observed months, where models are
    tested.

    Args:
        rows: all rows at risk.
        history: the whole history.
        size: how many (fewer when there are fewer).
        seed: seed of the set.

    Returns:
        Rows by time, then person.
    """
    rng = np.random.default_rng([seed, 31])
    months = observed_months(history)
    recent = np.isin(rows.month, months[-12:])
    early = ~recent & (rows.month >= min(FIRST_MONTH, months.size // 2))
    n_recent = min(round(size * 0.65), int(recent.sum()))
    n_early = min(size - n_recent, int(early.sum()))
    n_recent = min(size - n_early, int(recent.sum()))
    picked = np.concatenate(
        [
            rng.choice(np.flatnonzero(recent), n_recent, replace=False),
            rng.choice(np.flatnonzero(early), n_early, replace=False),
        ]
    )
    order = np.lexsort((rows.person[picked], rows.time[picked]))
    return rows.take(picked[order])


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve; ties count one half; nan without both classes.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    values, where, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[where]
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if values.size == 0 or n_positive == 0 or n_negative == 0:
        return float("nan")
    total = float(rank[positive].sum()) - n_positive * (n_positive + 1) / 2.0
    return total / (n_positive * n_negative)
