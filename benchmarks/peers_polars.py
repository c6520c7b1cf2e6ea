"""The job in Polars: join, keep the pairs in a window, group by row and code, make codes columns.

Three ways to the columns, tried on two cores at 20,000 people: `pivot` as the manual shows it, one
left join for each code (Polars alone, at its best), and NumPy indexing of the grouped rows (the
quickest). Grouping by row with 320 conditional sums, a grid of all rows and codes, and the
in-memory engine instead of the streaming one were slower than the second.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from benchmarks.job import MEASURES, WINDOWS, code_names

__all__ = ["jobs"]

Floats = npt.NDArray[np.float32]
CELLS = [f"{measure}.{days}" for measure in MEASURES for days in WINDOWS]


def jobs(events: pa.Table, cohort: pa.Table, codes: int = 40) -> dict[str, Callable[[], Floats]]:
    """Three ways of doing the job, each float32 [rows, codes x 8]; frames are made beforehand."""
    needed = ["subject_id", "time", "recorded_at", "code", "numeric_value"]
    frame, rows = pl.from_arrow(events.select(needed)), pl.from_arrow(cohort)
    assert isinstance(frame, pl.DataFrame)
    assert isinstance(rows, pl.DataFrame)
    names = code_names(codes)
    return {
        "Polars, group_by and pivot": lambda: _pivot(frame, rows, names),
        "Polars, group_by and a join for each code": lambda: _joins(frame, rows, names),
        "Polars, group_by and NumPy indexing": lambda: _indexed(frame, rows, names),
    }


def _grouped(events: pl.LazyFrame, rows: pl.LazyFrame, keys: list[str]) -> pl.DataFrame:
    """One line for each row and code that has an event in a window; unsorted."""
    start = pl.col("prediction_time") - pl.duration(days=max(WINDOWS))
    first = rows.select(start.min()).collect().item()
    inside = {days: pl.col("prediction_time") - pl.duration(days=days) for days in WINDOWS}
    return (
        rows.join(events.filter(pl.col("time") >= first), on="subject_id")
        .filter(
            pl.col("time") < pl.col("prediction_time"),
            pl.col("recorded_at") < pl.col("prediction_time"),
            pl.col("time") >= start,
        )
        .with_columns(
            (pl.col("time") >= since).alias(f"in{days}") for days, since in inside.items()
        )
        .group_by(keys)
        .agg(
            *(
                pl.col(f"in{days}").sum().cast(pl.Float32).alias(f"count.{days}")
                for days in WINDOWS
            ),
            *(
                (pl.col(f"in{days}") * pl.col("numeric_value")).sum().alias(f"sum.{days}")
                for days in WINDOWS
            ),
        )
        .collect(engine="streaming")
    )


def _pivot(events: pl.DataFrame, rows: pl.DataFrame, names: list[str]) -> Floats:
    keys = ["subject_id", "prediction_time"]
    long = _grouped(events.lazy(), rows.lazy(), [*keys, "code"])
    wide = long.pivot("code", index=keys, values=CELLS)
    wide = rows.join(wide, on=keys, how="left", maintain_order="left")
    columns = [f"{cell}_{name}" for name in names for cell in CELLS]
    return wide.select(columns).fill_null(0).to_numpy()


def _numbered(events: pl.DataFrame, rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    code = pl.col("code").cast(pl.Enum(names)).to_physical()
    return _grouped(
        events.lazy().with_columns(code), rows.with_row_index("row").lazy(), ["row", "code"]
    )


def _joins(events: pl.DataFrame, rows: pl.DataFrame, names: list[str]) -> Floats:
    parts = _numbered(events, rows, names).partition_by("code", as_dict=True)
    index = rows.with_row_index("row").select("row")
    wide = [
        index.join(parts[place,], on="row", how="left", maintain_order="left").select(
            pl.col(cell).fill_null(0).alias(f"{cell}_{name}") for cell in CELLS
        )
        for place, name in enumerate(names)
    ]
    return pl.concat(wide, how="horizontal").to_numpy()


def _indexed(events: pl.DataFrame, rows: pl.DataFrame, names: list[str]) -> Floats:
    long = _numbered(events, rows, names)
    out = np.zeros((len(rows), len(names), len(CELLS)), np.float32)
    out[long["row"].to_numpy(), long["code"].to_numpy()] = long.select(CELLS).to_numpy()
    return out.reshape(len(rows), -1)
