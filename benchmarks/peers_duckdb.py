"""The job in DuckDB: join, group by row and code with FILTER columns, make codes columns.

Two ways to the columns: PIVOT in SQL, and NumPy indexing of the grouped rows (the quicker). One
FILTER for each of the 320 columns ran for minutes; `unstack` in pandas costs as much as PIVOT.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.job import MEASURES, WINDOWS, code_names

__all__ = ["jobs"]

Floats = npt.NDArray[np.float32]
CELLS = [f"{measure}.{days}" for measure in MEASURES for days in WINDOWS]
CALLS = {"count": "count(*)", "sum": "sum(numeric_value)"}


def jobs(events: pa.Table, cohort: pa.Table, codes: int = 40) -> dict[str, Callable[[], Floats]]:
    """Two ways of doing the job, each float32 [rows, codes x 8], straight from the Arrow tables."""
    names = code_names(codes)
    connection = duckdb.connect()
    connection.register("arrow_events", events)
    connection.register("cohort", cohort.append_column("row", pa.array(range(cohort.num_rows))))
    listed = ", ".join(f"'{name}'" for name in names)
    connection.execute(f"CREATE TYPE code AS ENUM ({listed})")
    return {
        "DuckDB, GROUP BY and PIVOT": lambda: _pivot(connection, names),
        "DuckDB, GROUP BY and NumPy indexing": lambda: _indexed(connection, names),
    }


def _grouped(code: str) -> str:
    cells = ", ".join(
        f"{CALLS[measure]} FILTER (e.time >= c.prediction_time - INTERVAL {days} DAY)::FLOAT"
        f' AS "{measure}.{days}"'
        for measure in MEASURES
        for days in WINDOWS
    )
    longest = f"INTERVAL {max(WINDOWS)} DAY"
    return f"""
        WITH e AS (
            SELECT subject_id, time, recorded_at, numeric_value, {code} AS code FROM arrow_events
            WHERE time >= (SELECT min(prediction_time) FROM cohort) - {longest})
        SELECT c.row, e.code, {cells}
        FROM cohort c JOIN e ON e.subject_id = c.subject_id
         AND e.time < c.prediction_time AND e.recorded_at < c.prediction_time
         AND e.time >= c.prediction_time - {longest}
        GROUP BY ALL"""  # noqa: S608


def _pivot(connection: duckdb.DuckDBPyConnection, names: list[str]) -> Floats:
    listed = ", ".join(f"'{name}'" for name in names)
    firsts = ", ".join(f'first("{cell}") AS "{cell}"' for cell in CELLS)
    columns = ", ".join(
        f'coalesce(w."{name}_{cell}", 0::FLOAT) AS "{name}.{cell}"'
        for name in names
        for cell in CELLS
    )
    wide = connection.sql(
        f"""WITH long AS ({_grouped("code")}),
        w AS (PIVOT long ON code IN ({listed}) USING {firsts} GROUP BY row)
        SELECT {columns} FROM cohort c LEFT JOIN w USING (row) ORDER BY c.row"""  # noqa: S608
    ).fetchnumpy()
    return np.column_stack(list(wide.values()))


def _indexed(connection: duckdb.DuckDBPyConnection, names: list[str]) -> Floats:
    long = connection.sql(
        f"SELECT * REPLACE (enum_code(code) AS code) FROM ({_grouped('code::code')})"  # noqa: S608
    ).fetchnumpy()
    rows = connection.sql("SELECT count(*) FROM cohort").fetchall()[0][0]
    out = np.zeros((rows, len(names), len(CELLS)), np.float32)
    cells = [np.ma.filled(long[cell], 0) for cell in CELLS]
    out[long["row"], long["code"]] = np.column_stack(cells)
    return out.reshape(rows, -1)
