from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from serving.problems import faults_of
from serving.schemas import ScoreRequest, TimelinesRequest

EVENT = {
    "time": "2025-03-03T09:00:00+01:00",
    "recorded_at": "2025-03-03T12:00:00Z",
    "code": "CONTACT//APPOINTMENT//SEEN",
    "source": "social",
}


def timelines(**changes: Any) -> str:
    return json.dumps({"timelines": [{"events": [EVENT | changes]}]})


def faults(model: type[BaseModel], body: str | bytes) -> list[dict[str, str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(body)
    return faults_of(caught.value)


def test_numbers_are_identifiers_too() -> None:
    request = ScoreRequest.model_validate_json('{"persons": [{"id": 12}, {"id": "D1"}]}')
    assert [person.id for person in request.persons] == [12, "D1"]


@pytest.mark.parametrize(
    "person",
    [{}, {"id": ""}, {"id": None}, {"id": True}, {"id": 1.5}, {"id": -1}, {"id": 10**40},
     {"id": ["D1"]}, {"id": "x" * 101}, {"id": "D1", "systm": "social"}, "D1", None],
)  # fmt: skip
def test_what_is_no_identifier_is_refused_with_its_field(person: object) -> None:
    found = faults(ScoreRequest, json.dumps({"persons": [{"id": "A"}, person]}))
    assert all(fault["field"].startswith("persons[1]") for fault in found)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"recorded_at": "2025-03-03T12:00:00"}, "recorded_at"),
        ({"recorded_at": None}, "recorded_at"),
        ({"time": "1250-01-01T00:00:00Z"}, "time"),
        ({"numeric_value": float("nan")}, "numeric_value"),
        ({"numeric_value": float("inf")}, "numeric_value"),
        ({"numeric_value": 1e39}, "numeric_value"),
        ({"numeric_value": "3"}, "numeric_value"),
        ({"text_value": "x" * 201}, "text_value"),
        ({"code": 5}, "code"),
        ({"subject_id": 5}, "(unknown key)"),
    ],
)
def test_an_event_that_breaks_the_contract_is_refused(changes: dict[str, Any], field: str) -> None:
    found = faults(TimelinesRequest, timelines(**changes))
    assert found[0]["field"] == f"timelines[0].events[0].{field}"


def test_static_facts_have_no_time() -> None:
    request = TimelinesRequest.model_validate_json(timelines(time=None))
    assert request.timelines[0].events[0].time is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["persons", "id", "lang", "secret"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_faults_never_repeat_what_was_sent(body: object) -> None:
    marked = json.dumps({"persons": [{"id": [body], "Zoé-1850112345678": body}], "x": body})
    found = faults(ScoreRequest, marked)
    assert found
    assert "1850112345678" not in json.dumps(found)
    assert "secret" not in json.dumps(found)
