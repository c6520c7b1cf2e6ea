"""The events behind a value: what they give by hand is what the engine gives."""

from __future__ import annotations

import math
import statistics
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue import Catalogue
from features.definitions import build_catalogue
from features.events import EVENTS
from features.known_events import Known
from features.lineage import Lineage, behind, explain
from features.local_days import DAY, zone
from features.matrix import compute_matrix
from features.measures import MEASURES, PEER_OPS
from tests.features.timelines_at_random import (
    TIMES,
    ZONE,
    events,
    every_measure,
    every_option,
    five_services,
)

EVERY = every_measure()
OPTIONS = every_option()


def day(instant: datetime | None) -> int:
    assert instant is not None
    micros = (instant - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    where = zone(ZONE)
    return int(where.to_local(np.array([micros], np.int64))[0] // DAY)


def recomputed(found: Lineage) -> float | None:
    """The value that the listed events give by hand; None for a measure not tried here."""
    name = found.feature.measure
    mine = found.counted()
    values = [float(one.value) for one in mine if one.value is not None]
    days = [day(one.time) for one in mine] if name not in _STATIC_TOO else []
    today = day(found.at)
    match name:
        case "count" | "unanswered" | "open_spells" | "sequences" | "streak" | "ahead":
            return len(mine)
        case "any":
            return float(bool(mine))
        case "sum":
            return math.fsum(values)
        case "mean":
            return statistics.fmean(values) if values else math.nan
        case "min":
            return min(values, default=math.nan)
        case "max":
            return max(values, default=math.nan)
        case "last":
            return values[-1] if values else math.nan
        case "days_since_last":
            return today - max(days) if days else math.nan
        case "days_since_first" | "tenure" | "days_unanswered" | "open_spell_age":
            return today - min(days) if days else math.nan
        case "days_to_next":
            return min(days) - today if days else math.nan
        case "active_days":
            return len(set(days))
        case "distinct_codes":
            return len({one.code for one in mine})
        case "distinct_references":
            return len({one.reference for one in mine})
        case "active_services":
            return len({one.service for one in mine})
        case "trend":
            return len(mine) - len(found.counted("before"))
        case "share":
            inside = [one for one in mine if one.code in found.feature.among]
            whole = len(inside) + len(found.counted("among"))
            return len(mine) / whole if whole else math.nan
    return None


_STATIC_TOO = (
    *("count", "any", "sum", "mean", "min", "max", "last", "share", "std"),
    *("active_services", "distinct_codes", "distinct_references", "dominant_share"),
)
TRIED = tuple(
    feature
    for feature in (*EVERY.features, *OPTIONS.features)
    if recomputed(Lineage(feature, TIMES[0], 0.0, None, ())) is not None
)


def same(first: float, second: float) -> bool:
    both = math.isnan(first) and math.isnan(second)
    return both or math.isclose(first, second, rel_tol=1e-6, abs_tol=1e-6)


CATALOGUE_TRIED = Catalogue(tuple(dict.fromkeys(TRIED)), ZONE, EVERY.service_of)


@given(rows=events(), t=st.sampled_from(TIMES))
@settings(max_examples=80, deadline=None)
def test_the_events_listed_give_the_value(rows: list[dict[str, Any]], t: datetime) -> None:
    table = pa.Table.from_pylist(rows, schema=EVENTS)
    cohort = pa.table(
        {
            "subject_id": pa.array([1, 2], pa.int64()),
            "prediction_time": pa.array([t, t], pa.timestamp("us")),
        }
    )
    values = compute_matrix(table, cohort, CATALOGUE_TRIED).values
    for row, subject in enumerate((1, 2)):
        known = Known.of(table, subject, t, CATALOGUE_TRIED)
        for column, feature in enumerate(CATALOGUE_TRIED.features):
            value = float(values[row, column])
            found = Lineage(feature, t, value, None, tuple(behind(known, feature)))
            by_hand = recomputed(found)
            if feature.period == "since" and not found.counted("anchor"):
                by_hand = math.nan
            assert by_hand is not None
            assert same(by_hand, value), (feature, by_hand, found)


def test_nearly_every_measure_is_tried() -> None:
    tried = {feature.measure for feature in TRIED}
    assert len(tried) >= 24
    assert tried >= {
        *("count", "any", "sum", "mean", "min", "max", "last", "days_since_last"),
        *("days_since_first", "distinct_codes", "distinct_references", "active_days"),
    }


@given(rows=events(subjects=1), t=st.sampled_from(TIMES))
@settings(max_examples=25, deadline=None)
def test_nothing_listed_was_unknown_at_the_time(rows: list[dict[str, Any]], t: datetime) -> None:
    """Whatever the measure: recorded before, and happened before unless it is looked for ahead."""
    known = Known.of(pa.Table.from_pylist(rows, schema=EVENTS), 1, t, EVERY)
    for feature in (*EVERY.features, *OPTIONS.features):
        for trace in behind(known, feature):
            assert trace.recorded_at < t
            ahead = "planned" in MEASURES[feature.measure].needs
            assert trace.time is None or (trace.time < t) != ahead


def event(code: str, time: datetime, **more: Any) -> dict[str, Any]:
    event_id = f"{code} {time}"
    known = {"subject_id": 7, "code": code, "time": time, "recorded_at": time, "source": "social"}
    return known | {"event_id": event_id} | more


def at(month: int, day_: int) -> datetime:
    return datetime(2025, month, day_, 9)


CATALOGUE = build_catalogue(five_services())


def told(name: str, rows: list[dict[str, Any]], t: datetime) -> tuple[Lineage, list[Any]]:
    table = pa.Table.from_pylist(rows, schema=EVENTS)
    found = explain(table, 7, t, CATALOGUE.feature(name), CATALOGUE)
    traces = [(one.role, one.counts, one.time) for one in found.traces]
    return found, traces


def test_an_unanswered_need_is_told_from_one_that_was_answered() -> None:
    rows = [
        event("NEED//MOBILITY//RAISED", at(1, 2), reference="n1"),
        event("NEED//HOUSING//RAISED", at(1, 9), reference="n2"),
        event("NEED//HOUSING//ANSWERED", at(2, 1), reference="n2"),
        event("NEED//HOUSING//CLOSED", at(5, 1), reference="n2"),
    ]
    found, traces = told("needs.unanswered.unanswered.all", rows, at(3, 1))
    assert found.value == 1
    assert traces == [
        ("measured", True, at(1, 2)),
        ("measured", False, at(1, 9)),
        ("answers", True, at(2, 1)),
    ]


def test_a_contract_still_open_a_housing_debt_and_what_closed_another() -> None:
    rows = [
        event("CONTRACT//CER//SIGNED", at(1, 2), reference="c1", end_time=at(12, 1)),
        event("CONTRACT//CER//SIGNED", at(1, 5), reference="c2"),
        event("CONTRACT//CER//CANCELLED", at(2, 5), reference="c2"),
        event("HOUSING//ARREARS//OPENED", at(2, 20), reference="d1", numeric_value=400.0),
    ]
    found, traces = told("contract.valid.open_spells.all", rows, at(3, 1))
    assert found.value == 1
    assert ("measured", False, at(1, 5)) in traces
    assert ("closes", True, at(2, 5)) in traces
    both, traces = told("services.contract_and_arrears.overlap.all", rows, at(3, 1))
    assert both.value == 9
    assert ("alongside", True, at(2, 20)) in traces


def test_a_window_since_begins_at_its_anchor_and_a_referral_is_followed() -> None:
    rows = [
        event("CONTACT//APPOINTMENT//SEEN", at(1, 2)),
        event("ORIENTATION//DECISION//PRO", at(1, 20)),
        event("CONTACT//APPOINTMENT//SEEN", at(2, 2)),
        event("ORIENTATION//REFERRAL//ACCEPTED", at(1, 25)),
    ]
    since, traces = told("contact.seen.count.since", rows, at(3, 1))
    assert since.value == 1
    assert traces == [("anchor", True, at(1, 20)), ("measured", True, at(2, 2))]
    kept, traces = told("services.handover_kept.sequences.all", rows, at(3, 1))
    assert kept.value == 1
    assert traces == [("measured", True, at(1, 25)), ("follows", True, at(2, 2))]


def test_a_correction_known_later_changes_nothing_before() -> None:
    first = event("CONTACT//APPOINTMENT//UNKNOWN", at(2, 3))
    rows = [first, first | {"code": "CONTACT//APPOINTMENT//NOSHOW", "recorded_at": at(2, 20)}]
    assert told("contact.noshow.count.90d", rows, at(2, 20))[1] == []
    assert told("contact.noshow.count.90d", rows, at(2, 21))[0].value == 1


def test_a_rank_alone_is_not_known_but_what_it_compares_is() -> None:
    rows = [
        event("CONTACT//APPOINTMENT//SEEN", at(1, 2)),
        event("CONTACT//APPOINTMENT//NOSHOW", at(2, 3)),
    ]
    name = "peers.noshow.rank.contact.noshow.count.90d"
    found, traces = told(name, rows, at(3, 1))
    assert math.isnan(found.value)
    assert found.alone
    assert found.compared is not None
    assert (found.compared[0].name, found.compared[1]) == ("contact.noshow.count.90d", 1.0)
    assert traces == [("peers", True, at(1, 2)), ("measured", True, at(2, 3))]


def test_with_the_groups_of_a_matrix_the_rank_is_the_matrix_s() -> None:
    people = range(1, 41)
    seen = event("CONTACT//APPOINTMENT//SEEN", at(1, 2))
    missed = event("CONTACT//APPOINTMENT//NOSHOW", at(2, 3))
    rows = [seen | {"subject_id": n, "event_id": f"s{n}"} for n in people]
    rows += [
        missed | {"subject_id": n, "event_id": f"m{n} {k}", "time": at(2, 3 + k)}
        for n in people
        for k in range(n % 4)
    ]
    table = pa.Table.from_pylist(rows, schema=EVENTS)
    names = ["contact.noshow.count.90d"]
    names += [f.name for f in CATALOGUE.features if f.group == "peers.noshow"]
    catalogue = CATALOGUE.only(names)
    cohort = pa.table(
        {
            "subject_id": pa.array(people, pa.int64()),
            "prediction_time": pa.array([at(3, 1)] * len(people), pa.timestamp("us")),
        }
    )
    matrix = compute_matrix(table, cohort, catalogue)
    rank = catalogue.feature("peers.noshow.rank.contact.noshow.count.90d")
    place = catalogue.places[rank.name]
    for row in (0, 1, 2, 3):
        one = table.filter(pc.equal(table["subject_id"], row + 1))
        found = explain(one, row + 1, at(3, 1), rank, catalogue, peers=matrix.peers)
        assert found.value == matrix.values[row, place]
        assert not found.alone


@pytest.mark.parametrize("name", [f.name for f in CATALOGUE.features][::9])
def test_any_default_feature_can_be_explained_of_somebody_without_events(name: str) -> None:
    found, traces = told(name, [], at(3, 1))
    assert traces == []
    if MEASURES[found.feature.measure].op in PEER_OPS or found.feature.period == "since":
        assert math.isnan(found.value)
