"""The compiled kernels give what the slow reference gives, on any timeline."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import EVENTS
from features.matrix import Matrix, build_matrix
from features.settings import FeaturesSettings, Source
from tests.features import reference
from tests.features.timelines_at_random import SERVICES, TIMES, ZONE, events, every_measure

CATALOGUE = every_measure()
SETTINGS = FeaturesSettings.model_construct(
    timezone=ZONE,
    sources={name: Source.model_construct(service=of) for name, of in SERVICES.items()},
)


def built(lines: list[dict[str, Any]], rows: list[tuple[int, datetime]]) -> Matrix:
    cohort = pa.table(
        {
            "subject_id": pa.array([subject for subject, _ in rows], pa.int64()),
            "prediction_time": pa.array([t for _, t in rows], pa.timestamp("us")),
        }
    )
    table = pa.Table.from_pylist(lines, schema=EVENTS)
    return build_matrix(table, cohort, CATALOGUE, settings=SETTINGS)


def expected(lines: list[dict[str, Any]], subject: int, t: datetime) -> np.ndarray:
    def service_of(source: str) -> str:
        return SERVICES.get(source, source)

    named = {*SERVICES.values(), *(service_of(e["source"]) for e in lines)}
    row = reference.Row(lines, subject, t, ZONE, service_of, named)
    return np.array([reference.value(row, f) for f in CATALOGUE.features], np.float32)


@settings(max_examples=300, deadline=None)
@given(events(), st.lists(st.sampled_from(TIMES), min_size=1, max_size=3))
def test_every_measure_equals_the_reference(
    lines: list[dict[str, Any]], times: list[datetime]
) -> None:
    rows = [(subject, t) for t in times for subject in (2, 1)]
    matrix = built(lines, rows)
    for (subject, t), values in zip(rows, matrix.values, strict=True):
        slow = expected(lines, subject, t)
        same = np.isclose(values, slow, rtol=0, atol=1e-7, equal_nan=True)
        assert not [
            (CATALOGUE.names[i], float(values[i]), float(slow[i])) for i in np.flatnonzero(~same)
        ]


@settings(max_examples=60, deadline=None)
@given(events(), st.randoms(use_true_random=False))
def test_the_order_of_events_changes_nothing(lines: list[dict[str, Any]], random: Any) -> None:
    rows = [(subject, t) for t in TIMES for subject in (1, 2)]
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert built(lines, rows).hash == built(shuffled, rows).hash


def test_every_measure_is_in_the_property() -> None:
    from features.measures import MEASURES

    assert {feature.measure for feature in CATALOGUE.features} == set(MEASURES)


def test_one_person_with_a_hundred_thousand_events_is_linear() -> None:
    count = 100_000
    lines = pa.table(
        {
            "subject_id": np.ones(count, np.int64),
            "time": np.arange(count).astype("datetime64[s]").astype("datetime64[us]"),
            "code": np.array(["A", "B", "C"])[np.arange(count) % 3],
            "numeric_value": np.ones(count, np.float32),
            "text_value": pa.nulls(count, pa.large_string()),
            "recorded_at": np.arange(count).astype("datetime64[s]").astype("datetime64[us]"),
            "end_time": pa.nulls(count, pa.timestamp("us")),
            "source": ["s1"] * count,
            "reference": [f"r{i // 3}" for i in range(count)],
            "event_id": [f"e{i}" for i in range(count)],
        }
    )
    cohort = pa.table({"subject_id": [1], "prediction_time": [datetime(2025, 1, 1)]})
    matrix = build_matrix(lines, cohort, CATALOGUE, settings=SETTINGS)
    assert matrix.frame().filter(like="g.count.None").iloc[0, 0] == count // 3 + 1


@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Apia"])
def test_other_zones_have_their_own_days(zone: str) -> None:
    at = datetime(2025, 4, 5, 12)
    line = {"subject_id": 1, "code": "A", "source": "s1", "recorded_at": datetime(2025, 1, 1)}
    lines = [
        {**dict.fromkeys(EVENTS.names), **line, "event_id": f"e{i}", "time": time}
        for i, time in enumerate([datetime(2025, 3, 9, 2), datetime(2025, 3, 9, 12)])
    ]
    cohort = pa.table({"subject_id": [1], "prediction_time": [at]})
    table = pa.Table.from_pylist(lines, schema=EVENTS)
    there = SETTINGS.model_copy(update={"timezone": zone})
    matrix = build_matrix(table, cohort, CATALOGUE, settings=there)
    row = reference.Row(lines, 1, at, zone, lambda s: SERVICES.get(s, s), set())
    slow = np.array([reference.value(row, f) for f in CATALOGUE.features], np.float32)
    np.testing.assert_allclose(matrix.values[0], slow, atol=1e-7)


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
