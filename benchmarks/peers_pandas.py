"""The job in pandas: merge in chunks of people, group by row and code, make codes columns.

Two ways to the columns: `unstack`, and NumPy indexing of the grouped rows (the quicker). All people
at once need several times the memory and are no quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from benchmarks.job import MEASURES, WINDOWS, code_names

__all__ = ["jobs"]

Floats = npt.NDArray[np.float32]
CELLS = [f"{measure}.{days}" for measure in MEASURES for days in WINDOWS]
CHUNK = 2_000


def jobs(events: pa.Table, cohort: pa.Table, codes: int = 40) -> dict[str, Callable[[], Floats]]:
    """Two ways of doing the job, each float32 [rows, codes x 8]; frames are made beforehand.

    The events are sorted by person, so a chunk of people is a slice.
    """
    needed = ["subject_id", "time", "recorded_at", "code", "numeric_value"]
    frame, rows = events.select(needed).to_pandas(), cohort.to_pandas()
    names = code_names(codes)
    return {
        "pandas, groupby and unstack": lambda: _unstacked(frame, rows, names),
        "pandas, groupby and NumPy indexing": lambda: _indexed(frame, rows, names),
    }


def _grouped(events: pd.DataFrame, rows: pd.DataFrame, names: list[str]) -> Iterator[pd.DataFrame]:
    """For each chunk of people: cells indexed by row and code number, sorted."""
    day = pd.Timedelta(days=1)
    code = pd.Index(names).get_indexer(pd.Index(events["code"]))
    events = events.assign(code=code.astype(np.int64))
    first = rows["prediction_time"].min() - max(WINDOWS) * day
    events = events[events["time"] >= first]
    subjects = events["subject_id"].to_numpy()
    numbered = rows.assign(row=np.arange(len(rows)))
    start = 0
    people = rows["subject_id"].unique()
    for at in range(0, len(people), CHUNK):
        last = people[at : at + CHUNK][-1]
        stop = int(np.searchsorted(subjects, last, "right"))
        part = numbered[numbered["subject_id"].between(people[at], last)]
        pairs = part.merge(events.iloc[start:stop], on="subject_id")
        start = stop
        until = pairs["prediction_time"]
        pairs = pairs[
            (pairs["time"] < until)
            & (pairs["recorded_at"] < until)
            & (pairs["time"] >= until - max(WINDOWS) * day)
        ]
        inside = [pairs["time"] >= pairs["prediction_time"] - days * day for days in WINDOWS]
        cells = pd.DataFrame(
            {
                "cell": pairs["row"] * len(names) + pairs["code"],
                **{
                    f"count.{d}": k.astype(np.float32) for d, k in zip(WINDOWS, inside, strict=True)
                },
                **{
                    f"sum.{d}": pairs["numeric_value"] * k
                    for d, k in zip(WINDOWS, inside, strict=True)
                },
            }
        )
        sums = cells.groupby("cell")[CELLS].sum()
        yield sums.set_index(
            [
                pd.Index(sums.index // len(names), name="row"),
                pd.Index(sums.index % len(names), name="code"),
            ]
        )


def _unstacked(events: pd.DataFrame, rows: pd.DataFrame, names: list[str]) -> Floats:
    order = [(cell, code) for code in range(len(names)) for cell in CELLS]
    wide = [
        part.unstack("code").reindex(columns=pd.MultiIndex.from_tuples(order))
        for part in _grouped(events, rows, names)
    ]
    frame = pd.concat(wide).reindex(range(len(rows))).fillna(0)
    return frame.to_numpy(np.float32)


def _indexed(events: pd.DataFrame, rows: pd.DataFrame, names: list[str]) -> Floats:
    out = np.zeros((len(rows), len(names), len(CELLS)), np.float32)
    for part in _grouped(events, rows, names):
        row, code = (part.index.get_level_values(level).to_numpy() for level in ("row", "code"))
        out[row, code] = part.to_numpy()
    return out.reshape(len(rows), -1)
