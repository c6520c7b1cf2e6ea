"""Many delimited rows to timelines: seconds, rows a second, and the peak of memory.

`python -m benchmarks.ingest --rows 10000000`: a written export of appointments of many persons,
in windows-1252 with `;`, French dates, a decimal comma, some codes that nobody listed and some rows
repeated; read in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

TERRITORY = """
features:
  observation: {since: 2018-01-01, until: 2026-01-01}
  sources:
    social:
      service: social
      reader: csv
      options: {delimiter: ";", encoding: windows-1252, decimal: ","}
      formats: ["%d/%m/%Y"]
      person: {system: social, columns: DOSSIER}
      tables:
        - path: rdv.csv
          row_key: NUM_RDV
          events:
            - code: "CONTACT//APPOINTMENT//{STATUT}"
              values: {STATUT: {HON: SEEN, ABS: NOSHOW, EXC: EXCUSED}}
              time: {column: DATE_RDV, formats: ["%d/%m/%Y %H:%M"]}
              recorded_at: {column: DATE_SAISIE, at: end_of_day}
              numeric_value: DUREE
              reference: NUM_RDV
"""
PART = 500_000


def write(file: Path, rows: int, seed: int = 5) -> None:
    """An export of so many rows, one person for every 50."""
    rng = np.random.default_rng(seed)
    people = max(rows // 50, 1)
    places = np.array(["Mairie annexe", "Hôtel du département", "Mission locale", "CCAS"])
    status = np.array(["HON", "ABS", "EXC", "ZZ"])
    with file.open("wb") as out:
        out.write("NUM_RDV;DOSSIER;STATUT;DATE_RDV;DATE_SAISIE;DUREE;LIEU\n".encode("cp1252"))
        for start in range(0, rows, PART):
            n = min(PART, rows - start)
            number = np.arange(start, start + n)
            number[rng.random(n) < 0.001] = start
            minute = rng.integers(0, 4 * 365 * 24 * 4, n) * 15
            at = np.datetime64("2021-01-01T00:00", "m") + minute.astype("timedelta64[m]")
            entered = at.astype("datetime64[D]") + rng.integers(0, 20, n)
            columns = [
                pa.array(number).cast(pa.string()),
                pc.binary_join_element_wise(
                    "D", pa.array(rng.integers(0, people, n)).cast(pa.string()), ""
                ),
                pa.array(status[rng.choice(4, n, p=[0.7, 0.2, 0.0999, 0.0001])]),
                pc.strftime(pa.array(at.astype("datetime64[s]")), "%d/%m/%Y %H:%M"),
                pc.strftime(pa.array(entered.astype("datetime64[s]")), "%d/%m/%Y"),
                pc.replace_substring(
                    pa.array(rng.integers(1, 8, n) / 2).cast(pa.string()), ".", ","
                ),
                pa.array(places[rng.integers(0, 4, n)]),
            ]
            held = pa.BufferOutputStream()
            csv.write_csv(
                pa.Table.from_arrays(columns, names=list("abcdefg")),
                held,
                csv.WriteOptions(include_header=False, delimiter=";", quoting_style="none"),
            )
            out.write(held.getvalue().to_pybytes().decode().encode("cp1252"))


def read(folder: Path) -> None:
    """Ingest the export of a folder and print figures as JSON."""
    from features.ingest import ingest
    from features.territory import Territory

    began = time.perf_counter()
    territory = Territory.open(folder / "territory.yaml", home=folder / "work", data=folder)
    report = ingest(territory)
    seconds = time.perf_counter() - began
    (figures,) = report.sources[0].files
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "rows": figures.rows,
                "events": figures.events,
                "duplicates": figures.duplicates,
                "versions": figures.versions,
                "set aside": dict(figures.set_aside),
                "persons": report.subjects,
                "seconds": round(seconds, 1),
                "rows/s": round(figures.rows / seconds),
                "cpu seconds": round(time.process_time(), 1),
                "peak MiB": round(peak),
            }
        )
    )


def main() -> None:
    """Write, then read in another process."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--read", type=Path)
    given = asked.parse_args()
    if given.read is not None:
        read(given.read)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "rdv.csv", given.rows)
        (folder / "territory.yaml").write_text(TERRITORY, encoding="utf-8")
        size = (folder / "rdv.csv").stat().st_size
        print(f"{given.rows:,} rows, {size / 1e6:,.0f} MB")
        subprocess.run(
            [sys.executable, "-m", "benchmarks.ingest", "--read", str(folder)], check=True
        )


if __name__ == "__main__":
    main()
