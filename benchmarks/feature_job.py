"""Count and sum for 20 codes in 4 windows at 12 monthly dates: the matrix against DuckDB.

DuckDB joins cohort and events, groups by person, date and code, and pandas turns codes into
columns: the quicker of the two ways its users write it (the other is a FILTER for each column).
Its answer is checked equal to the matrix, cell by cell.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.figures import Figure, timed
from features.definitions import build_catalogue
from features.events import EVENTS
from features.matrix import compute_matrix
from features.settings import FeaturesSettings

PEOPLE, EVENTS_EACH, DATES = 4_000, 100, 12
CODES = [f"BENCH//EVENT//C{i:02d}" for i in range(20)]
WINDOWS = (30, 90, 180, 365)


def run() -> list[Figure]:
    """Time both and check that they agree."""
    settings = _settings()
    events, cohort = _data()
    catalogue = build_catalogue(settings)

    def ours() -> np.ndarray:
        return compute_matrix(events, cohort, catalogue).values

    matrix, mine = timed(ours)
    table, peer = timed(lambda: _duckdb(events, cohort))
    theirs = table[list(catalogue.names)].to_numpy(np.float32)
    np.testing.assert_allclose(matrix, theirs, rtol=1e-5, atol=1e-4)
    rows = cohort.num_rows
    return [Figure("Jalon", rows, mine), Figure("DuckDB", rows, peer)]


def _settings() -> FeaturesSettings:
    groups = [
        {
            "name": f"c{i:02d}",
            "codes": code,
            "theme": "contact",
            "label": {"fr": code, "en": code},
            "measures": {m: [f"{w}d" for w in WINDOWS] for m in ("count", "sum")},
        }
        for i, code in enumerate(CODES)
    ]
    label = {"fr": "Mesure", "en": "Measure"}
    return FeaturesSettings.model_validate(
        {
            "timezone": "UTC",
            "observation": {"since": "2020-01-01", "until": "2026-01-01"},
            "vocabulary": [{"code": c, "label": label, "theme": "contact"} for c in CODES],
            "catalogue": {"extends": "none", "groups": groups},
            "sources": {
                "bench": {
                    "service": "bench",
                    "reader": "csv",
                    "person": {"system": "bench", "columns": "id"},
                    "tables": [
                        {
                            "path": "x.csv",
                            "row_key": "id",
                            "events": [{"code": CODES[0], "recorded_at": "day"}],
                        }
                    ],
                }
            },
        }
    )


def _data() -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(7)
    rows = PEOPLE * EVENTS_EACH
    start = np.datetime64("2022-01-01", "us")
    time = start + rng.integers(0, 4 * 365 * 86_400, rows).astype("timedelta64[s]")
    columns = {
        "subject_id": np.repeat(np.arange(1, PEOPLE + 1), EVENTS_EACH),
        "time": time,
        "code": np.array(CODES, object)[rng.integers(0, len(CODES), rows)],
        "numeric_value": rng.integers(0, 50, rows).astype(np.float32),
        "text_value": pa.nulls(rows, pa.large_string()),
        "recorded_at": time,
        "end_time": pa.nulls(rows, pa.timestamp("us")),
        "source": np.repeat("bench", rows),
        "source_code": pa.nulls(rows, pa.string()),
        "reference": pa.nulls(rows, pa.string()),
        "event_id": np.arange(rows).astype(str),
    }
    events = pa.table({n: pa.array(c) for n, c in columns.items()}).select(EVENTS.names)
    dates = pd.date_range("2025-01-01", periods=DATES, freq="MS", unit="us")
    cohort = pa.table(
        {
            "subject_id": np.repeat(np.arange(1, PEOPLE + 1), DATES),
            "prediction_time": pa.array(np.tile(dates.to_numpy(), PEOPLE)),
        }
    )
    return events.cast(EVENTS), cohort


def _duckdb(events: pa.Table, cohort: pa.Table) -> pd.DataFrame:
    cells = [
        f"""{call} FILTER (e.time >= c.prediction_time - INTERVAL {w} DAY) AS "{measure}.{w}d" """
        for measure, call in (("count", "count(*)"), ("sum", "sum(numeric_value)"))
        for w in WINDOWS
    ]
    query = f"""
        SELECT c.subject_id, c.prediction_time, e.code, {", ".join(cells)}
        FROM cohort c JOIN events e ON e.subject_id = c.subject_id
         AND e.time < c.prediction_time AND e.recorded_at < c.prediction_time
         AND e.time >= c.prediction_time - INTERVAL {max(WINDOWS)} DAY
        GROUP BY ALL"""  # noqa: S608
    with duckdb.connect() as connection:
        connection.register("events", events)
        connection.register("cohort", cohort)
        long = connection.execute(query).fetch_df()
    keys = ["subject_id", "prediction_time"]
    wide = long.set_index([*keys, "code"]).unstack("code", fill_value=0)
    wide.columns = [f"c{CODES.index(code):02d}.{cell}" for cell, code in wide.columns]
    rows = pd.MultiIndex.from_frame(cohort.to_pandas()[keys])
    return wide.reindex(rows, fill_value=0).fillna(0)
