"""(f) One person of 100 events through the default catalogue, and (g) a process's first row."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.figures import timed
from benchmarks.shown import Shown, verdict
from features.catalogue import Catalogue
from features.definitions import build_catalogue
from features.engine import Engine
from features.events import EVENTS
from features.settings import FeaturesSettings
from features.territory import Territory

__all__ = ["default_catalogue", "events_of_one", "first_row", "row_of_one", "run", "run_start"]

TURNS = 2_000
AT = np.array([pd.Timestamp("2025-12-01").value // 1000])


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
        "code": np.array(codes, object)[rng.integers(0, len(codes), events)],
        "numeric_value": (rng.integers(0, 200, events) / 4).astype(np.float32),
        "text_value": pa.nulls(events, pa.large_string()),
        "recorded_at": at + late,
        "end_time": pa.array(ends, mask=rng.random(events) < 0.7),
        "source": np.array(sources, object)[rng.integers(0, len(sources), events)],
        "source_code": pa.nulls(events, pa.string()),
        "reference": pa.array(about, mask=rng.random(events) < 0.3),
        "event_id": pa.array([f"{subject:016x}{place:016x}" for place in range(events)]),
    }
    return pa.table({name: pa.array(columns[name]) for name in EVENTS.names}).cast(EVENTS)


def row_of_one() -> np.ndarray:
    """One row, from nothing: what a new process must do before its first answer."""
    catalogue = default_catalogue()
    engine, person = Engine(catalogue), np.array([1])
    prepared = engine.prepare(events_of_one(catalogue), person)
    return engine.values(prepared, engine.rows(person, AT, person))[0]


def run() -> Iterator[Shown]:
    """Microseconds of one row, from arrays in memory and from an Arrow table."""
    catalogue, person = default_catalogue(), np.array([1])
    engine, table = Engine(catalogue), events_of_one(catalogue)
    prepared = engine.prepare(table, person)
    rows = engine.rows(person, AT, person)
    values = np.empty((1, len(catalogue)), np.float32)
    last_seen = np.empty((1, engine.groups), np.int32)

    def kernel() -> None:
        for _ in range(TURNS):
            engine.write(prepared, rows, values, last_seen, threads=1)

    def from_time() -> None:
        for _ in range(TURNS):
            now = engine.rows(person, AT, person)
            engine.write(prepared, now, values, last_seen, threads=1)

    def from_table() -> None:
        for _ in range(TURNS // 10):
            ready = engine.prepare(table, person)
            engine.write(ready, engine.rows(person, AT, person), values, last_seen, threads=1)

    _, whole = timed(kernel)
    among = _among_others(engine, table)
    if not np.array_equal(values[0].view(np.int32), among.view(np.int32)):
        raise AssertionError("one person alone and among others differ")
    seconds = whole / TURNS
    note = f"{len(catalogue)} columns; " + verdict("under 100 µs", seconds < 100e-6)
    yield Shown("f", "one person, 100 events: arrays to row", 0, seconds, 1.0, note)
    _, more = timed(from_time)
    yield Shown("f", "  with the windows of a new date", 0, more / TURNS, more / whole)
    _, most = timed(from_table)
    seconds = most / (TURNS // 10)
    yield Shown("f", "  from an Arrow table, any order", 0, seconds, seconds * TURNS / whole)


def _among_others(engine: Engine, table: pa.Table) -> np.ndarray:
    people = np.arange(50)
    others = [events_of_one(engine.catalogue, subject=int(p)) for p in people if p != 1]
    prepared = engine.prepare(pa.concat_tables([table, *others]), people)
    rows = engine.rows(people, np.repeat(AT, len(people)), people)
    return engine.values(prepared, rows)[0][1]


def first_row() -> float:
    """Wall seconds from starting a process until it says that it has a row."""
    words = "from benchmarks.one_person import row_of_one; print(row_of_one().shape, flush=True)"
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        said = one.stdout.readline()
        seconds = time.perf_counter() - started
    if one.returncode or not said.startswith("(1,"):
        raise AssertionError(f"the process ended with {one.returncode}")
    return seconds


def run_start() -> Iterator[Shown]:
    """Wall time of a new process until its first row; kernels are in the cache by the warm-up."""
    first_row()
    seconds = sorted(first_row() for _ in range(3))[1]
    note = "catalogue read, kernels loaded; " + verdict("under 2 s", seconds < 2)
    yield Shown("g", "process start to first row, default catalogue", 0, seconds, None, note)
