"""Windows begin and end where the calendar of the territory says, whatever its clock does."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.local_days import DAY, NEVER, zone
from features.windows import ALL, Window, closed, edges
from tests.features import reference
from tests.features.test_local_days import ZONES, micro, moments

UNITS = ("week", "month", "quarter", "year")
PERIODS = (*UNITS, *(f"last_{unit}" for unit in UNITS))
CHANGING_AT_MIDNIGHT = ("America/Santiago", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo")


def at(text: str) -> int:
    return micro(datetime.fromisoformat(text))


def edge(t: int, window: Window, name: str) -> tuple[int, int]:
    since, until = edges(np.array([t]), [window], zone(name))
    return int(since[0, 0]), int(until[0, 0])


@given(st.sampled_from([*ZONES, *CHANGING_AT_MIDNIGHT]), moments, st.sampled_from(PERIODS))
@example("America/Santiago", datetime(2022, 9, 15), "month")
@example("Africa/Cairo", datetime(2010, 10, 2), "month")
@example("Pacific/Apia", datetime(2011, 12, 31, 12), "week")
def test_periods_are_those_of_the_calendar(name: str, t: datetime, period: str) -> None:
    plain = reference.calendar(t, period, name)
    assert plain.since is not None
    assert edge(micro(t), period, name) == (micro(plain.since), micro(plain.until))


@given(st.sampled_from(ZONES), moments, st.integers(1, 4000))
def test_days_go_back_on_the_wall_clock(name: str, t: datetime, days: int) -> None:
    since = reference.days_before(t, days, name)
    assert since is not None
    assert edge(micro(t), days, name) == (micro(since), micro(t))


@given(st.sampled_from([*ZONES, *CHANGING_AT_MIDNIGHT]), moments, st.sampled_from(UNITS))
def test_a_period_follows_the_one_before(name: str, t: datetime, unit: str) -> None:
    since, until = edge(micro(t), unit, name)
    before, end = edge(micro(t), f"last_{unit}", name)
    assert before < end == since <= until == micro(t)
    # Just before this period began, it was the one before that was running.
    assert edge(since - 1, unit, name)[0] == before


@given(st.lists(moments, min_size=1, max_size=8))
def test_many_times_are_each_alone(times: list[datetime]) -> None:
    windows: list[Window] = [ALL, 1, 30, *PERIODS]
    where = zone("Europe/Paris")
    together = edges(np.array([micro(t) for t in times]), windows, where)
    for place, t in enumerate(times):
        alone = edges(np.array([micro(t)]), windows, where)
        assert [e[place].tolist() for e in together] == [e[0].tolist() for e in alone]


def test_the_whole_history_has_no_beginning() -> None:
    assert edge(at("2025-03-12"), ALL, "UTC") == (NEVER, at("2025-03-12"))


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        ("week", "2024-02-26", "2024-02-29T10:00"),
        ("month", "2024-02-01", "2024-02-29T10:00"),
        ("quarter", "2024-01-01", "2024-02-29T10:00"),
        ("year", "2024-01-01", "2024-02-29T10:00"),
        ("last_week", "2024-02-19", "2024-02-26"),
        ("last_month", "2024-01-01", "2024-02-01"),
        ("last_quarter", "2023-10-01", "2024-01-01"),
        ("last_year", "2023-01-01", "2024-01-01"),
    ],
)
def test_the_leap_day_of_2024(period: str, since: str, until: str) -> None:
    assert edge(at("2024-02-29T10:00"), period, "UTC") == (at(since), at(until))
    assert closed(period) == period.startswith("last_")


def test_a_year_before_the_leap_day_is_the_first_of_march() -> None:
    assert edge(at("2024-02-29T10:00"), 365, "UTC")[0] == at("2023-03-01T10:00")
    assert edge(at("2025-02-28T10:00"), 365, "UTC")[0] == at("2024-02-29T10:00")


def test_a_window_of_one_day_has_23_hours_in_spring_and_25_in_autumn() -> None:
    for t, hours in (("2025-03-30T10:00", 23), ("2025-10-26T11:00", 25)):
        since, until = edge(at(t), 1, "Europe/Paris")
        assert until - since == hours * DAY // 24


def test_a_month_begins_at_the_first_instant_of_its_first_day() -> None:
    # In Cairo, the clocks of 1 October 2010 went back from 00:00 to 23:00 of the day before.
    since, _ = edge(at("2010-10-02"), "month", "Africa/Cairo")
    days = zone("Africa/Cairo").days(np.array([since - 1, since]))
    assert np.diff(days).tolist() == [1]


def test_periods_of_a_decade_leave_no_gap() -> None:
    where = zone("Europe/Paris")
    noons = [datetime(2020, 1, 1, 12) + timedelta(days=n) for n in range(3653)]
    since, _ = edges(np.array([micro(t) for t in noons]), UNITS, where)
    for place, least in enumerate((7, 28, 90, 365)):
        starts = np.unique(since[:, place])
        days = where.days(starts)
        assert (np.diff(days) >= least).all()
        assert all(where.days(np.array([b - 1]))[0] < d for b, d in zip(starts, days, strict=True))
        assert len(starts) == len(list(pairwise(starts))) + 1 > 9
