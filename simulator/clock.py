"""The territory's calendar: local days of Europe/Paris on a line of UTC minutes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numba import njit

START = date(2023, 1, 1)
"""Day 0 of every simulated set."""
PAST = 2200
"""Days kept before day 0 (rights opened before the observation)."""
FUTURE = 4600
"""Days kept after day 0."""

SPAN = PAST + FUTURE
PERIODS = FUTURE // 30 + 2
"""Thirty-day periods for which the services' waiting times are drawn."""
FIXED = 1_000_000
"""Factors in the world array are whole millionths."""
MONTH_AT = SPAN
SEASON_AT = 2 * SPAN
WAIT_AT = SEASON_AT + 12
CONGESTION_AT = WAIT_AT + 5 * PERIODS
"""Where each part of the world array starts: midnights (from 0), months, seasons, waits, delays of
answers."""

_PARIS = ZoneInfo("Europe/Paris")
_EPOCH = datetime(2023, 1, 1, tzinfo=UTC)


@cache
def midnights() -> np.ndarray:
    """Minutes of UTC of each local midnight; index = day + `PAST`, int64.

    >>> int(midnights()[PAST]), int(midnights()[PAST + 180])
    (-60, 259080)
    """
    first = datetime(START.year, START.month, START.day)
    out = np.empty(PAST + FUTURE, np.int64)
    for i in range(out.size):
        local = (first + timedelta(days=i - PAST)).replace(tzinfo=_PARIS)
        out[i] = int((local - _EPOCH).total_seconds()) // 60
    out.setflags(write=False)
    return out


@cache
def months() -> np.ndarray:
    """Calendar month (0 to 11) of each local day; index = day + `PAST`, int64."""
    out = np.array(
        [(START + timedelta(days=i - PAST)).month - 1 for i in range(PAST + FUTURE)], np.int64
    )
    out.setflags(write=False)
    return out


@njit(nogil=True)
def period(day: int) -> int:
    """Thirty-day period of a day (days before the start count as the first)."""
    return max(0, min(PERIODS - 1, day // 30 + 1))


def day_number(when: date) -> int:
    """Days from 2023-01-01.

    >>> day_number(date(2023, 2, 1))
    31
    """
    return (when - START).days


def firsts_of_month(days: int) -> np.ndarray:
    """Day numbers of the firsts of month in [0, days), int64.

    >>> firsts_of_month(70).tolist()
    [0, 31, 59]
    """
    found = [d for d in range(days) if (START + timedelta(days=d)).day == 1]
    return np.array(found, np.int64)


def local_parts(minutes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split UTC minutes in local day and minute of that day, for the exports.

    Args:
        minutes: UTC minutes from 2023-01-01 00:00 UTC, int64.

    Returns:
        Day numbers and wall-clock minutes after midnight (int64 both).

    >>> day, minute = local_parts(np.array([-60, 0, 259080 + 600]))
    >>> day.tolist(), minute.tolist()
    ([0, 0, 180], [0, 60, 600])
    """
    mid = midnights()
    day = np.searchsorted(mid, minutes, side="right") - 1
    wall = minutes - mid[day]
    # On the two days of clock change, wall clock and elapsed minutes part after 01:00 UTC.
    shift = np.diff(mid, append=mid[-1] + 1440)[day] - 1440
    wall = np.where((shift != 0) & (wall >= 180), wall - shift, wall)
    return day - PAST, wall


def utc_datetimes(minutes: np.ndarray) -> np.ndarray:
    """UTC minutes as datetime64[us].

    >>> str(utc_datetimes(np.array([90]))[0])
    '2023-01-01T01:30:00.000000'
    """
    start = np.datetime64("2023-01-01T00:00:00", "us")
    return start + minutes.astype("timedelta64[m]").astype("timedelta64[us]")
