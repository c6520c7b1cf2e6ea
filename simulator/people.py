"""The people and the world they live in: traits, needs at entry, waiting times of the services."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import layout, rates
from simulator.clock import FIXED, PERIODS, midnights, months

STOCK = 0.40
"""Share of persons who already had rights when the observation starts (range 0.3 to 0.5)."""
CASELOAD = 55
"""Persons per caseworker (RSA pilots 2024: 50 to 70)."""


@dataclass(frozen=True)
class People:
    """Everybody at entry.

    Attributes:
        states: int64[persons, N_STATE].
        traits: float64[persons, N_TRAITS].
        rsa_days: local day on which rights were opened, int64[persons].
        woman: bool[persons], only for the person files.
        children: int64[persons].
        education: 0 below baccalaureate, 1 baccalaureate, 2 above, int64[persons].
    """

    states: np.ndarray
    traits: np.ndarray
    rsa_days: np.ndarray
    woman: np.ndarray
    children: np.ndarray
    education: np.ndarray


def draw_world(seed: int) -> np.ndarray:
    """The calendar, the seasons and the services' waiting times, drawn once for everybody.

    Args:
        seed: seed of the set.

    Returns:
        One int64 array in the layout of `clock` (midnights, months, seasons, waits, delays of
        answers; factors in millionths).
    """
    rng = np.random.default_rng([seed, 11])
    season = np.array([0.2, 0.0, 0.0, 0.0, 0.0, 0.2, 0.9, 1.0, -0.3, 0.0, 0.3, 1.0])
    wait = _wandering(rng, layout.N_SERVICES, PERIODS, 0.32)
    congestion = _wandering(rng, layout.N_THEMES, PERIODS, 0.28)
    factors = np.concatenate([season, wait.ravel(), congestion.ravel()]) * FIXED
    return np.concatenate([midnights(), months(), factors.astype(np.int64)])


def _wandering(rng: np.random.Generator, rows: int, periods: int, spread: float) -> np.ndarray:
    """Factors around 1 that keep some of the last period's value."""
    out = np.zeros((rows, periods))
    level = rng.normal(0.0, spread, rows)
    for i in range(periods):
        level = 0.75 * level + rng.normal(0.0, spread * 0.66, rows)
        out[:, i] = level
    return np.exp(out - spread**2 / 2)


