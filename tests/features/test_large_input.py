"""A million events of one person and a hundred thousand codes: right, in bounded memory and time.

The computation runs in a process of its own, so that its peak of memory is its own, too. What the
columns must be is worked out with NumPy, from the same events.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from features.catalogue import Catalogue, Feature
from features.definitions import build_catalogue
from features.matrix import compute_matrix
from tests.features.timelines_at_random import five_services

pytestmark = pytest.mark.once

DAY = np.timedelta64(1, "D")
NEVER = np.datetime64("2262-01-01", "us")
BURST = np.datetime64("2024-03-01", "us")
"""A day with a fifth of the person's events, all corrected some months later."""
TIMES = np.array(["2024-02-15", "2024-03-02", "2024-07-01", "2024-10-01T12:30"], "datetime64[us]")
ALONE, BESIDE, PEOPLE, CODES = 1_000_000, 100_000, 60, 100_000
SOURCES = ("social", "employment", "health", "housing", "training")
MOST = 1_000
"""Megabytes that computing may take above the events themselves; measured: about 630."""
EVERY = tuple(f"BIG//K{code // 1_000:02d}//C{code:05d}" for code in range(CODES))
CHECKED = ("count", "any", "sum", "days_since_last", "days_since_first", "distinct_codes", "max")

Column = npt.NDArray[np.generic]


def catalogue() -> Catalogue:
    """The default catalogue, and columns of all codes, of a thousand each and of single ones."""

    def one(group: str, measure: str, days: int | None, codes: tuple[str, ...]) -> Feature:
        name = f"{group}.{measure}.{days}"
        return Feature(name, group, measure, days, "t", {"fr": "a", "en": "a"}, "count", codes)

    default = build_catalogue(five_services())
    found = [one("every", measure, 90, EVERY) for measure in CHECKED]
    found += [one("every", measure, None, EVERY) for measure in ("count", "days_since_last")]
    found.append(replace(one("part", "streak", None, EVERY[:50_000]), among=EVERY))
    for first in range(0, CODES, 20_000):
        some = EVERY[first : first + 1_000]
        for measure in CHECKED[:-1]:
            found += [one(f"k{first}", measure, days, some) for days in (30, 180)]
        for measure in ("count", "days_since_last", "days_since_first"):
            single = (EVERY[first + 7],)
            found += [one(f"c{first}", measure, days, single) for days in (90, 365)]
    return Catalogue((*default.features, *found), "UTC", default.service_of)


def columns(codes: int) -> dict[str, Column]:
    """Events as arrays; the first million is one person's. A fifth of them is one day's."""
    random = np.random.default_rng(11)
    count = ALONE + BESIDE
    seconds = random.integers(0, 3 * 365 * 86_400, count)
    time = np.datetime64("2022-01-01", "us") + seconds.astype("timedelta64[s]")
    burst = np.arange(count) < ALONE // 5
    time[burst] = BURST + random.integers(0, 86_400, burst.sum()).astype("timedelta64[s]")
    late = random.integers(0, 20, count) * (random.random(count) < 0.3)
    recorded = time + late.astype("timedelta64[D]") + np.timedelta64(1, "h")
    replaced = np.where(random.random(count) < 0.1, recorded + 40 * DAY, NEVER)
    replaced[burst] = recorded[burst] + 60 * DAY
    # The codes of that day are of no other: when they go, nothing of theirs is left to be found.
    code = random.integers(1_000, CODES, count)
    code[burst] = random.integers(0, 1_000, burst.sum())
    usual = ~burst & (random.random(count) < 0.1)
    code[usual] = random.integers(CODES, codes, usual.sum())
    return {
        "subject_id": np.append(np.ones(ALONE, int), random.integers(2, PEOPLE + 2, BESIDE)),
        "code": code.astype(np.int32),
        "time": time,
        "recorded_at": recorded,
        "superseded_at": replaced,
        "numeric_value": random.integers(0, 99, count).astype(np.float32),
        "source": random.integers(0, len(SOURCES), count).astype(np.int32),
    }


def spelled(asked: Catalogue) -> list[str]:
    """All codes that events have: those of the catalogue, the hundred thousand first."""
    return list(dict.fromkeys([*EVERY, *(code for one in asked.features for code in one.codes)]))


