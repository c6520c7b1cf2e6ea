"""One small written set and one larger history in memory, made once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from simulator import Summary, simulate
from simulator.history import History, run_history
from simulator.people import People, draw, draw_world

SEED = 2026
DAYS = 1096


@dataclass(frozen=True)
class Lived:
    """Four thousand persons over three years, nothing written."""

    people: People
    world: np.ndarray
    history: History


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A written set: what other parts may use as a fixture."""
    folder = tmp_path_factory.mktemp("demo") / "set"
    return simulate(folder, people=400, truth_rows=50, truth_runs=20)


@pytest.fixture(scope="session")
def folder(small: Summary) -> Path:
    """Where the small set is."""
    return small.folder


@pytest.fixture(scope="session")
def lived() -> Lived:
    """A history large enough for shares."""
    people = draw(SEED, 4000, DAYS)
    world = draw_world(SEED)
    return Lived(people, world, run_history(people, world, SEED, DAYS))
