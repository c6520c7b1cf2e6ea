from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import JalonError
from features.settings import FeaturesSettings
from serving.instants import default_prediction_time, local_text, read_prediction_time
from training.example import example_features

FEATURES: FeaturesSettings = example_features()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_default_is_the_end_of_observation_once_it_is_past() -> None:
    assert default_prediction_time(FEATURES, NOW) == datetime(2024, 12, 31, 23)


def test_the_default_is_the_last_local_midnight_before() -> None:
    late = datetime(2024, 7, 1, 22, 30, tzinfo=UTC)
    assert default_prediction_time(FEATURES, late) == datetime(2024, 7, 1, 22)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("2024-03-31", datetime(2024, 3, 30, 23)),
        ("2024-04-01", datetime(2024, 3, 31, 22)),
        (date(2024, 4, 1), datetime(2024, 3, 31, 22)),
        ("2024-04-01T08:00", datetime(2024, 4, 1, 6)),
        ("2024-04-01T08:00:00Z", datetime(2024, 4, 1, 8)),
        (datetime(2024, 4, 1, 8, tzinfo=UTC), datetime(2024, 4, 1, 8)),
    ],
)
def test_dates_are_local_and_offsets_are_kept(given_: str, expected: datetime) -> None:
    assert read_prediction_time(given_, FEATURES, NOW) == expected


@pytest.mark.parametrize(
    "given_",
    ["2023-12-31", "2027-01-01", "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00",
     "31/12/2024", "2024-02-30", "", "yesterday", "2024-01-01T99:00:00"],
)  # fmt: skip
def test_what_is_no_prediction_time_is_refused_without_repeating_it(given_: str) -> None:
    with pytest.raises(JalonError, match="reading the prediction time") as caught:
        read_prediction_time(given_, FEATURES, NOW)
    assert not given_ or given_ not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_gives_an_instant_or_a_clear_error(text: str) -> None:
    try:
        at = read_prediction_time(text, FEATURES, NOW)
    except JalonError:
        return
    assert at.tzinfo is None


@given(st.datetimes(datetime(2024, 1, 2), datetime(2024, 12, 30)))
def test_what_is_written_is_read_back(at: datetime) -> None:
    assert read_prediction_time(local_text(at, "Europe/Paris"), FEATURES, NOW) == at
