"""One build in a process of its own, so that its peak memory is its own.

`python -m benchmarks.alone dense TIMELINES PEOPLE CHECKED`, `sparse` likewise, or `demo HOME`.
Kernels are loaded first, on a few people; the clock runs from opening the timelines to the last
byte of the matrix. One JSON object: seconds, peak memory in bytes at the end of the build, rows,
columns, bytes on disk. The check against the reference comes after both were taken.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.jalon_side import densified, job_catalogue
from benchmarks.job import make_cohort, make_events
from benchmarks.kept import SLICE
from benchmarks.reference import answer, check
from features.catalogue import Catalogue
from features.definitions import build_catalogue
from features.matrix import compute_matrix
from features.settings import FeaturesSettings
from features.sparse import build_sparse
from features.store import build_store
from features.territory import Territory
from features.timelines import Timelines

MONTHS = 36
SPARSE_CODES = 20_000


def main(kind: str, *words: str) -> None:
    """Measure, check, and print."""
    jobs = {"dense": _dense, "sparse": _sparse, "demo": _demo}
    with tempfile.TemporaryDirectory(dir=_near()) as folder:
        said = jobs[kind](Path(folder), *words)
    sys.stdout.write(json.dumps(said) + "\n")


def _near() -> Path:
    """The matrix goes to the disk that the timelines are on."""
    from benchmarks.kept import FOLDER

    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER


def _measured(started: float, folder: Path, rows: int, columns: int) -> dict[str, Any]:
    seconds = time.perf_counter() - started
    peak = _peak()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"seconds": seconds, "peak": peak, "rows": rows, "columns": columns, "bytes": size}


def _peak() -> int:
    """Most memory this process has held, in bytes.

    Linux hands the peak of the starting process on to `ru_maxrss`; VmHWM begins with this program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _dense(folder: Path, timelines: str, people: str, checked: str) -> dict[str, Any]:
    catalogue, cohort = job_catalogue(), make_cohort(int(people))
    compute_matrix(make_events(5), make_cohort(5), catalogue)
    started = time.perf_counter()
    built = build_store(
        folder / "store", Timelines.open(timelines), cohort, catalogue, last_seen=False
    )
    said = _measured(started, folder, cohort.num_rows, len(catalogue))
    if int(checked):
        some = min(int(people), SLICE)
        wanted = answer(make_events(some), make_cohort(some))
        got = np.full_like(wanted, np.nan)
        for rows, block in built.matrix.blocks():
            places = built.matrix.places[rows]
            mine = places < len(wanted)
            got[places[mine]] = block[mine]
        check(f"Jalon on disk, {people} people", got, wanted)
    return said


def _sparse(folder: Path, timelines: str, people: str, checked: str) -> dict[str, Any]:
    catalogue, cohort = job_catalogue(SPARSE_CODES), make_cohort(int(people))
    build_sparse(folder / "warm", make_events(5, SPARSE_CODES), make_cohort(5), catalogue)
    started = time.perf_counter()
    matrix = build_sparse(folder / "sparse", Timelines.open(timelines), cohort, catalogue)
    said = _measured(started, folder / "sparse", cohort.num_rows, len(catalogue))
    said["values"] = matrix.values
    if int(checked):
        some = 100
        events = make_events(min(int(people), SLICE), SPARSE_CODES)
        few = events.slice(0, 100 * some)
        small = make_cohort(some)
        got = densified(matrix, small.num_rows)
        check("Jalon, sparse", got, answer(few, small, SPARSE_CODES))
    return said


def _demo(folder: Path, home: str, checked: str) -> dict[str, Any]:
    territory = Territory.open("demo", home=home)
    catalogue = build_catalogue(territory.section("features", FeaturesSettings))
    people = Timelines.open(Path(home) / "timelines").subjects()
    dates = pd.date_range(end="2025-12-01", periods=MONTHS, freq="MS", unit="us").to_numpy()
    keys = {
        "subject_id": np.repeat(people, MONTHS),
        "prediction_time": pa.array(np.tile(dates, len(people))),
    }
    cohort = pa.table(keys)
    _warm(catalogue)
    started = time.perf_counter()
    timelines = Timelines.open(Path(home) / "timelines")
    built = build_store(folder / "store", timelines, cohort, catalogue)
    said = _measured(started, folder, cohort.num_rows, len(catalogue))
    if int(checked):
        own = Catalogue(
            tuple(f for f in catalogue.features if not f.among_peers),
            catalogue.timezone,
            catalogue.service_of,
        )
        columns = [catalogue.places[name] for name in own.names]
        some = cohort.slice(0, 50 * MONTHS)
        wanted = compute_matrix(timelines.read(people[:50]), some, own).values
        got = np.empty_like(wanted)
        for rows, block in built.matrix.blocks():
            places = built.matrix.places[rows]
            mine = places < len(wanted)
            got[places[mine]] = block[mine][:, columns]
        differ = int((got.view(np.int32) != wanted.view(np.int32)).sum())
        if differ:
            raise AssertionError(f"default catalogue: {differ} cells differ from 50 people alone")
    return said


def _warm(catalogue: Catalogue) -> None:
    from benchmarks.one_row import events_of_one

    one = pa.table({"subject_id": [1], "prediction_time": [pd.Timestamp("2025-12-01")]})
    compute_matrix(events_of_one(catalogue), one, catalogue)


if __name__ == "__main__":
    main(*sys.argv[1:])
