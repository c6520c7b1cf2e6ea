"""Dates as services write them, to instants in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features import local_days
from features.settings import Instant

__all__ = ["midnight_utc", "read_instants", "to_utc"]

ISO = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
OFFSET = r"(?:Z|:\d\d.*[+-]\d\d(?::?\d\d)?)$"
BELIEVED = np.array(["1700-01-01", "2200-01-01"], "datetime64[us]")
"""Outside these years a zone's rules mean nothing: such dates stay as they are written."""
HOURS = ("%H", "%I", "%X", "%c", "%T", "%R", "%s")

Instants = npt.NDArray[np.datetime64]


def read_instants(
    column: pa.ChunkedArray | None,
    instant: Instant,
    formats: Sequence[str],
    zone: str,
    rows: int,
    *,
    nulls: Sequence[str] = (),
) -> Instants:
    """A column of dates as UTC instants.

    A date without an offset is local to ``zone``. Where clocks go back, the earlier of the two
    instants is meant; where they go forward, the first instant that exists. A date without an
    hour is the first, or with ``at: end_of_day`` the last, microsecond of that local day.
    ``days_later`` moves the instant to the same local time so many calendar days later.

    Args:
        column: Text, date or timestamp values; None when the instant is assumed.
        instant: The mapping's rule.
        formats: Formats tried in order for text (`iso`, or strptime directives).
        zone: IANA name of the zone of dates without an offset.
        rows: Number of rows, for an assumed instant.
        nulls: Texts that mean a missing value.

    Returns:
        datetime64[us], one per row; NaT where the value is missing or fits no format.

    Example:
        >>> days = pa.chunked_array([["31/03/2024", "30/02/2024", None]])
        >>> rule = Instant(column="day", at="end_of_day")
        >>> read_instants(days, rule, ["%d/%m/%Y"], "Europe/Paris", 3)
        array(['2024-03-31T21:59:59.999999', 'NaT', 'NaT'],
              dtype='datetime64[us]')
        >>> rule = Instant(column="day", days_later=28)             # clocks go forward in between
        >>> read_instants(pa.chunked_array([["2024-03-10"]]), rule, ["iso"], "Europe/Paris", 1)
        array(['2024-04-06T22:00:00.000000'], dtype='datetime64[us]')
    """
    if instant.assumed is not None:
        day = to_utc(np.array([instant.assumed], "datetime64[us]"), zone)
        return np.repeat(day, rows)
    assert column is not None
    found = _read(column, instant, formats, zone, nulls)
    return _later(found, instant.days_later, zone) if instant.days_later else found


def _read(
    column: pa.ChunkedArray,
    instant: Instant,
    formats: Sequence[str],
    zone: str,
    nulls: Sequence[str],
) -> Instants:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    end = instant.at == "end_of_day"
    if pa.types.is_date(kind):
        return _days(np.asarray(column.cast(pa.timestamp("us"))), zone, end)
    if pa.types.is_timestamp(kind):
        values = np.asarray(column.cast(pa.timestamp("us", kind.tz), safe=False)).astype(
            "datetime64[us]"
        )
        return values if kind.tz else to_utc(values, zone)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        column = column.cast(pa.string())
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    encoded = whole.dictionary_encode()
    texts = pd.Series(encoded.dictionary.to_pandas(), dtype="str").str.strip()
    parsed = _texts(texts, instant.formats or formats, zone, end)
    parsed[texts.isin(list(nulls)).to_numpy()] = np.datetime64("NaT", "us")
    places = np.asarray(encoded.indices.fill_null(len(parsed)))
    return np.append(parsed, np.datetime64("NaT", "us"))[places]


def _texts(texts: pd.Series, formats: Sequence[str], zone: str, end: bool) -> Instants:
    found = np.full(len(texts), np.datetime64("NaT", "us"))
    for form in formats:
        open_ = np.flatnonzero(np.isnat(found))
        if not len(open_):
            break
        found[open_] = _of_format(texts.iloc[open_], form, zone, end)
    return found


def _of_format(texts: pd.Series, form: str, zone: str, end: bool) -> Instants:
    if form != "iso":
        parsed = pd.to_datetime(texts, format=form, errors="coerce", exact=True)
        local = parsed.to_numpy().astype("datetime64[us]")
        return (
            to_utc(local, zone)
            if any(directive in form for directive in HOURS)
            else _days(local, zone, end)
        )
    found = np.full(len(texts), np.datetime64("NaT", "us"))
    shaped = texts.str.fullmatch(ISO, na=False).to_numpy()
    zoned = shaped & texts.str.contains(OFFSET, regex=True, na=False).to_numpy()
    daily = shaped & (texts.str.len() == 10).to_numpy()
    for mask, utc in ((zoned, True), (shaped & ~zoned, False)):
        if mask.any():
            parsed = pd.to_datetime(texts[mask], format="ISO8601", errors="coerce", utc=utc)
            values = (parsed.dt.tz_localize(None) if utc else parsed).to_numpy()
            found[mask] = values.astype("datetime64[us]")
    timed = shaped & ~zoned & ~daily
    found[timed] = to_utc(found[timed], zone)
    found[daily] = _days(found[daily], zone, end)
    return found


def _later(found: Instants, days: int, zone: str) -> Instants:
    """The same local time, days later; what is missing stays so."""
    there = ~np.isnat(found)
    moved = found.copy()
    moved[there] = local_days.zone(zone).back(found[there].view(np.int64), -days).view(found.dtype)
    return moved


def _days(local: Instants, zone: str, end: bool) -> Instants:
    midnight = local.astype("datetime64[us]")
    if not end:
        return to_utc(midnight, zone)
    following: Instants = np.add(midnight, np.timedelta64(1, "D"))
    return to_utc(following, zone) - np.timedelta64(1, "us")


def to_utc(local: Instants, zone: str) -> Instants:
    """Local wall-clock times of a zone as UTC, both without zone, datetime64[us].

    Example:
        >>> to_utc(np.array(["2024-10-27T02:30", "2024-03-31T02:30"], "datetime64[us]"),
        ...        "Europe/Paris")
        array(['2024-10-27T00:30:00.000000', '2024-03-31T01:00:00.000000'],
              dtype='datetime64[us]')
    """
    found = local.astype("datetime64[us]")
    believed = (found >= BELIEVED[0]) & (found < BELIEVED[1])
    index = pd.DatetimeIndex(found[believed])
    placed = index.tz_localize(
        zone, ambiguous=np.ones(len(index), bool), nonexistent="shift_forward"
    )
    found[believed] = placed.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    return found


def midnight_utc(day: date, zone: str) -> np.datetime64:
    """The first instant of a local day, in UTC."""
    moment: np.datetime64 = to_utc(np.array([day], "datetime64[us]"), zone)[0]
    return moment
