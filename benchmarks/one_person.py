"""(f) One person of 100 events through the default catalogue, and (g) a process's first row."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figures import timed
from benchmarks.one_row import AT, default_catalogue, events_of_one
from benchmarks.shown import Shown, verdict
from features.engine import Engine

__all__ = ["first_row", "run", "run_start"]

TURNS = 2_000


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


def first_row(events: Path) -> float:
    """Wall seconds from starting a process until it says that it has a row of some events."""
    words = (
        "from benchmarks.one_row import row_of_one\n"
        f"print(row_of_one({str(events)!r}).shape, flush=True)"
    )
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
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.parquet"
        pq.write_table(events_of_one(default_catalogue()), events)
        first_row(events)
        seconds = sorted(first_row(events) for _ in range(5))[2]
    note = "catalogue and events read, kernels loaded; " + verdict("under 2 s", seconds < 2)
    yield Shown("g", "process start to first row, default catalogue", 0, seconds, None, note)
