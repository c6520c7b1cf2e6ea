"""Where windows begin and end, by the wall clock and the calendar that pandas knows."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import pandas as pd

PERIODS = {"week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}


class Window(NamedTuple):
    """From `since`, included, to `until`, excluded; without `since`, static events too."""

    since: datetime | None
    until: datetime


def wall_clock(instant: datetime, zone: str) -> pd.Timestamp:
    """Local time of an instant in UTC."""
    return pd.Timestamp(instant).tz_localize("UTC").tz_convert(zone).tz_localize(None)


def instant_of(local: pd.Timestamp, zone: str) -> pd.Timestamp:
    """Instant in UTC of a local time: the first of two, or by the clock before a gap."""
    clock = local.tz_localize(zone, ambiguous=True, nonexistent="shift_backward")
    offset = clock.utcoffset()
    assert offset is not None
    return local - offset


def day_number(local: pd.Timestamp) -> int:
    """Day of a local time, counted from 1970-01-01."""
    return local.to_period("D").ordinal


def local_days(times: pd.Series, zone: str) -> pd.Series:
    """The same of each instant in UTC; NaN of NaT."""
    local = times.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    return (local.dt.normalize() - pd.Timestamp(0)).dt.days.astype("float64")


@lru_cache(maxsize=4096)
def days_before(t: datetime, days: int | None, zone: str) -> datetime | None:
    """The same wall-clock time that many calendar days earlier; None is the whole history."""
    if days is None:
        return None
    return instant_of(wall_clock(t, zone) - pd.Timedelta(days=days), zone)


@lru_cache(maxsize=4096)
def calendar(t: datetime, period: str, zone: str) -> Window:
    """The week, month, quarter or year that holds t, up to t; or with `last_`, the one before."""
    this = wall_clock(t, zone).to_period(PERIODS[period.removeprefix("last_")])
    start = instant_of(this.start_time, zone)
    if period.startswith("last_"):
        return Window(instant_of((this - 1).start_time, zone), start)
    return Window(start, t)
