"""Prediction times: local midnights of a territory as UTC instants."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from features.errors import ConfigurationError
from features.local_days import DAY
from features.local_days import zone as time_zone
from features.settings import FeaturesSettings
from training.settings import AnchoredSchedule, TrainingSettings

__all__ = [
    "end_of_observation",
    "instant",
    "local_day",
    "local_midnight",
    "month_starts",
    "prediction_bounds",
]

Longs = npt.NDArray[np.int64]
EPOCH = date(1970, 1, 1)


def local_day(instants: Longs, zone: str) -> Longs:
    """Local calendar days, counted from 1970-01-01, of UTC instants in microseconds.

    Example:
        >>> local_day(np.array([0, 82_800_000_000]), "Europe/Paris").tolist()
        [0, 1]
    """
    return time_zone(zone).days(np.asarray(instants, np.int64)).astype(np.int64)


def local_midnight(days: Longs, zone: str) -> Longs:
    """UTC instants, in microseconds, at which local days begin.

    Where a clock change skips midnight the day begins at the change; where it repeats midnight, at
    the first of the two.

    Args:
        days: Local calendar days counted from 1970-01-01.
        zone: Name of the time zone.

    Example:
        >>> local_midnight(np.array([19723, 19905]), "Europe/Paris").view("datetime64[us]").tolist()
        [datetime.datetime(2023, 12, 31, 23, 0), datetime.datetime(2024, 6, 30, 22, 0)]
    """
    return time_zone(zone).to_utc(np.asarray(days, np.int64) * DAY)


def instant(at: datetime | date | np.datetime64 | str, zone: str) -> int:
    """A UTC instant in microseconds from a date (local midnight) or a datetime (UTC when naive).

    Example:
        >>> instant(date(2024, 7, 1), "Europe/Paris") == instant("2024-06-30T22:00:00", "UTC")
        True
        >>> instant("soon", "UTC")
        Traceback (most recent call last):
        features.errors.ConfigurationError: reading a prediction time. Expected a date or an ISO \
8601 instant; got str. Hint: Write it as 2025-12-31.
    """
    if isinstance(at, str):
        try:
            at = date.fromisoformat(at) if len(at) == 10 else datetime.fromisoformat(at)
        except ValueError as error:
            raise ConfigurationError(
                "reading a prediction time",
                expected="a date or an ISO 8601 instant",
                got=type(at).__name__,
                hint="Write it as 2025-12-31.",
            ) from error
    if isinstance(at, np.datetime64):
        return int(at.astype("datetime64[us]").astype(np.int64))
    if isinstance(at, datetime):
        aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        since = aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return int(local_midnight(np.array([(at - EPOCH).days]), zone)[0])


def end_of_observation(features: FeaturesSettings) -> int:
    """The first instant, in microseconds UTC, at which nothing was observed any more."""
    return instant(features.observation.until, features.timezone)


def prediction_bounds(settings: TrainingSettings, features: FeaturesSettings) -> tuple[int, int]:
    """First instant a prediction may be made for, and the first one past the last."""
    start = settings.cohort.start or features.observation.since
    end = settings.cohort.end or features.observation.until
    return instant(start, features.timezone), instant(end, features.timezone)


def month_starts(first: int, last: int, zone: str) -> Longs:
    """Instants of every first of month, 00:00 local, in ``[first, last)``.

    Example:
        >>> bounds = (instant(date(2024, 1, 1), "UTC"), instant(date(2024, 4, 1), "UTC"))
        >>> month_starts(*bounds, "UTC").view("datetime64[us]").astype("datetime64[D]").tolist()
        [datetime.date(2024, 1, 1), datetime.date(2024, 2, 1), datetime.date(2024, 3, 1)]
    """
    begin = datetime.fromtimestamp(first / 1e6, UTC).astimezone(ZoneInfo(zone)).date()
    finish = datetime.fromtimestamp(last / 1e6, UTC).astimezone(ZoneInfo(zone)).date()
    months = np.arange(begin.strftime("%Y-%m"), 2 + _months(finish), dtype="datetime64[M]")
    starts = local_midnight(months.astype("datetime64[D]").astype(np.int64), zone)
    return starts[(starts >= first) & (starts < last)]


def _months(day: date) -> np.datetime64:
    return np.datetime64(day.strftime("%Y-%m"), "M")


def anchored_times(anchors: Longs, schedule: AnchoredSchedule, zone: str) -> tuple[Longs, Longs]:
    """Prediction times counted from anchor instants.

    Args:
        anchors: [n] anchor instants in microseconds UTC.
        schedule: Which days from the anchor's local day.
        zone: Name of the time zone.

    Returns:
        For each prediction time, the position of its anchor and its instant.
    """
    steps = np.arange(schedule.from_day, schedule.to_day + 1, schedule.every_days)
    days = local_day(anchors, zone)[:, None] + steps[None, :]
    where = np.repeat(np.arange(len(anchors)), len(steps))
    return where, local_midnight(days.ravel(), zone)