def draw(seed: int, people: int, days: int) -> People:
    """Draw everybody at entry.

    Args:
        seed: seed of the set.
        people: number of persons.
        days: days of observation.

    Returns:
        States, traits and what only the person files need.
    """
    rng = np.random.default_rng([seed, 12])
    n = people
    states = np.zeros((n, layout.N_STATE), np.int64)
    states[:, : layout.N_DEADLINES] = layout.NEVER
    states[:, layout.PERSON] = np.arange(n)
    for field in (
        layout.SEEN_ANY,
        layout.NOSHOW_T,
        layout.ONSET_T,
        layout.LAST_T,
        layout.JOB_START_T,
        layout.APPRENTICESHIP_START_T,
        layout.ANSWER_DAY,
        layout.OFFER_DAY,
        layout.DIAGNOSIS_DAY,
        layout.REHOUSED_DAY,
        layout.DISENGAGED_DAY,
        layout.OPEN_T,
        layout.WORK_DAY,
    ):
        states[:, field] = layout.LONG_AGO
    states[:, layout.SEEN_T : layout.SEEN_T + 5] = layout.LONG_AGO
    states[:, layout.ACTIVE : layout.ACTIVE + 5] = layout.LONG_AGO
    states[:, layout.R6_T : layout.R6_T + 3] = layout.NEVER
    for field in (
        layout.R5_COURSE_T,
        layout.R5_APPRENTICESHIP_T,
        layout.FIRST_ONSET,
        layout.EXIT_T,
    ):
        states[:, field] = layout.NEVER
    for field in (layout.APP_REF, layout.IMM_REF, layout.ARREARS_REF, layout.EXIT_CODE):
        states[:, field] = -1
    states[:, layout.RSA] = layout.RSA_OPEN

    latent: np.ndarray = rng.random((n, layout.N_THEMES)) < rates.BARRIERS
    published = np.zeros(layout.N_THEMES, bool)
    published[list(rates.PUBLISHED_BARRIERS)] = True
    some = np.any(latent[:, published], axis=1)
    others: np.ndarray = rng.random((n, layout.N_THEMES)) < rates.BARRIERS / 0.82
    latent[:, ~published] = others[:, ~published] & some[:, None]
    states[:, layout.LATENT : layout.LATENT + layout.N_THEMES] = latent
    states[:, layout.TRACK] = rng.choice(3, n, p=rates.TRACK_SHARES)
    unhoused = latent[:, layout.N_HOUSING]
    bad = rng.choice(
        [
            layout.SIT_STREET,
            layout.SIT_SHELTER,
            layout.SIT_HOSTED,
            layout.SIT_SUPPORTED,
            layout.SIT_TENANT,
        ],
        n,
        p=[0.08, 0.17, 0.45, 0.10, 0.20],
    )
    good = rng.choice(
        [layout.SIT_HOSTED, layout.SIT_SOCIAL, layout.SIT_TENANT, layout.SIT_OWNER],
        n,
        p=[0.08, 0.47, 0.38, 0.07],
    )
    states[:, layout.SITUATION] = np.where(unhoused, bad, good)

    stock = rng.random(n) < STOCK
    rsa_days = np.where(
        stock,
        -np.minimum(2000, 20 + rng.exponential(500.0, n)).astype(np.int64),
        (rng.random(n) * days * 0.68).astype(np.int64),
    )
    delay = np.exp(
        np.log(rates.ORIENTATION_MEDIAN) + rates.ORIENTATION_SPREAD * rng.standard_normal(n)
    )
    oriented = np.where(
        stock,
        (rng.random(n) * 100).astype(np.int64),
        rsa_days + np.maximum(3, np.minimum(delay, 500)).astype(np.int64),
    )
    never = rng.random(n) < rates.NEVER_ORIENTED
    states[:, layout.D_ORIENTATION] = np.where(never, layout.NEVER, oriented)
    states[:, layout.ENTRY] = np.maximum(0, rsa_days)

    traits = np.zeros((n, layout.N_TRAITS))
    traits[:, layout.F_FRAILTY] = np.log(np.maximum(rng.gamma(2.2, 1 / 2.2, n), 0.02))
    workers = max(2, n // CASELOAD)
    pace = np.exp(0.30 * rng.standard_normal(workers))
    traits[:, layout.F_PACE] = pace[rng.integers(0, workers, n)]
    age = 18.2 + 47.0 * rng.beta(1.5, 2.2, n)
    traits[:, layout.F_AGE] = np.round(age * 365.25)
    lone = rng.random(n) < 0.29
    traits[:, layout.F_LONE] = lone
    education = rng.choice(3, n, p=[0.63, 0.20, 0.17])
    traits[:, layout.F_LOW_EDUCATION] = education == 0
    traits[:, layout.F_DIGITAL] = np.where(latent[:, layout.N_DIGITAL], 0.1, rng.random(n))
    burden = latent.sum(axis=1)
    traits[:, layout.F_EMPLOYABLE] = np.exp(
        0.30 * rng.standard_normal(n)
        - 0.15 * (burden - 2.0)
        - 0.25 * (education == 0)
        + 0.20 * (states[:, layout.TRACK] == layout.TRACK_PRO)
        - 0.02 * np.maximum(0.0, age - 45.0)
    )
    traits[:, layout.F_RURAL] = rng.random(n) < 0.3
    traits[:, layout.F_SMS] = rng.random(n) < 0.6
    children = np.where(lone, 1 + rng.poisson(0.7, n), rng.poisson(0.5, n))
    return People(states, traits, rsa_days, rng.random(n) < 0.54, children, education)
