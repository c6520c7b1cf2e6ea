"""The job's answer in plain NumPy: one histogram for each date, window and measure.

It can do so because all people share their dates; float64 sums of quarter steps are exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.job import MEASURES, WINDOWS, code_names

__all__ = ["answer", "check"]

_DAY = 86_400_000_000


def answer(events: pa.Table, cohort: pa.Table, codes: int = 40) -> npt.NDArray[np.float32]:
    """Count and sum, float32 [rows of the cohort, codes x 8], in the catalogue's column order.

    Args:
        events: As :func:`benchmarks.job.make_events` gives them, in any order.
        cohort: Of everybody, sorted by person and time, the same dates for each.
        codes: Of the job.

    Example:
        >>> from benchmarks.job import make_cohort, make_events
        >>> answer(make_events(2, 3), make_cohort(2), 3).shape
        (24, 24)
    """
    subject = events["subject_id"].to_numpy()
    time, recorded = (events[name].cast(pa.int64()).to_numpy() for name in ("time", "recorded_at"))
    encoded = events["code"].combine_chunks().dictionary_encode()
    number = {name: place for place, name in enumerate(code_names(codes))}
    places = np.array([number[code] for code in encoded.dictionary.to_pylist()])
    value = events["numeric_value"].to_numpy()
    people = int(cohort["subject_id"].to_numpy().max())
    dates = np.unique(cohort["prediction_time"].cast(pa.int64()).to_numpy())
    cell = (subject - 1) * codes + places[encoded.indices.to_numpy()]
    out = np.zeros((people, len(dates), codes, len(MEASURES), len(WINDOWS)), np.float32)
    for i, date in enumerate(dates):
        for w, days in enumerate(WINDOWS):
            kept = (time < date) & (recorded < date) & (time >= date - days * _DAY)
            for m, weights in enumerate((None, value[kept])):
                sums = np.bincount(cell[kept], weights, people * codes)
                out[:, i, :, m, w] = sums.reshape(people, codes)
    return out.reshape(people * len(dates), -1)


def check(who: str, got: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> None:
    """Nothing, when both are the same to the last bit.

    Raises:
        AssertionError: they differ; says whose result and in how many cells.

    Example:
        >>> check("x", np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32))
        Traceback (most recent call last):
        AssertionError: x: 2 of 2 cells differ from the reference
    """
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        raise AssertionError(
            f"{who}: {got.dtype} {got.shape}, wanted {wanted.dtype} {wanted.shape}"
        )
    wrong = int((got != wanted).sum())
    if wrong:
        raise AssertionError(f"{who}: {wrong:,} of {wanted.size:,} cells differ from the reference")
