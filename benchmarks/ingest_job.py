"""A million delimited rows to timelines, beside pandas that only reads, types and writes them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.figures import Figure, timed
from features.ingest import ingest
from features.territory import Territory

ROWS = 1_000_000
TERRITORY = """
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  sources:
    social:
      service: social
      reader: csv
      options: {delimiter: ";"}
      formats: ["%d/%m/%Y %H:%M"]
      person: {system: social, columns: person}
      tables:
        - path: rows.csv
          row_key: id
          events:
            - code: "CONTACT//APPOINTMENT//{status}"
              values: {status: {H: SEEN, A: NOSHOW, E: EXCUSED}}
              time: time
              recorded_at: entered
              reference: id
"""


def run() -> list[Figure]:
    """Time both on the same file; both must find every row."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        _write(base / "rows.csv")
        file = base / "territory.yaml"
        file.write_text(TERRITORY, encoding="utf-8")
        runs = iter(range(100))

        def ours() -> int:
            home = base / f"work{next(runs)}"
            report = ingest(Territory.open(file, home=home, data=base))
            return report.added

        added, mine = timed(ours)
        read, peer = timed(lambda: _pandas(base))
        if not added == read == ROWS:
            raise AssertionError(f"rows found: {added} and {read}, written: {ROWS}")
    return [
        Figure("Jalon (mapped, checked, pseudonymised, sorted)", ROWS, mine),
        Figure("pandas (read, typed, written)", ROWS, peer),
    ]


def _write(file: Path) -> None:
    rng = np.random.default_rng(3)
    time = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500_000, ROWS), unit="min")
    frame = pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "person": rng.integers(0, 20_000, ROWS),
            "status": np.array(["H", "A", "E"])[rng.integers(0, 3, ROWS)],
            "time": time.strftime("%d/%m/%Y %H:%M"),
            "entered": (time + pd.Timedelta(days=2)).strftime("%d/%m/%Y %H:%M"),
        }
    )
    frame.to_csv(file, sep=";", index=False)


def _pandas(folder: Path) -> int:
    frame = pd.read_csv(folder / "rows.csv", sep=";", dtype=str)
    for name in ("time", "entered"):
        frame[name] = pd.to_datetime(frame[name], format="%d/%m/%Y %H:%M")
    frame = frame.sort_values(["person", "time"])
    frame.to_parquet(folder / "pandas.parquet", compression="zstd")
    return len(frame)
