"""Properties of the process and of its small parts."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator import layout
from simulator.chance import memoryless, sow, uniform
from simulator.clock import PAST, local_parts, midnights, utc_datetimes
from simulator.formats import FRENCH, ISO_OFFSET
from simulator.history import run_history
from simulator.identities import nir_key
from simulator.outcomes import auc
from simulator.people import draw

from .conftest import DAYS, SEED, Lived


@given(st.integers(min_value=-3_000_000, max_value=6_000_000))
def test_local_time_is_that_of_the_zone(minute: int) -> None:
    day, wall = local_parts(np.array([minute]))
    instant = utc_datetimes(np.array([minute]))[0].astype(object).replace(tzinfo=UTC)
    local = instant.astimezone(ZoneInfo("Europe/Paris"))
    first = datetime(2023, 1, 1)
    assert (local.replace(tzinfo=None) - first).days == day[0]
    assert local.hour * 60 + local.minute == wall[0]
    text = ISO_OFFSET.instants(np.array([minute]))[0].as_py()
    assert datetime.fromisoformat(text) == instant
    assert FRENCH.instants(np.array([minute]))[0].as_py() == local.strftime("%d/%m/%Y %H:%M")


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.integers(0, 500))
def test_chance_depends_on_person_and_run_only(seed: int, person: int, run: int) -> None:
    def draws(p: int, n: int) -> list[float]:
        r = np.array([sow(seed, 1, p, n)], np.uint64)
        return [uniform(r) for _ in range(3)]

    assert draws(person, run) == draws(person, run)
    assert draws(person, run) != draws(person + 1, run)
    assert draws(person, run) != draws(person, run + 1)
    assert all(0.0 <= u < 1.0 for u in draws(person, run))


def test_chance_is_uniform_and_memoryless_enough() -> None:
    r = np.array([sow(1, 2, 3, 4)], np.uint64)
    sample = np.array([uniform(r) for _ in range(20_000)])
    assert abs(sample.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(sample[:-1], sample[1:])[0, 1]) < 0.03
    waits = np.array([memoryless(r, 40.0) for _ in range(5_000)])
    assert abs(waits.mean() - 40.5) < 2.5


@given(st.integers(min_value=10**12, max_value=3 * 10**12 - 1))
def test_nir_key_closes_the_sum(number: int) -> None:
    assert (number + nir_key(number)) % 97 == 0
    assert 1 <= nir_key(number) <= 97


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(
        lambda pairs: len({b for _, b in pairs}) == 2
    )
)
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    up = [s for s, b in pairs if b]
    down = [s for s, b in pairs if not b]
    share = sum((a > b) + 0.5 * (a == b) for a in up for b in down) / (len(up) * len(down))
    got = auc(np.array([s for s, _ in pairs], float), np.array([b for _, b in pairs]))
    assert abs(got - share) < 1e-12


def test_a_person_lives_the_same_life_in_a_smaller_crowd(lived: Lived) -> None:
    from simulator.people import People

    few = People(
        lived.people.states[:60].copy(),
        lived.people.traits[:60],
        lived.people.rsa_days[:60],
        lived.people.woman[:60],
        lived.people.children[:60],
        lived.people.education[:60],
    )
    history = run_history(few, lived.world, SEED, DAYS)
    events = lived.history.events
    assert np.array_equal(history.events, events[events[:, layout.T_PERSON] < 60])


def test_a_longer_observation_only_adds(lived: Lived) -> None:
    from simulator.people import People

    few = People(
        lived.people.states[:60].copy(),
        lived.people.traits[:60],
        lived.people.rsa_days[:60],
        lived.people.woman[:60],
        lived.people.children[:60],
        lived.people.education[:60],
    )
    short = run_history(few, lived.world, SEED, 700)
    long = lived.history.events
    cut = midnights()[700 + PAST]

    def happened(events: np.ndarray) -> set[tuple[int, ...]]:
        here = (
            (events[:, layout.T_PERSON] < 60)
            & (events[:, layout.T_TIME] < cut)
            & (events[:, layout.T_A] != layout.PLANNED)
            & (events[:, layout.T_KIND] != layout.K_RSA)
        )
        return {tuple(e) for e in events[here].tolist()}

    assert happened(short.events) == happened(long)


def test_references_pair_each_end_with_its_beginning(lived: Lived) -> None:
    def keys(kind: int) -> list[tuple[int, int]]:
        rows = lived.history.of(kind)
        return list(zip(rows[:, layout.T_PERSON].tolist(), rows[:, layout.T_REF].tolist(),
                        strict=True))  # fmt: skip

    for begin, end in (
        (layout.K_CONTRACT, layout.K_CONTRACT_END),
        (layout.K_WORK, layout.K_WORK_END),
        (layout.K_APPLICATION, layout.K_APPLICATION_ANSWER),
        (layout.K_REFERRAL, layout.K_REFERRAL_ANSWER),
    ):
        begun, ended = keys(begin), keys(end)
        assert len(begun) == len(set(begun))
        assert len(ended) == len(set(ended))
        assert set(ended) <= set(begun)


def test_people_are_drawn_from_the_seed() -> None:
    assert np.array_equal(draw(5, 80, DAYS).states, draw(5, 80, DAYS).states)
    assert not np.array_equal(draw(5, 80, DAYS).traits, draw(6, 80, DAYS).traits)


def test_importing_the_simulator_pulls_nothing_heavy() -> None:
    code = (
        "import sys, simulator; "
        "print([m for m in ('numba', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
