"""Nothing of the future moves a feature, whatever is added after, or learned after, the time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.definitions import build_catalogue
from features.events import EVENTS, WITHDRAWN
from features.matrix import Matrix, compute_matrix
from features.vocabulary import Vocabulary
from tests.features.timelines_at_random import five_services

VOCABULARY = Vocabulary.load()
SETTINGS = five_services()
CATALOGUE = build_catalogue(SETTINGS)
AT = datetime(2025, 6, 1, 22)  # 2 June 00:00 in Paris


def event(random: np.random.Generator, name: str, time: Any, recorded: datetime) -> dict[str, Any]:
    return {
        "subject_id": int(random.integers(1, 4)),
        "time": time,
        "code": str(random.choice(USED)),
        "numeric_value": float(random.integers(0, 500)),
        "text_value": str(random.choice(["social", "employment", "06"])),
        "recorded_at": recorded,
        "end_time": recorded + timedelta(days=int(random.integers(-200, 400))),
        "source": str(random.choice(["social", "employment", "housing"])),
        "source_code": None,
        "reference": f"r{random.integers(0, 20)}",
        "event_id": name,
    }


USED = sorted({code for feature in CATALOGUE.features for code in feature.codes})


def past(random: np.random.Generator, count: int) -> list[dict[str, Any]]:
    """Events that happened and were known before the prediction time."""
    lines = []
    for number in range(count):
        recorded = AT - timedelta(minutes=int(random.integers(1, 700_000)))
        time = recorded - timedelta(minutes=int(random.integers(0, 50_000)))
        lines.append(event(random, f"past{number}", time, recorded))
    return lines


def after(random: np.random.Generator, count: int, known: list[dict[str, Any]]) -> list[Any]:
    """Events that happen at or after the time, or are entered then: new ones and corrections."""
    lines = []
    for number in range(count):
        late = AT + timedelta(minutes=int(random.choice([0, 1, 1440, 90_000])))
        early = AT - timedelta(minutes=int(random.integers(1, 700_000)))
        kind = number % 4
        if kind == 0:
            line = event(random, f"later{number}", late, late)
        elif kind == 1:
            line = event(random, f"entered{number}", early, late)
        elif kind == 2:
            line = event(random, f"ahead{number}", late, early)
            while line["code"] in VOCABULARY.planned:
                line["code"] = str(random.choice(USED))
        else:
            old = known[int(random.integers(len(known)))]
            code = WITHDRAWN if number % 8 == 3 else str(random.choice(USED))
            later = late + timedelta(microseconds=number)
            line = old | {"code": code, "recorded_at": later, "numeric_value": 9999.0}
        lines.append(line)
    return lines


def built(lines: list[dict[str, Any]]) -> Matrix:
    cohort = pa.table({"subject_id": [1, 2, 3, 9], "prediction_time": [AT] * 4})
    table = pa.Table.from_pylist(lines, schema=EVENTS)
    return compute_matrix(table, cohort, CATALOGUE)


@pytest.mark.parametrize("seed", range(12))
def test_two_hundred_events_of_the_future_change_no_feature(seed: int) -> None:
    random = np.random.default_rng(seed)
    before = past(random, 300)
    future = after(random, 200, before)
    assert built(before).hash == built(before + future).hash


def test_the_timelines_of_that_property_move_most_features() -> None:
    lines = past(np.random.default_rng(0), 1500)
    own = [i for i, feature in enumerate(CATALOGUE.features) if not feature.among_peers]
    moved = np.nan_to_num(built(lines).values[:3], nan=-1) != np.nan_to_num(
        built(lines).values[3], nan=-1
    )
    assert moved.any(axis=0)[own].mean() > 0.8


@pytest.mark.parametrize("seed", range(6))
def test_what_is_planned_changes_only_the_days_to_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    before = past(random, 300)
    plans = []
    for number in range(200):
        recorded = AT - timedelta(minutes=int(random.integers(1, 90_000)))
        time = AT + timedelta(minutes=int(random.choice([0, 1, 1440, 90_000])))
        code = str(random.choice(sorted(VOCABULARY.planned)))
        plans.append(event(random, f"plan{number}", time, recorded) | {"code": code})
    without, having = built(before), built(before + plans)
    differ = (without.values != having.values) & ~(
        np.isnan(without.values) & np.isnan(having.values)
    )
    changed = {CATALOGUE.features[i].measure for i in np.flatnonzero(differ.any(axis=0))}
    assert changed == {"days_to_next", "ahead"}
    assert np.array_equal(without.last_seen, having.last_seen)


@pytest.mark.parametrize("moment", ["recorded_at", "time"])
def test_the_very_instant_is_the_future(moment: str) -> None:
    line = past(np.random.default_rng(1), 1)[0]
    seen = line | {"subject_id": 1, "code": "CONTACT//APPOINTMENT//SEEN"}
    column = CATALOGUE.names.index("contact.seen.count.all")
    assert built([seen | {moment: AT}]).values[0, column] == 0
    assert built([seen | {moment: AT - timedelta(microseconds=1)}]).values[0, column] == 1
