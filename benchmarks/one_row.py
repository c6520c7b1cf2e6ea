"""One person's events and row, with nothing imported that the row does not need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.catalogue import Catalogue
from features.definitions import build_catalogue
from features.engine import Engine
from features.events import EVENTS
from features.settings import FeaturesSettings
from features.territory import Territory

__all__ = ["AT", "default_catalogue", "events_of_one", "row_of_one"]

AT = np.array(["2025-12-01"], "datetime64[us]").view(np.int64)


def default_catalogue() -> Catalogue:
    """The catalogue of the demo territory."""
    return build_catalogue(Territory.open("demo").section("features", FeaturesSettings))


def events_of_one(catalogue: Catalogue, events: int = 100, subject: int = 1) -> pa.Table:
    """Four years of one person: any code of the catalogue, any source, some spells and references.

    Denser in different codes than a real person, so more columns have something to compute.
    """
    rng = np.random.default_rng(subject)
    codes = sorted({code for feature in catalogue.features for code in feature.codes})
    start = np.datetime64("2022-01-01", "us")
    at = start + np.sort(rng.integers(0, 4 * 365 * 86_400, events)).astype("timedelta64[s]")
    late = rng.integers(0, 5 * 86_400, events).astype("timedelta64[s]")
    ends = at + rng.integers(30, 300, events).astype("timedelta64[D]")
    sources = sorted(catalogue.service_of) or ["bench"]
    about = rng.integers(0, 30, events).astype(str)
    columns = {
        "subject_id": np.full(events, subject),
        "time": at,
        "code": [codes[place] for place in rng.integers(0, len(codes), events)],
        "numeric_value": (rng.integers(0, 200, events) / 4).astype(np.float32),
        "text_value": pa.nulls(events, pa.large_string()),
        "recorded_at": at + late,
        "end_time": pa.array(ends, mask=rng.random(events) < 0.7),
        "source": [sources[place] for place in rng.integers(0, len(sources), events)],
        "source_code": pa.nulls(events, pa.string()),
        "reference": pa.array(about, mask=rng.random(events) < 0.3),
        "event_id": pa.array([f"{subject:016x}{place:016x}" for place in range(events)]),
    }
    return pa.table({name: pa.array(columns[name]) for name in EVENTS.names}).cast(EVENTS)


def row_of_one(events: str | Path) -> np.ndarray:
    """One row, from nothing: what a new process must do before its first answer.

    Args:
        events: A Parquet file of `events_of_one`; it is read as timelines are.
    """
    catalogue = default_catalogue()
    engine, person = Engine(catalogue), np.array([1])
    prepared = engine.prepare(pq.ParquetFile(events).read(), person)
    return engine.values(prepared, engine.rows(person, AT, person))[0]
