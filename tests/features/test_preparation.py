"""Events as arrays: any order in, one order out; sums that may slide only when they are exact."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue import Catalogue
from features.engine import Engine
from features.errors import DataError
from features.events import EVENTS
from features.ordering import by_person_and_time, in_order
from tests.features.timelines_at_random import SERVICES, ZONE, events, feature

CATALOGUE = Catalogue((feature("sum", 30), feature("days_since_last", None)), ZONE, SERVICES)
ENGINE = Engine(CATALOGUE)

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
alike = st.integers(-(10**6), 10**6).map(lambda n: n / 256)


def prepared(values: list[float]) -> Any:
    lines = [
        dict.fromkeys(EVENTS.names)
        | {"subject_id": 1, "code": "A", "source": "s1", "event_id": f"e{i}"}
        | {"numeric_value": value, "recorded_at": 0, "time": i}
        for i, value in enumerate(values)
    ]
    return ENGINE.prepare(pa.Table.from_pylist(lines, schema=EVENTS), np.array([1]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(floats, alike), max_size=30), st.randoms(use_true_random=False))
def test_sums_called_exact_are_the_same_in_any_order(
    values: list[float], shuffle: random.Random
) -> None:
    if not prepared(values).exact:
        return
    known = [float(np.float32(value)) for value in values]
    expected = np.sum(np.array(known, np.float64))
    for _ in range(5):
        shuffle.shuffle(known)
        running = 0.0
        for value in known:
            running += value
        assert running == expected
        for value in known[: len(known) // 2]:
            running -= value
        assert running == sum(known[len(known) // 2 :])


@given(st.lists(alike, max_size=200))
def test_amounts_in_a_usual_range_are_exact(values: list[float]) -> None:
    assert prepared(values).exact


@pytest.mark.parametrize(
    "values", [[1e30, 1.0], [float("inf"), 1.0], [2.0**60, 2.0**-60], [1e-45, 1e9]]
)
def test_values_far_apart_are_not(values: list[float]) -> None:
    assert not prepared(values).exact


def test_no_value_at_all_is_exact() -> None:
    assert prepared([]).exact
    assert ENGINE.prepare(EVENTS.empty_table(), np.array([1, 2])).exact


@settings(max_examples=150, deadline=None)
@given(events(subjects=4), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_arrays(lines: list[dict[str, Any]], shuffle: Any) -> None:
    people = np.array([1, 2, 4])
    lines = [line | {"event_id": f"{line['subject_id']} {line['event_id']}"} for line in lines]
    known = [line for line in lines if line["subject_id"] != 3]
    shuffled = list(lines)
    shuffle.shuffle(shuffled)
    first = ENGINE.prepare(pa.Table.from_pylist(known, schema=EVENTS), people)
    second = ENGINE.prepare(pa.Table.from_pylist(shuffled, schema=EVENTS), people)
    rows = ENGINE.rows(people, np.full(3, 1_750_000_000_000_000), people)
    for ours, theirs in zip(ENGINE.values(first, rows), ENGINE.values(second, rows), strict=True):
        assert ours.tobytes() == theirs.tobytes()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 6), st.integers(0, 2), st.sampled_from([0, 1, None])
        ),
        max_size=120,
    )
)
def test_the_compiled_sort_is_a_sort(rows: list[tuple[int, int, int, float | None]]) -> None:
    person = np.array([r[0] for r in rows], np.int32)
    time = np.array([r[1] for r in rows], np.int64)
    recorded = np.array([r[2] for r in rows], np.int64)
    value = np.array([np.nan if r[3] is None else r[3] for r in rows], np.float32)
    order, begin = by_person_and_time(person, 3, time, recorded, value)
    assert len(order) == (person < 3).sum() == begin[-1]
    low = np.where(np.isnan(value), -np.inf, value)
    expected = np.lexsort((low, recorded, time, person))
    np.testing.assert_array_equal(order, expected[person[expected] < 3])
    kept = person[order].astype(np.int64)
    assert in_order(kept, time[order], recorded[order], value[order])


def test_a_long_person_is_sorted_in_time() -> None:
    many = 300_000
    time = np.random.default_rng(0).integers(0, 10**9, many)
    order, _ = by_person_and_time(
        np.zeros(many, np.int32), 1, time, np.zeros(many, np.int64), np.zeros(0, np.float32)
    )
    assert (np.diff(time[order]) >= 0).all()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda t: t.drop_columns(["code"]), "1 column\\(s\\) missing: code"),
        (lambda t: t.drop_columns(["event_id"]), "missing: event_id"),
        (
            lambda t: t.set_column(0, "subject_id", pa.array(["x"])),
            "of another type: subject_id",
        ),
        (
            lambda t: t.set_column(2, "code", pa.array([None], pa.string())),
            "null in code",
        ),
    ],
)
def test_tables_that_are_not_events_are_told(change: Any, rule: str) -> None:
    line = dict.fromkeys(EVENTS.names) | {"subject_id": 1, "code": "A", "source": "s1"}
    line |= {"event_id": "e", "recorded_at": 0}
    table = change(pa.Table.from_pylist([line], schema=EVENTS))
    with pytest.raises(DataError, match=rule):
        ENGINE.prepare(table, np.array([1]))
