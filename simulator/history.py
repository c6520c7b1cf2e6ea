"""The whole history of everybody: run on all cores, kept as one array of events."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from simulator import layout
from simulator.clock import PAST, firsts_of_month, midnights
from simulator.day import foresee, live, scratch_memory
from simulator.people import People

T = TypeVar("T")

CHUNK = 1000
"""Persons a thread runs at a time; the result does not depend on it."""
ROOM = 420
"""Events kept per person, on average over a chunk (three years; proportional to longer periods)."""


@dataclass(frozen=True)
class History:
    """What happened, without any mess.

    Attributes:
        events: int64[events, N_TAPE], by person, then in the order they were written (see
        `layout.T_*`).
        firsts: the firsts of month, local days, int64[months].
        at_risk: bool[persons, months], at risk just before that midnight.
        quiet: int64[persons, months], minutes since the last SEEN (or the opening) at that instant.
        last: int64[persons, N_STATE], the state at the end.
        until: end of observation, UTC minutes.
        days: days of observation.
    """

    events: np.ndarray
    firsts: np.ndarray
    at_risk: np.ndarray
    quiet: np.ndarray
    last: np.ndarray
    until: int
    days: int

    def of(self, kind: int) -> np.ndarray:
        """Events of one kind, int64[events, N_TAPE]."""
        return self.events[self.events[:, layout.T_KIND] == kind]


def cores() -> int:
    """Cores this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def forget_stale_code() -> None:
    """Remove compiled code older than any file of the simulator.

    numba's cache looks at the file of the function it compiled, not at those of the functions it
    calls.
    """
    here = Path(__file__).parent
    newest = max(path.stat().st_mtime for path in here.glob("*.py"))
    for compiled in (here / "__pycache__").glob("*.nb[ic]"):
        if compiled.stat().st_mtime < newest:
            with contextlib.suppress(OSError):
                compiled.unlink()


def run_history(
    people: People,
    world: np.ndarray,
    seed: int,
    days: int,
    progress: Callable[[float], None] | None = None,
) -> History:
    """Live everybody's history.

    Args:
        people: everybody at entry.
        world: see `people.draw_world`.
        seed: seed of the set.
        days: days of observation.
        progress: told the share done, from 0 to 1.

    Returns:
        The history; the same for the same arguments, whatever the cores.
    """
    forget_stale_code()
    n = people.rsa_days.size
    firsts = firsts_of_month(days)
    at_risk = np.zeros((n, firsts.size), bool)
    quiet = np.zeros((n, firsts.size), np.int64)
    last = people.states.copy()
    room = ROOM * max(1, -(-days // 1096))

    def part(start: int) -> np.ndarray:
        stop = min(start + CHUNK, n)
        capacity = max(4000, (stop - start) * room)
        while True:
            tape = np.zeros((capacity + 1, layout.N_TAPE), np.int64)
            last[start:stop] = people.states[start:stop]
            live(
                last[start:stop],
                people.traits[start:stop],
                people.rsa_days[start:stop],
                world,
                seed,
                days,
                firsts,
                tape,
                at_risk[start:stop],
                quiet[start:stop],
                scratch_memory(),
            )
            written = int(tape[0, 0])
            if written <= capacity:
                return tape[1 : written + 1].copy()
            capacity = written

    parts = _spread(part, range(0, n, CHUNK), progress)
    events = np.concatenate(parts)
    until = int(midnights()[days + PAST])
    return History(events, firsts, at_risk, quiet, last, until, days)


def run_truth(
    people: People,
    world: np.ndarray,
    seed: int,
    who: np.ndarray,
    when: np.ndarray,
    horizon: int,
    runs: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of forward runs that end in a rupture and in a competing exit.

    Args:
        people: everybody at entry.
        world: see `people.draw_world`.
        seed: seed of the set.
        who: persons, int64[rows].
        when: local days, int64[rows].
        horizon: minutes.
        runs: forward runs a row.
        progress: told the share done, from 0 to 1.

    Returns:
        Two float64[rows] arrays.
    """
    forget_stale_code()
    rupture = np.zeros(who.size)
    competing = np.zeros(who.size)

    def part(start: int) -> None:
        rows = slice(start, start + 50)
        foresee(
            people.states,
            people.traits,
            people.rsa_days,
            world,
            seed,
            who[rows],
            when[rows],
            horizon,
            runs,
            rupture[rows],
            competing[rows],
            scratch_memory(),
        )

    _spread(part, range(0, who.size, 50), progress)
    return rupture, competing


def _spread(
    part: Callable[[int], T], starts: range, progress: Callable[[float], None] | None
) -> list[T]:
    out: list[T] = []
    with ThreadPoolExecutor(cores()) as pool:
        for i, done in enumerate(pool.map(part, starts)):
            out.append(done)
            if progress is not None:
                progress((i + 1) / len(starts))
    return out