def compute(path: str) -> None:
    """Compute all rows; write them, and the megabytes that computing took."""
    asked = catalogue()
    codes = spelled(asked)
    arrays = columns(len(codes))
    table = {name: pa.array(column) for name, column in arrays.items()}
    table["code"] = pa.DictionaryArray.from_arrays(arrays["code"], codes)
    table["source"] = pa.DictionaryArray.from_arrays(arrays["source"], list(SOURCES))
    for name, kind in (("end_time", pa.timestamp("us")), ("text_value", pa.large_string())):
        table[name] = pa.nulls(ALONE + BESIDE, kind)
    references = [f"r{number}" for number in range(50_000)]
    about = np.arange(ALONE + BESIDE, dtype=np.int32) % len(references)
    table["reference"] = pa.DictionaryArray.from_arrays(about, references)
    subjects = np.repeat(np.arange(1, PEOPLE + 2), len(TIMES))
    cohort = {"subject_id": subjects, "prediction_time": np.tile(TIMES, PEOPLE + 1)}
    # What compiling takes is no matter of size.
    compute_matrix(pa.table(table).slice(ALONE, 10), pa.table(cohort).slice(0, 1), few(asked))
    before = megabytes("VmRSS")
    matrix = compute_matrix(pa.table(table), pa.table(cohort), asked)
    np.savez(path, values=matrix.values, most=megabytes("VmHWM") - before)


def few(asked: Catalogue) -> Catalogue:
    """The columns that do not look at the hundred thousand codes."""
    return asked.only(one.name for one in asked.features if one.theme != "t")


def megabytes(which: str) -> int:
    """Memory of this process: `VmRSS` is now, `VmHWM` the most there was."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(which))


def expected(
    one: Feature, t: np.datetime64, known: dict[str, Column], number: dict[str, int]
) -> float:
    """A column for the known events of one person, with NumPy."""
    inside = np.zeros(len(number), bool)
    inside[[number[code] for code in one.codes]] = True
    wanted = inside[known["code"]]
    if one.window_days is not None:
        wanted &= known["time"] >= t - one.window_days * DAY
    time, value = known["time"][wanted], known["numeric_value"][wanted]
    if one.measure == "count":
        return len(time)
    if one.measure == "any":
        return len(time) > 0
    if one.measure == "sum":
        return value.sum(dtype=np.float64)
    if one.measure == "distinct_codes":
        return len(np.unique(known["code"][wanted]))
    if not len(time):
        return np.nan
    if one.measure == "max":
        return value.max()
    day = time.max() if one.measure == "days_since_last" else time.min()
    return (t.astype("datetime64[D]") - day.astype("datetime64[D]")).astype(int)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read memory from")
def test_a_million_events_of_a_hundred_thousand_codes(tmp_path: Path) -> None:
    program = f"from {__name__} import compute; compute({str(tmp_path / 'rows.npz')!r})"
    subprocess.run([sys.executable, "-c", program], check=True)
    with np.load(tmp_path / "rows.npz") as found:
        values, most = found["values"], int(found["most"])
    assert most < MOST
    asked = catalogue()
    codes = spelled(asked)
    arrays = columns(len(codes))
    checked = [
        place
        for place, one in enumerate(asked.features)
        if one.measure in CHECKED
        and not (one.period or one.about or one.services or one.among_peers)
        and (one.value_min, one.value_max) == (None, None)
    ]
    assert len(checked) > 100
    number = {code: place for place, code in enumerate(codes)}
    for subject in (1, 2, PEOPLE + 1):
        own = {name: column[arrays["subject_id"] == subject] for name, column in arrays.items()}
        for at, t in enumerate(TIMES):
            then = (own["recorded_at"] < t) & (t <= own["superseded_at"]) & (own["time"] < t)
            known = {name: column[then] for name, column in own.items()}
            row = values[(subject - 1) * len(TIMES) + at]
            right = [expected(asked.features[place], t, known, number) for place in checked]
            names = [asked.names[place] for place in checked]
            same = np.isclose(row[checked], np.array(right, np.float32), rtol=1e-7, equal_nan=True)
            assert not [name for name, right in zip(names, same, strict=True) if not right]
