"""Prediction times: a date or an instant read, kept in UTC, written in the territory's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from features.errors import JalonError
from features.settings import FeaturesSettings

__all__ = ["default_prediction_time", "local_text", "read_prediction_time"]


def default_prediction_time(features: FeaturesSettings, now: datetime | None = None) -> datetime:
    """The instant scored when none is asked: the end of observation once it is past, or today.

    Args:
        features: Zone and period of observation.
        now: An aware instant; by default the clock's.

    Returns:
        A midnight of the territory's zone, in UTC without zone.
    """
    zone = ZoneInfo(features.timezone)
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    return _midnight(min(today, features.observation.until), zone)


def read_prediction_time(
    value: str | date | datetime | None, features: FeaturesSettings, now: datetime | None = None
) -> datetime:
    """A prediction time in UTC without zone, from what a person or a program wrote.

    A date is its first instant in the territory's zone; an instant without offset is local.

    Args:
        value: ISO 8601 date or instant, or None for the default.
        features: Zone and period of observation.
        now: An aware instant; by default the clock's.

    Raises:
        JalonError: not ISO 8601, before the observation starts, or in the future.

    Example:
        >>> from types import SimpleNamespace as Of
        >>> paris = Of(timezone="Europe/Paris",
        ...            observation=Of(since=date(2023, 1, 1), until=date(2026, 1, 1)))
        >>> read_prediction_time("2025-07-01", paris)
        datetime.datetime(2025, 6, 30, 22, 0)
        >>> read_prediction_time("2025-07-01T10:00:00+00:00", paris)
        datetime.datetime(2025, 7, 1, 10, 0)
        >>> read_prediction_time("first of July", paris)
        Traceback (most recent call last):
        features.errors.JalonError: reading the prediction time. Expected an ISO 8601 date or \
instant, as 2025-12-31; got text of another form. Hint: Write the year first.
    """
    if value is None:
        return default_prediction_time(features, now)
    zone = ZoneInfo(features.timezone)
    if isinstance(value, str):
        value = _parse(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=zone)
        try:
            at = aware.astimezone(UTC).replace(tzinfo=None)
        except OverflowError as error:
            raise _outside() from error
    elif not date(1, 1, 2) <= value <= date(9999, 12, 30):
        raise _outside()
    else:
        at = _midnight(value, zone)
    last = max(
        _midnight(features.observation.until, zone),
        (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None),
    )
    if not _midnight(features.observation.since, zone) <= at <= last:
        raise _outside()
    return at


def local_text(instant: datetime, timezone: str) -> str:
    """An instant of UTC without zone as ISO 8601 in a zone, with its offset.

    Example:
        >>> local_text(datetime(2025, 12, 31, 23), "Europe/Paris")
        '2026-01-01T00:00:00+01:00'
    """
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).isoformat()


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, time(), tzinfo=zone)
    return local.astimezone(UTC).replace(tzinfo=None)


def _parse(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise JalonError(
            "reading the prediction time",
            expected="an ISO 8601 date or instant, as 2025-12-31",
            got="text of another form",
            hint="Write the year first.",
        ) from error


def _outside() -> JalonError:
    return JalonError(
        "reading the prediction time",
        expected="an instant between the start of observation and the present",
        got="one outside",
        hint="Choose a date in the territory's period of observation.",
    )
