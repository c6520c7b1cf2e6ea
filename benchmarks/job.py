"""The job every line of the feature benchmark is about: who, which events, which features.

Each person has 100 events spread evenly over the four years 2022 to 2025, in local time UTC, of 40
codes, with values in quarter steps (so that sums are exact in any order). Prediction times are the
first of each month or each Monday. The features are count and sum, for each code and four windows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.events import EVENTS
from features.settings import FeaturesSettings

__all__ = ["MEASURES", "WINDOWS", "code_names", "make_cohort", "make_events", "settings"]

WINDOWS = (30, 90, 180, 365)
MEASURES = ("count", "sum")
DATES = {
    12: ("2025-01-01", "MS"),
    24: ("2024-01-01", "MS"),
    104: ("2024-01-01", "W-MON"),
}
_START = np.datetime64("2022-01-01", "us")
_SECONDS = 4 * 365 * 86_400
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


def code_names(codes: int) -> list[str]:
    """The codes of the job, in the order of its columns.

    Example:
        >>> code_names(2)
        ['BENCH//EVENT//C00000', 'BENCH//EVENT//C00001']
    """
    return [f"BENCH//EVENT//C{code:05d}" for code in range(codes)]


def make_events(
    people: int,
    codes: int = 40,
    events_each: int = 100,
    seed: int = 7,
    *,
    in_order: bool = True,
    first: int = 1,
) -> pa.Table:
    """Events of schema :data:`features.events.EVENTS`; the same rows whatever their order.

    Args:
        people: How many; their subject ids are `first`, `first + 1` and so on.
        codes: How many codes, drawn evenly.
        events_each: Events of each person.
        seed: Of the generator.
        in_order: Sorted by person and time; otherwise no two successive rows are of one person.
        first: The first subject id.

    Example:
        >>> make_events(3).num_rows
        300
        >>> a, b = make_events(3), make_events(3, in_order=False)
        >>> a.equals(b), a.sort_by("event_id").equals(b.sort_by("event_id"))
        (False, True)
    """
    rng = np.random.default_rng((seed, first))
    shape = (people, events_each)
    seconds = rng.integers(0, _SECONDS, shape, np.int32)
    seconds.sort(axis=1)
    code = rng.integers(0, codes, shape, np.int32)
    value = rng.integers(0, 200, shape, np.uint8)
    subject = np.broadcast_to(np.arange(first, first + people, dtype=np.int64)[:, None], shape)
    number = np.arange(people * events_each, dtype=np.uint64).reshape(shape)
    number += np.uint64((first - 1) * events_each)

    def flat(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return (array if in_order else array.T).reshape(-1)

    rows = people * events_each
    time = pa.array(_START + flat(seconds).astype("timedelta64[s]"), pa.timestamp("us"))
    names = pa.array(code_names(codes), pa.string())
    columns = {
        "subject_id": pa.array(flat(subject)),
        "time": time,
        "code": pa.DictionaryArray.from_arrays(flat(code), names).cast(pa.string()),
        "numeric_value": pa.array(flat(value).astype(np.float32) / np.float32(4)),
        "text_value": pa.nulls(rows, pa.large_string()),
        "recorded_at": time,
        "end_time": pa.nulls(rows, pa.timestamp("us")),
        "source": pa.repeat("bench", rows),
        "source_code": pa.nulls(rows, pa.string()),
        "reference": pa.nulls(rows, pa.string()),
        "event_id": _hex_ids(flat(number)),
    }
    return pa.table(columns, schema=EVENTS)


def make_cohort(people: int, dates: int = 12) -> pa.Table:
    """Every person at each of 12 or 24 months, or 104 weeks; sorted by person and time.

    Example:
        >>> make_cohort(2, 24).num_rows
        48
    """
    start, step = DATES[dates]
    times = pd.date_range(start, periods=dates, freq=step, unit="us").to_numpy()
    return pa.table(
        {
            "subject_id": np.repeat(np.arange(1, people + 1), dates),
            "prediction_time": pa.array(np.tile(times, people)),
        }
    )


def settings(codes: int = 40) -> FeaturesSettings:
    """The territory of the job: for each code, count and sum in four windows."""
    names = code_names(codes)
    groups = [
        {
            "name": f"c{place:05d}",
            "codes": name,
            "theme": "contact",
            "label": {"fr": name, "en": name},
            "measures": {measure: [f"{days}d" for days in WINDOWS] for measure in MEASURES},
        }
        for place, name in enumerate(names)
    ]
    label = {"fr": "Mesure", "en": "Measure"}
    rule = {"code": names[0], "recorded_at": "day"}
    return FeaturesSettings.model_validate(
        {
            "timezone": "UTC",
            "observation": {"since": "2020-01-01", "until": "2026-01-01"},
            "vocabulary": [{"code": n, "label": label, "theme": "contact"} for n in names],
            "catalogue": {"extends": "none", "groups": groups},
            "sources": {
                "bench": {
                    "service": "bench",
                    "reader": "csv",
                    "person": {"system": "bench", "columns": "id"},
                    "tables": [{"path": "x.csv", "row_key": "id", "events": [rule]}],
                }
            },
        }
    )


def _hex_ids(number: npt.NDArray[np.generic]) -> pa.Array:
    """32 hexadecimal digits for each number: two one-to-one mixes of it, so none comes twice."""
    rows = len(number)
    digits = np.empty((rows, 16), np.uint16)
    step = 1 << 20
    for start in range(0, rows, step):
        part = number[start : start + step].astype(np.uint64)
        mixed = np.stack([_mix(part), _mix(~part)], axis=1)
        digits[start : start + step] = _HEX[mixed.view(np.uint8)]
    offsets = pa.py_buffer(np.arange(0, 32 * rows + 1, 32, dtype=np.int32))
    return pa.StringArray.from_buffers(rows, offsets, pa.py_buffer(digits))


def _mix(number: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finish: a one-to-one map of 64-bit numbers without visible order."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))
