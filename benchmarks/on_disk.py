"""(b) to (d): timelines on disk to a matrix on disk, each build in a process of its own."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.kept import child, demo_home, job_timelines
from benchmarks.shown import Shown, verdict

__all__ = ["run_demo", "run_dense", "run_sparse"]

SIZES = (2_000, 20_000, 200_000)
SPARSE_CODES = 20_000
DEMO = 20_000


def run_dense(sizes: tuple[int, ...] = SIZES) -> Iterator[Shown]:
    """The job of 40 codes at three sizes; ratio = seconds over those of the first."""
    medians: list[float] = []
    for people in sizes:
        found = _runs("dense", job_timelines(people), people)
        medians.append(found["seconds"])
        note = _disk(found)
        if people == sizes[-1]:
            exponent = _exponent(sizes, medians)
            step = _exponent(sizes[-2:], medians[-2:])
            aims = (
                verdict("under 15 s", found["seconds"] < 15),
                verdict("under 2.5 GB", found["peak"] < 2.5e9),
                verdict(f"exponent {exponent:.2f}, at most 1.05", exponent <= 1.05),
                f"last step alone {step:.2f}",
            )
            note = "; ".join((note, *aims))
        who = f"{people:,} people, disk to disk, {found['columns']} columns"
        yield Shown("b", who, found["rows"], found["seconds"], medians[-1] / medians[0], note)


def run_sparse(people: int = SIZES[-1]) -> Iterator[Shown]:
    """The job of 20,000 codes, written as compressed sparse rows."""
    found = _runs("sparse", job_timelines(people, SPARSE_CODES), people)
    note = f"{_disk(found)}, {found['values']:,} values; " + verdict(
        "under 30 s", found["seconds"] < 30
    )
    who = f"{people:,} people, 20,000 codes, {found['columns']:,} sparse columns"
    yield Shown("c", who, found["rows"], found["seconds"], None, note)


def run_demo(people: int = DEMO) -> Iterator[Shown]:
    """The default catalogue on the demo territory, everyone at 36 months."""
    found = _runs("demo", demo_home(people))
    note = f"{_disk(found)}; " + verdict("under 30 s", found["seconds"] < 30)
    who = f"demo territory, 36 months, default catalogue, {found['columns']} columns"
    yield Shown("d", who, found["rows"], found["seconds"], None, note)


def _exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """How time grows with size: the slope of the fitted line, both in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _runs(*words: object, runs: int = 3) -> dict[str, Any]:
    """The last of several runs, checked, with the median of the seconds and the highest peak."""
    found = [child(*words, int(run == runs - 1)) for run in range(runs)]
    return found[-1] | {
        "seconds": statistics.median(one["seconds"] for one in found),
        "peak": max(one["peak"] for one in found),
    }


def _disk(found: dict[str, Any]) -> str:
    return f"peak {found['peak'] / 1e9:.2f} GB, {found['bytes'] / 1e9:.2f} GB written"
