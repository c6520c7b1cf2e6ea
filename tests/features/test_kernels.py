"""The compiled kernels give what the slow reference gives, on any timeline."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue import Catalogue
from features.engine import Engine
from features.events import EVENTS
from features.matrix import Matrix, compute_matrix
from features.measures import MEASURES
from tests.features import reference
from tests.features.timelines_at_random import (
    EXACT,
    INEXACT,
    SERVICES,
    TIMES,
    ZONE,
    events,
    every_measure,
    every_option,
    feature,
)

PLAIN, OPTIONS = every_measure(), every_option()
BOTH = Catalogue((*PLAIN.features, *OPTIONS.features), ZONE, SERVICES)


def cohort_of(rows: list[tuple[int, datetime]]) -> pa.Table:
    return pa.table(
        {
            "subject_id": pa.array([subject for subject, _ in rows], pa.int64()),
            "prediction_time": pa.array([t for _, t in rows], pa.timestamp("us")),
        }
    )


def built(
    lines: list[dict[str, Any]], rows: list[tuple[int, datetime]], catalogue: Catalogue = BOTH
) -> Matrix:
    return compute_matrix(pa.Table.from_pylist(lines, schema=EVENTS), cohort_of(rows), catalogue)


def expected(
    lines: list[dict[str, Any]], subject: int, t: datetime, catalogue: Catalogue
) -> np.ndarray:
    def service_of(source: str) -> str:
        return SERVICES.get(source, source)

    named = {*SERVICES.values(), *(service_of(e["source"]) for e in lines)}
    row = reference.Row(lines, subject, t, catalogue.timezone, service_of, named)
    return np.array([reference.value(row, f) for f in catalogue.features], np.float32)


def assert_as_expected(
    lines: list[dict[str, Any]], times: Iterable[datetime], catalogue: Catalogue
) -> None:
    """Equal but for the rounding of sums, which grows with the largest value."""
    rows = [(subject, t) for t in times for subject in (2, 1)]
    matrix = built(lines, rows, catalogue)
    largest = max((abs(line["numeric_value"] or 0.0) for line in lines), default=0.0)
    for (subject, t), values in zip(rows, matrix.values, strict=True):
        slow = expected(lines, subject, t, catalogue)
        near = 1e-7 + 1e-13 * largest
        same = np.isclose(values, slow, rtol=3e-7, atol=near, equal_nan=True)
        assert not [
            (catalogue.names[i], float(values[i]), float(slow[i])) for i in np.flatnonzero(~same)
        ]


times_of_a_cohort = st.lists(st.sampled_from(TIMES), min_size=1, max_size=3, unique=True)


@settings(max_examples=500, deadline=None)
@given(events(), times_of_a_cohort)
def test_every_measure_equals_the_reference(
    lines: list[dict[str, Any]], times: list[datetime]
) -> None:
    assert_as_expected(lines, times, BOTH)


VALUED = Catalogue(
    tuple(f for f in BOTH.features if MEASURES[f.measure].unit in ("value", "slope")),
    ZONE,
    SERVICES,
)


@settings(max_examples=400, deadline=None)
@given(events(values=INEXACT), times_of_a_cohort)
def test_values_that_do_not_add_up_exactly(
    lines: list[dict[str, Any]], times: list[datetime]
) -> None:
    assert_as_expected(lines, times, VALUED)


def hours_and_days() -> st.SearchStrategy[list[datetime]]:
    """Prediction times an hour, a day or nothing apart, across both clock changes."""
    step = st.sampled_from([timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(7)])
    start = st.sampled_from([datetime(2025, 3, 29, 22), datetime(2025, 10, 25, 22), *TIMES])

    def walk(first: datetime, steps: list[timedelta]) -> list[datetime]:
        found = [first]
        for one in steps:
            found.append(found[-1] + one)
        return found

    return st.builds(walk, start, st.lists(step, max_size=12))


@settings(max_examples=300, deadline=None)
@given(st.one_of(events(values=EXACT), events(values=INEXACT)), hours_and_days())
def test_many_prediction_times_are_each_alone(
    lines: list[dict[str, Any]], times: list[datetime]
) -> None:
    rows = [(subject, t) for t in times for subject in (1, 2)]
    together = built(lines, rows)
    for place in {0, len(rows) // 2, len(rows) - 1}:
        alone = built(lines, [rows[place]])
        assert together.values[place].tobytes() == alone.values[0].tobytes()
        assert together.last_seen[place].tobytes() == alone.last_seen[0].tobytes()


@settings(max_examples=60, deadline=None)
@given(events(values=INEXACT), hours_and_days())
def test_weekly_and_hourly_times_equal_the_reference(
    lines: list[dict[str, Any]], times: list[datetime]
) -> None:
    assert_as_expected(lines, times[-3:], VALUED)


@settings(max_examples=100, deadline=None)
@given(events(values=INEXACT), st.sets(st.sampled_from(range(len(BOTH))), min_size=1, max_size=5))
def test_a_column_does_not_depend_on_the_others(
    lines: list[dict[str, Any]], wanted: set[int]
) -> None:
    rows = [(subject, t) for t in TIMES for subject in (1, 2)]
    few = BOTH.only(BOTH.names[place] for place in sorted(wanted, key=lambda n: -n))
    whole = built(lines, rows).values[:, sorted(wanted, reverse=True)]
    assert built(lines, rows, few).values.tobytes() == whole.tobytes()


@settings(max_examples=60, deadline=None)
@given(events(values=INEXACT), st.randoms(use_true_random=False))
def test_the_order_of_events_changes_nothing(lines: list[dict[str, Any]], random: Any) -> None:
    rows = [(subject, t) for t in TIMES for subject in (1, 2)]
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert built(lines, rows).hash == built(shuffled, rows).hash


@settings(max_examples=60, deadline=None)
@given(events(values=INEXACT, subjects=5), st.integers(1, 4))
def test_ranges_of_people_and_threads_change_nothing(
    lines: list[dict[str, Any]], threads: int
) -> None:
    engine, people = Engine(BOTH), np.arange(1, 6)
    subject = np.repeat(people, len(TIMES))
    instant = np.tile(np.sort(np.array(TIMES, "datetime64[us]").view(np.int64)), len(people))
    prepared = engine.prepare(pa.Table.from_pylist(lines, schema=EVENTS), people)
    rows = engine.rows(subject, instant, people)
    whole, _ = engine.values(prepared, rows)
    parts = np.full_like(whole, 7.0)

    def take(first: int, values: np.ndarray, _: np.ndarray) -> None:
        parts[first : first + len(values)] = values

    engine.stream(prepared, rows, take, threads=threads)
    assert parts.tobytes() == whole.tobytes()


def test_every_measure_is_in_the_property() -> None:
    peers = {"rank", "group_size", "group_mean"}
    assert {feature.measure for feature in PLAIN.features} == set(MEASURES) - peers
    assert {f.period for f in BOTH.features} >= {None, "since", "week", "last_year"}


def test_a_person_without_events_has_what_the_plan_says_is_empty() -> None:
    values = built([], [(1, TIMES[0])]).values[0]
    for one, found in zip(BOTH.features, values, strict=True):
        if one.codes:
            empty = np.nan if one.period == "since" else MEASURES[one.measure].empty
            assert np.array_equal(found, empty, equal_nan=True), one.name


def long_line(count: int) -> pa.Table:
    """One person with an event every second, in three kinds, three to a reference."""
    seconds = np.arange(count).astype("datetime64[s]").astype("datetime64[us]")
    return pa.table(
        {
            "subject_id": np.ones(count, np.int64),
            "time": seconds,
            "code": np.array(["A", "B", "C"])[np.arange(count) % 3],
            "numeric_value": np.ones(count, np.float32),
            "text_value": pa.nulls(count, pa.large_string()),
            "recorded_at": seconds,
            "end_time": pa.nulls(count, pa.timestamp("us")),
            "source": ["s1"] * count,
            "reference": [f"r{i // 3}" for i in range(count)],
            "event_id": [f"e{i}" for i in range(count)],
        }
    )


def test_one_person_with_a_hundred_thousand_events_is_linear() -> None:
    count = 100_000
    cohort = cohort_of([(1, datetime(2025, 1, 1))])
    matrix = compute_matrix(long_line(count), cohort, BOTH)
    values = matrix.frame().iloc[0]
    third = count // 3 + 1
    assert values["g.count.None.('A',)"] == third
    assert values["g.distinct_references.None.('A',)"] == third
    assert values["g.sequences.None.('A',)"] == third - 1
    assert values["g.unanswered.None.('A',)"] == 1
    assert values["g.answer_delay.None.('A',)"] == 0


@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Apia"])
def test_other_zones_have_their_own_days(zone: str) -> None:
    at = datetime(2025, 4, 5, 12)
    line = {"subject_id": 1, "code": "A", "source": "s1", "recorded_at": datetime(2025, 1, 1)}
    lines = [
        {**dict.fromkeys(EVENTS.names), **line, "event_id": f"e{i}", "time": time}
        for i, time in enumerate([datetime(2025, 3, 9, 2), datetime(2025, 3, 9, 12)])
    ]
    there = replace(BOTH, timezone=zone)
    slow = expected(lines, 1, at, there)
    np.testing.assert_allclose(built(lines, [(1, at)], there).values[0], slow, atol=1e-7)


def test_an_event_does_not_follow_itself() -> None:
    base = {
        **dict.fromkeys(EVENTS.names),
        "subject_id": 1,
        "code": "A",
        "source": "s1",
        "recorded_at": datetime(2025, 1, 1),
    }
    twice = [base | {"event_id": f"e{day}", "time": datetime(2025, 3, day)} for day in (3, 9)]
    one = feature("sequences", None, followed_by=("A",), match="person")
    catalogue = Catalogue((one, replace(one, name="delay", measure="sequence_delay")), ZONE)
    for lines, value in ((twice[:1], [0.0, np.nan]), (twice, [1.0, 6.0])):
        found = built(lines, [(1, datetime(2025, 4, 1))], catalogue).values[0]
        np.testing.assert_array_equal(found, np.array(value, np.float32))


def test_no_folder_for_the_cache_is_no_fault() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from features.kernels import _first_at\n"
        "print(_first_at(np.array([1, 5, 9]), np.array([0, 1, 2]), 0, 3, 5))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("1", "")
