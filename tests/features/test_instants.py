"""Dates as services write them: formats, zones, days without an hour, impossible days."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.instants import midnight_utc, read_instants, to_utc
from features.settings import Instant

PARIS = "Europe/Paris"


def read(values: list[str | None], *formats: str, at: str = "start_of_day") -> list[str | None]:
    rule = Instant.model_validate({"column": "x", "at": at})
    column = pa.chunked_array([pa.array(values, pa.string())])
    found = read_instants(column, rule, formats or ("iso",), PARIS, len(values), nulls=["NULL"])
    return [None if np.isnat(one) else str(one)[:19] for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-15", "2024-01-14T23:00:00"),
        ("2024-07-15 10:30", "2024-07-15T08:30:00"),
        ("2024-07-15T10:30:15", "2024-07-15T08:30:15"),
        ("2024-07-15T10:30:00+02:00", "2024-07-15T08:30:00"),
        ("2024-07-15T10:30+0200", "2024-07-15T08:30:00"),
        ("2024-07-15 10:30:00.250Z", "2024-07-15T10:30:00"),
        (" 2024-01-15 ", "2024-01-14T23:00:00"),
        ("2999-01-01", "2999-01-01T00:00:00"),
        ("2024-13-05", None),
        ("2024-02-30", None),
        ("2024", None),
        ("20240115", None),
        ("15/01/2024", None),
        ("now", None),
        ("NULL", None),
        (None, None),
    ],
)
def test_iso(text: str | None, expected: str | None) -> None:
    assert read([text]) == [expected]


def test_formats_are_tried_in_order() -> None:
    texts = ["31/12/2024 23:30", "31/12/2024", "31/02/2024", "1/3/2024", "2024-12-31"]
    assert read(texts, "%d/%m/%Y %H:%M", "%d/%m/%Y") == [
        "2024-12-31T22:30:00",
        "2024-12-30T23:00:00",
        None,
        "2024-02-29T23:00:00",
        None,
    ]


def test_the_end_of_a_day_is_its_last_microsecond_also_when_clocks_change() -> None:
    days = ["2024-03-31", "2024-10-27", "2024-06-01 10:00"]
    assert read(days, at="end_of_day") == [
        "2024-03-31T21:59:59",
        "2024-10-27T22:59:59",
        "2024-06-01T08:00:00",
    ]


def test_an_hour_that_does_not_exist_or_comes_twice() -> None:
    assert read(["2024-03-31 02:30", "2024-10-27 02:30"]) == [
        "2024-03-31T01:00:00",
        "2024-10-27T00:30:00",
    ]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([date(2024, 7, 1)]), "2024-06-30T22:00:00"),
        (pa.array([datetime(2024, 7, 1, 9)], pa.timestamp("ns")), "2024-07-01T07:00:00"),
        (pa.array([datetime(2024, 7, 1, 9)], pa.timestamp("us", "UTC")), "2024-07-01T09:00:00"),
        (pa.array(["2024-07-01"]).dictionary_encode(), "2024-06-30T22:00:00"),
    ],
)
def test_typed_columns(column: pa.Array, expected: str) -> None:
    found = read_instants(pa.chunked_array([column]), Instant(column="x"), ["iso"], PARIS, 1)
    assert str(found[0])[:19] == expected


def test_days_later_keeps_the_local_time_across_clock_changes() -> None:
    rule = Instant.model_validate({"column": "x", "at": "end_of_day", "days_later": 28})
    texts = pa.chunked_array([["2024-03-10", "2024-10-10", "2024-03-10 09:30", None, "never"]])
    found = read_instants(texts, rule, ["iso"], PARIS, 5)
    assert [None if np.isnat(one) else str(one)[:19] for one in found] == [
        "2024-04-07T21:59:59",
        "2024-11-07T22:59:59",
        "2024-04-07T07:30:00",
        None,
        None,
    ]
    with pytest.raises(ValueError, match="days_later needs a column"):
        Instant(assumed=date(2024, 1, 1), days_later=2)


def test_an_assumed_date_is_for_every_row() -> None:
    found = read_instants(None, Instant(assumed=date(2024, 1, 1)), ["iso"], "Europe/London", 3)
    assert found.tolist() == [datetime(2024, 1, 1)] * 3


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)),
    st.sampled_from([PARIS, "UTC", "America/St_Johns", "Australia/Lord_Howe", "Indian/Reunion"]),
)
def test_local_time_agrees_with_the_standard_library(moment: datetime, zone: str) -> None:
    aware = moment.replace(tzinfo=ZoneInfo(zone))
    back = aware.astimezone(ZoneInfo("UTC"))
    found = to_utc(np.array([moment], "datetime64[us]"), zone)[0]
    if back.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment:
        assert found == np.datetime64(back.replace(tzinfo=None), "us")


def test_midnight_is_local() -> None:
    assert midnight_utc(date(2026, 1, 1), PARIS) == np.datetime64("2025-12-31T23:00:00", "us")
