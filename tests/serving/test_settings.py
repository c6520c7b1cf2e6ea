from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.settings import Bands, ServingSettings


def test_everything_has_a_default() -> None:
    settings = ServingSettings()
    assert (settings.host, settings.port, settings.language) == ("127.0.0.1", 3000, "fr")
    assert settings.database is None


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("host", "my-server.example", "Hint: Write 127.0.0.1"),
        ("database", "mysql://a/b", "Hint: Write postgresql://"),
        ("bands", {"high": 0.1, "medium": 0.2}, "Hint: Exchange"),
        ("port", 0, "greater than or equal to 1"),
        ("max_person", 5, "Extra inputs"),
    ],
)
def test_a_faulty_value_says_the_remedy(key: str, value: object, hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        ServingSettings.model_validate({key: value})


def test_localhost_is_an_address() -> None:
    assert ServingSettings(host="localhost").host == "127.0.0.1"


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_risk_is_never_in_a_lower_band(one: float, other: float) -> None:
    order = ("low", "medium", "high")
    low, high = sorted((one, other))
    bands = Bands()
    assert order.index(bands.of(low)) <= order.index(bands.of(high))
