"""The past as it was: a view is the table to which only the rows known then were appended."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.as_known import AsKnown
from features.errors import ConfigurationError, DataError
from features.events import EVENTS
from features.timelines import Timelines

DAY = datetime(2025, 1, 1)
WIDE = 1 << 61

Row = tuple[int, int, int, str]
"""Person, number of the event, day of entry, code."""


def at(day: int) -> datetime:
    return DAY + timedelta(days=day)


def table(rows: list[Row]) -> pa.Table:
    events = [
        {
            "subject_id": person * WIDE + 1,
            "time": None if event == 3 else at(event),
            "code": f"NEED//MOBILITY//{code}",
            "recorded_at": at(day),
            "source": "social",
            "event_id": f"{event:032x}",
        }
        for person, event, day, code in rows
    ]
    return pa.Table.from_pylist(events, schema=EVENTS)


def filled(*parts: list[Row], compact: bool = False) -> Timelines:
    timelines = Timelines.open(tempfile.mkdtemp() + "/timelines", create=True, buckets=4)
    for part in parts:
        if part:
            timelines.append(table(part), label="test")
    if compact:
        timelines.compact()
    return timelines


# One content for each event and day of entry: contradictions hang on the order of arrival.
rows_of = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(1, 12)),
    st.tuples(st.integers(0, 3), st.sampled_from("AB")),
    max_size=14,
).map(lambda made: [(p, e, d, c) for (e, d), (p, c) in made.items()])


@settings(max_examples=40, deadline=None)
@given(rows_of, st.data(), st.integers(0, 14), st.integers(0, 14), st.booleans())
def test_a_view_is_a_table_that_stopped_there(
    rows: list[Row], data: st.DataObject, day: int, earlier: int, compact: bool
) -> None:
    rows = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    then = filled(rows[:cut], rows[cut:], compact=compact).as_known(at(day))
    replayed = filled([row for row in rows if row[2] < day])
    for superseded in (False, True):
        wanted = replayed.read(superseded=superseded)
        assert then.read(superseded=superseded).equals(wanted)
        some = then.read(columns=["code"], superseded=superseded, dictionaries=["code"])
        names = ["code", *(["superseded_at"] if superseded else [])]
        assert some.to_pylist() == wanted.select(names).to_pylist()
        chunks = then.chunks(rows=2)
        parts = [then.read_chunk(chunk, superseded=superseded) for chunk in chunks]
        assert [row for part in parts for row in part.to_pylist()] == wanted.to_pylist()
    assert then.read(as_known=at(earlier)).equals(replayed.read(as_known=min(at(earlier), at(day))))
    person = 2 * WIDE + 1
    assert then.person(person).equals(replayed.person(person))
    assert then.count() == replayed.count()
    assert then.subjects().tolist() == replayed.subjects().tolist()
    if then.count():
        assert then.observed() == replayed.observed()


def test_the_engine_takes_a_view_in_place_of_the_table() -> None:
    from features.definitions import build_catalogue
    from features.matrix import compute_matrix
    from features.store import build_store
    from training.example import example_events, example_features

    timelines = Timelines.open(tempfile.mkdtemp() + "/timelines", create=True, buckets=2)
    timelines.append(example_events(), label="test")
    first, last = timelines.observed()
    middle = first + (last - first) / 2
    then = AsKnown(timelines, middle)
    replayed = Timelines.open(tempfile.mkdtemp() + "/timelines", create=True, buckets=2)
    kept = [row for row in example_events().to_pylist() if row["recorded_at"] < middle]
    replayed.append(pa.Table.from_pylist(kept, schema=EVENTS), label="test")
    catalogue = build_catalogue(example_features())
    cohort = pa.table(
        {
            "subject_id": timelines.subjects(),
            "prediction_time": pa.array([last] * len(timelines.subjects()), pa.timestamp("us")),
        }
    )
    known = compute_matrix(then, cohort, catalogue)  # type: ignore[arg-type]
    wanted = compute_matrix(replayed, cohort, catalogue)
    np.testing.assert_array_equal(known.values, wanted.values)
    stored = build_store(tempfile.mkdtemp(), then, cohort, catalogue)  # type: ignore[arg-type]
    np.testing.assert_array_equal(stored.matrix.matrix().values, wanted.values)
    now = compute_matrix(timelines, cohort, catalogue)
    assert not np.array_equal(now.values, wanted.values, equal_nan=True)


def test_bad_questions_are_refused() -> None:
    timelines = filled([(0, 0, 3, "A")])
    with pytest.raises(DataError, match="none recorded before"):
        AsKnown(timelines, at(3)).observed()
    with pytest.raises(ConfigurationError, match="no column"):
        AsKnown(timelines, at(9)).read(columns=["place"])
    assert AsKnown(timelines, at(4).replace(tzinfo=UTC)).count() == 1
    fingerprints = {AsKnown(timelines, at(day)).fingerprint(0) for day in (3, 4)}
    assert len(fingerprints) == 2
