"""Days are those of the local calendar, across every clock change, as the standard library has."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.local_days import zone

ZONES = ("Europe/Paris", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "UTC")
EPOCH = datetime(1970, 1, 1)


def micro(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


moments = st.datetimes(datetime(1960, 1, 1), datetime(2090, 1, 1))


@given(st.sampled_from(ZONES), moments)
def test_days_are_those_of_the_standard_library(name: str, instant: datetime) -> None:
    local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(name))
    days = zone(name).days(np.array([micro(instant)]))
    assert days[0] == (local.date() - date(1970, 1, 1)).days


@given(st.sampled_from(ZONES), moments, st.integers(0, 400))
def test_back_is_the_same_wall_clock(name: str, instant: datetime, days: int) -> None:
    local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(name)).replace(tzinfo=None)
    there = (local - timedelta(days=days)).replace(tzinfo=ZoneInfo(name), fold=0)
    expected = there.astimezone(UTC).replace(tzinfo=None)
    assert zone(name).back(np.array([micro(instant)]), days)[0] == micro(expected)


@pytest.mark.parametrize(
    ("midnight", "day_before"),
    [
        (datetime(2025, 3, 30, 22), datetime(2025, 3, 29, 23)),  # the day of 23 hours
        (datetime(2025, 10, 26, 23), datetime(2025, 10, 25, 22)),  # the day of 25 hours
        (datetime(2024, 2, 29, 23), datetime(2024, 2, 28, 23)),  # a leap day
    ],
)
def test_a_day_back_from_midnight_is_midnight(midnight: datetime, day_before: datetime) -> None:
    back = zone("Europe/Paris").back(np.array([micro(midnight)]), 1)
    assert back[0] == micro(day_before)
