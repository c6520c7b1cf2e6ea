"""Who is at risk as known then, what became of them, and what must not change either."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.events import WITHDRAWN
from features.settings import FeaturesSettings
from training.cohort import build_cohort, open_pathways
from training.settings import TrainingSettings

TASK = TrainingSettings.model_validate(
    {"rupture": {"first_of": ["R1", "R2", "R3", "R4", "R5", "R6", "R7"]}}
)
HORIZON = timedelta(days=90)
UNTIL = datetime(2025, 6, 30, 22)
Rows = list[dict[str, Any]]
Make = Callable[[Any], pa.Table]
D = datetime

OPEN = "ORIENTATION//DECISION//SOCIAL"
SEEN = "CONTACT//APPOINTMENT//SEEN"
MISSED = "CONTACT//APPOINTMENT//NOSHOW"


def cohort_or_none(events: pa.Table, features: FeaturesSettings) -> Any:
    try:
        return build_cohort(events, TASK, features)
    except DataError:
        return None


def at_risk(events: pa.Table, features: FeaturesSettings) -> set[tuple[int, datetime]]:
    found = cohort_or_none(events, features)
    if found is None:
        return set()
    rows = found.table.to_pylist()
    return {(r["subject_id"], r["prediction_time"]) for r in rows}


@settings(max_examples=60)
@given(data=st.data())
def test_row_order_changes_nothing(
    data: st.DataObject,
    histories: st.SearchStrategy[Rows],
    make_events: Make,
    features: FeaturesSettings,
) -> None:
    rows = data.draw(histories)
    assume(rows)
    shuffled = data.draw(st.permutations(rows))
    one = cohort_or_none(make_events(rows), features)
    two = cohort_or_none(make_events(shuffled), features)
    assert (one is None) == (two is None)
    if one is not None:
        assert one.table.equals(two.table)
        assert one.hash == two.hash
        assert one.attrition == two.attrition


@settings(max_examples=60)
@given(data=st.data())
def test_what_is_recorded_later_changes_no_one_at_risk(
    data: st.DataObject,
    histories: st.SearchStrategy[Rows],
    make_events: Make,
    features: FeaturesSettings,
) -> None:
    rows = data.draw(histories)
    assume(rows)
    t = data.draw(st.sampled_from([D(2024, 3, 31, 22), D(2024, 7, 31, 22), D(2025, 1, 31, 23)]))
    known = [row for row in rows if row["recorded_at"] < t]
    before = {key for key in at_risk(make_events(rows), features) if key[1] <= t}
    assert before == {key for key in at_risk(make_events(known), features) if key[1] <= t}
    scored = open_pathways(make_events(rows), t, TASK, features)
    assert {s for s, at in before if at == t} == set(scored["subject_id"].to_pylist())


@settings(max_examples=100)
@given(data=st.data())
def test_a_version_that_another_replaced_counts_no_more(
    data: st.DataObject,
    histories: st.SearchStrategy[Rows],
    make_events: Make,
    features: FeaturesSettings,
) -> None:
    """Who is at risk comes from the newest version known of each event, and from no other."""
    rows = data.draw(histories)
    assume(rows)
    t = data.draw(st.sampled_from([D(2024, 3, 31, 22), D(2024, 7, 31, 22), D(2025, 1, 31, 23)]))
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        if row["recorded_at"] < t:
            newest[row["event_id"]] = row
    alone = [row for row in newest.values() if row["code"] != WITHDRAWN]
    all_versions = open_pathways(make_events(rows), t, TASK, features)
    assert all_versions.equals(open_pathways(make_events(alone), t, TASK, features))


def test_a_corrected_exit_reopens_what_it_had_closed(
    make_events: Make, features: FeaturesSettings
) -> None:
    def event(name: str, code: str, day: datetime, entered: datetime) -> dict[str, Any]:
        return {
            "subject_id": 1,
            "time": day,
            "code": code,
            "text_value": None,
            "recorded_at": entered,
            "end_time": None,
            "source": "social",
            "event_id": name,
        }

    rows = [
        event("a", OPEN, D(2024, 1, 10), D(2024, 1, 11)),
        event("b", "EXIT//PATHWAY//JOB", D(2024, 3, 4), D(2024, 3, 5)),
        event("b", WITHDRAWN, D(2024, 3, 4), D(2024, 4, 10)),
        event("c", SEEN, D(2024, 4, 2), D(2024, 4, 3)),
    ]
    times = {at for _, at in at_risk(make_events(rows), features)}
    assert D(2024, 2, 29, 23) in times
    assert D(2024, 3, 31, 22) not in times
    assert D(2024, 4, 30, 22) in times


@settings(max_examples=60)
@given(data=st.data())
def test_what_happens_after_the_horizon_changes_no_label(
    data: st.DataObject,
    histories: st.SearchStrategy[Rows],
    make_events: Make,
    features: FeaturesSettings,
) -> None:
    rows = data.draw(histories)
    assume(rows)
    t = data.draw(st.sampled_from([D(2024, 3, 31, 22), D(2024, 7, 31, 22), D(2025, 1, 31, 23)]))

    def late(row: dict[str, Any]) -> bool:
        planned = row["code"].endswith("SCHEDULED")
        return bool((row["recorded_at"] if planned else row["time"]) >= t + HORIZON)

    # A version that moves an event past the horizon is news about the past: keep whole events.
    kept = {row["event_id"] for row in rows if late(row)}
    mixed = {row["event_id"] for row in rows if not late(row)} & kept
    assume(not mixed)
    one = cohort_or_none(make_events(rows), features)
    two = cohort_or_none(make_events([row for row in rows if not late(row)]), features)

    def labels(found: Any) -> list[Any]:
        if found is None:
            return []
        table = found.table.filter(pc.less_equal(found.table["prediction_time"], pa.scalar(t)))
        # A contract's planned end is known when it is signed: nothing here is later than that.
        return [(r["subject_id"], r["prediction_time"], r["outcome"]) for r in table.to_pylist()]

    assert labels(one) == labels(two)


@settings(max_examples=60)
@given(data=st.data())
def test_outcomes_and_labels_agree(
    data: st.DataObject,
    histories: st.SearchStrategy[Rows],
    make_events: Make,
    features: FeaturesSettings,
) -> None:
    found = cohort_or_none(make_events(data.draw(histories)), features)
    assume(found is not None)
    for row in found.table.to_pylist():
        expected = {"rupture": 1.0, "no_rupture": 0.0}.get(row["outcome"])
        assert row["label"] == expected
        t = row["prediction_time"]
        if row["outcome"] == "rupture":
            assert t <= row["onset_time"] < t + HORIZON
        else:
            assert row["onset_time"] is None
            assert row["onset_rule"] is None
        assert row["anchor_time"] < t
        past_the_end = t + HORIZON > UNTIL
        assert row["outcome"] == "prior" or (row["outcome"] == "censored") == past_the_end
    assert sum(found.counts().values()) == found.table.num_rows
    left = [step.rows for step in found.attrition]
    assert left == sorted(left, reverse=True)
    counts = found.counts()
    assert found.attrition[-1].rows == counts["rupture"] + counts["no_rupture"]


def pathway(*lines: tuple[str, datetime], recorded: dict[int, datetime] | None = None) -> Rows:
    entered = recorded or {}
    return [
        {"subject_id": 4, "code": code, "time": time, "recorded_at": entered.get(number, time)}
        for number, (code, time) in enumerate(lines)
    ]


def outcomes(events: pa.Table, features: FeaturesSettings) -> dict[str, str]:
    table = build_cohort(events, TrainingSettings(), features).table
    return {
        r["prediction_time"].replace(tzinfo=UTC).date().isoformat(): r["outcome"]
        for r in table.to_pylist()
    }


def test_golden_pathway(make_events: Make, features: FeaturesSettings) -> None:
    """One pathway, every month: safe, broken, back after an appointment, then a job.

    Dates are the UTC days of local midnights: the last day of the month before.
    """
    rows = pathway(
        (OPEN, D(2024, 1, 10, 9)),
        (SEEN, D(2024, 2, 20, 9)),
        (MISSED, D(2024, 5, 2, 9)),
        (MISSED, D(2024, 5, 20, 9)),
        (SEEN, D(2024, 7, 10, 9)),
        (SEEN, D(2024, 9, 20, 9)),
        ("EXIT//PATHWAY//JOB", D(2024, 12, 12, 9)),
    )
    assert outcomes(make_events(rows), features) == {
        "2024-01-31": "no_rupture",
        "2024-02-29": "rupture",
        "2024-03-31": "rupture",
        "2024-04-30": "rupture",
        # In rupture from 20 May to 10 July: no row on 1 June and 1 July.
        "2024-07-31": "no_rupture",
        "2024-08-31": "no_rupture",
        "2024-09-30": "competing",
        "2024-10-31": "competing",
        "2024-11-30": "competing",
    }


def test_an_end_entered_late_is_prior(make_events: Make, features: FeaturesSettings) -> None:
    rows = pathway(
        (OPEN, D(2024, 1, 10)),
        ("EXIT//PATHWAY//JOB", D(2024, 2, 20)),
        recorded={1: D(2024, 4, 15)},
    )
    assert outcomes(make_events(rows), features) == {
        "2024-01-31": "competing",
        "2024-02-29": "prior",
        "2024-03-31": "prior",
    }


def test_rows_past_the_end_of_observation_are_censored(
    make_events: Make, features: FeaturesSettings
) -> None:
    rows = pathway(
        (OPEN, D(2025, 2, 10)), (SEEN, D(2025, 3, 1)), ("EXIT//PATHWAY//DROPPED_OUT", D(2025, 6, 2))
    )
    assert outcomes(make_events(rows), features) == {
        "2025-02-28": "no_rupture",
        "2025-03-31": "rupture",
        "2025-04-30": "censored",
        "2025-05-31": "censored",
    }


ANCHORED = TrainingSettings.model_validate(
    {
        "cohort": {
            "opens": "TRAINING//COURSE//ENROLLED",
            "closes": "TRAINING//COURSE//ABANDONED",
            "schedule": {
                "anchor": "TRAINING//COURSE//STARTED",
                "every_days": 7,
                "from_day": 28,
                "to_day": 42,
            },
        },
        "horizon_days": 28,
        "rupture": {"first_of": ["R5"], "R5": {"course_grace_days": 0}},
        "competing": [],
        "folds": {"kind": "cutoff", "test_from": "2024-06-01"},
    }
)


def test_anchored_schedule(make_events: Make, features: FeaturesSettings) -> None:
    rows = pathway(
        ("TRAINING//COURSE//ENROLLED", D(2024, 2, 1)),
        ("TRAINING//COURSE//STARTED", D(2024, 3, 3, 23)),
        ("TRAINING//COURSE//ABANDONED", D(2024, 4, 10)),
        recorded={1: D(2024, 2, 1)},
    )
    table = build_cohort(make_events(rows), ANCHORED, features).table
    # The course starts on 4 March local: days 28 and 35 are 1 and 8 April; on day 42 it is over.
    assert table["prediction_time"].to_pylist() == [D(2024, 3, 31, 22), D(2024, 4, 7, 22)]
    assert table["outcome"].to_pylist() == ["rupture", "rupture"]
    assert table["anchor_time"].to_pylist() == [D(2024, 3, 3, 23)] * 2
    for day, people in ((date(2024, 3, 31), 0), (date(2024, 4, 5), 1), (date(2024, 4, 20), 0)):
        assert open_pathways(make_events(rows), day, ANCHORED, features).num_rows == people


def test_no_one_at_risk_is_an_error(make_events: Make, features: FeaturesSettings) -> None:
    rows = pathway((SEEN, D(2024, 2, 1)))
    with pytest.raises(DataError, match="no row is left at step 'prediction times'"):
        build_cohort(make_events(rows), TrainingSettings(), features)


def test_open_pathways_may_be_empty(make_events: Make, features: FeaturesSettings) -> None:
    table = open_pathways(make_events([]), date(2024, 5, 1), TrainingSettings(), features)
    assert table.num_rows == 0
    assert table.column_names == ["subject_id", "prediction_time", "anchor_time"]
