"""Contracts: what is declared is asked of every row; a row that breaks it waits."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from features.contracts import Broken, Contract
from features.settings import ColumnContract, Source
from features.sources import Batch

pytestmark = pytest.mark.once


def contract(columns: dict[str, Any], **source: Any) -> Contract:
    made = Source.model_validate(
        {
            "service": "social",
            "reader": "csv",
            "person": {"system": "social", "columns": "file"},
            "tables": [
                {
                    "path": "t.csv",
                    "row_key": "id",
                    "contract": columns,
                    "events": [{"code": "SOCIAL//DIAGNOSIS//DONE", "recorded_at": "day"}],
                }
            ],
            **source,
        }
    )
    return Contract(made.tables[0], made, "Europe/Paris")


def broken(made: Contract, **columns: Any) -> dict[int, Broken]:
    table = pa.table(columns)
    return made.broken(Batch(table, np.arange(1, table.num_rows + 1)))


@pytest.mark.parametrize(
    ("rule", "good", "bad", "said"),
    [
        ({"required": True}, ["a"], [None, " "], "required"),
        ({"type": "integer"}, ["12", "-3", None], ["1.5", "x"], "type"),
        ({"type": "number"}, ["1.5", "1e3", None], ["1,5", "inf", "x"], "type"),
        ({"type": "date"}, ["2025-03-01", None], ["2025-02-30", "01/03/2025"], "type"),
        ({"type": "number", "min": 0}, ["0", "2", None], ["-0.1"], "min"),
        ({"type": "integer", "max": 35}, ["35"], ["36"], "max"),
        ({"type": "date", "min": "2025-01-01"}, ["2025-01-01"], ["2024-12-31"], "min"),
        ({"type": "date", "max": "2025-01-31"}, ["2025-01-31"], ["2025-02-01"], "max"),
        ({"allowed": ["A", "B"]}, ["A", "B", None], ["C", "a"], "allowed"),
        ({"matches": "[0-9]{5}|2A"}, ["75001", "2A", None], ["750011", "x75001", "2A1"], "matches"),
    ],
)
def test_each_rule_refuses_what_it_names(
    rule: dict[str, Any], good: list[str | None], bad: list[str | None], said: str
) -> None:
    found = broken(contract({"c": rule}), c=pa.array(good + bad, pa.string()))
    assert found == {len(good) + place: Broken("c", said) for place in range(len(bad))}


def test_a_decimal_comma_and_typed_columns_are_read_as_the_mapping_reads_them() -> None:
    comma = contract({"c": {"type": "number", "max": 2}}, options={"decimal": ","})
    assert broken(comma, c=["1,5", "1.5", "2,5"]) == {1: Broken("c", "type"), 2: Broken("c", "max")}
    typed = contract({"n": {"type": "integer"}, "d": {"type": "date", "min": "2025-01-02"}})
    days = pa.array([date(2025, 1, 1), date(2025, 1, 2)])
    assert broken(typed, n=[1.0, 2.0], d=days) == {0: Broken("d", "min")}


def test_the_first_rule_by_column_is_told() -> None:
    made = contract({"b": {"required": True}, "a": {"type": "number", "allowed": ["1"]}})
    found = broken(made, a=["x", "2"], b=[None, "y"])
    assert found == {0: Broken("b", "required"), 1: Broken("a", "allowed")}


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=6), max_size=5),
)
def test_unique_refuses_what_came_before_wherever_batches_are_cut(
    batches: list[list[str | None]],
) -> None:
    made = contract({"c": {"unique": True}})
    seen: Counter[str] = Counter()
    for values in batches:
        again = {}
        for place, value in enumerate(values):
            if value is not None:
                if seen[value]:
                    again[place] = Broken("c", "unique")
                seen[value] += 1
        assert broken(made, c=pa.array(values, pa.string())) == again


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"min": 1}, "min and max need a type"),
        ({"type": "date", "min": 1.0}, "a bound is not of the type"),
        ({"type": "number", "max": "2025-01-01"}, "a bound is not of the type"),
        ({"matches": "["}, "no regular expression"),
        ({"allowed": []}, "at least 1"),
        ({"type": "colour"}, "Input should be"),
    ],
)
def test_a_contract_that_means_nothing_is_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ColumnContract.model_validate(rule)
