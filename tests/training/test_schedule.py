"""Prediction times: local midnights, whatever the clock does."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.schedule import anchored_times, instant, local_day, local_midnight, month_starts
from training.settings import AnchoredSchedule

ZONES = ("Europe/Paris", "America/St_Johns", "Asia/Kolkata", "UTC")


@given(st.dates(date(1990, 1, 1), date(2035, 1, 1)), st.sampled_from(ZONES))
def test_midnight_is_the_standard_library_s(day: date, zone: str) -> None:
    number = (day - date(1970, 1, 1)).days
    expected = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()
    assert local_midnight(np.array([number]), zone)[0] == round(expected * 1e6)
    assert local_day(np.array([round(expected * 1e6)]), zone)[0] == number
    assert local_day(np.array([round(expected * 1e6) - 1]), zone)[0] == number - 1


def test_months_across_clock_changes() -> None:
    bounds = (
        instant(date(2024, 2, 15), "Europe/Paris"),
        instant(date(2024, 11, 1), "Europe/Paris"),
    )
    starts = month_starts(*bounds, "Europe/Paris").view("datetime64[us]").tolist()
    assert starts[0] == datetime(2024, 2, 29, 23)
    assert starts[-1] == datetime(2024, 9, 30, 22)
    assert len(starts) == 8


def test_anchored_days_are_calendar_days() -> None:
    schedule = AnchoredSchedule(anchor="A", every_days=7, from_day=28, to_day=35)
    anchor = instant(datetime(2024, 3, 10, 15), "UTC")
    where, times = anchored_times(np.array([anchor, anchor]), schedule, "Europe/Paris")
    assert where.tolist() == [0, 0, 1, 1]
    # The clock goes forward on 31 March: midnights stay midnights.
    assert times.view("datetime64[us]").tolist()[:2] == [
        datetime(2024, 4, 6, 22),
        datetime(2024, 4, 13, 22),
    ]


@pytest.mark.parametrize(
    "at",
    [
        date(2025, 7, 1),
        "2025-07-01",
        "2025-06-30T22:00:00",
        "2025-07-01T00:00:00+02:00",
        datetime(2025, 6, 30, 22),
        datetime(2025, 7, 1, tzinfo=ZoneInfo("Europe/Paris")),
        np.datetime64("2025-06-30T22:00", "s"),
    ],
)
def test_one_instant_written_seven_ways(at: object) -> None:
    expected = timedelta(days=20_270, hours=-2) // timedelta(microseconds=1)
    assert instant(at, "Europe/Paris") == expected  # type: ignore[arg-type]
