"""An ingest killed at random instants, run to its end, and compared with one that was not.

`python -m tests.features.random_kills 50`: kills, how far each had come, and whether every table
equals a clean run's. The process is a real one and SIGKILL is sent to it after a random delay, so
that it may fall anywhere: before reading, while reading or writing, or between two of these.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.timelines import Timelines

__all__ = ["Kills", "run_kills"]

ROWS = 4_000
TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 3
  sources:
    social:
      service: social
      reader: csv
      options: {delimiter: ";"}
      person: {system: social, columns: who}
      persons: [{path: persons.csv, keys: {social: who, other: other}}]
      tables:
        - path: "exports.zip/*/rows.csv"
          row_key: id
          events:
            - code: "CONTACT//APPOINTMENT//{status}"
              values: {status: {H: SEEN, A: NOSHOW}}
              time: day
              recorded_at: entered
              reference: id
"""
CHILD = """\
import os, sys
from pathlib import Path

import duckdb
import numba
import pyarrow.parquet

import features.reading
import features.sources.csv
from features.ingest import ingest
from features.sources.records import Records, read_records
from features.territory import Territory


def in_small_pieces(file, options, fields):
    for found in read_records(file, options, fields):
        aside, lines = found.aside, found.text.splitlines(keepends=True)
        for start in range(0, max(len(lines), 1), 100):
            part = slice(start, start + 100)
            yield Records(b"".join(lines[part]), found.rows[part], aside)
            aside = []


features.reading.COMMIT_ROWS = 100
features.sources.csv.read_records = in_small_pieces
numba.njit(lambda number: number + 1)(1)  # What it loads at its first use takes a second.
folder = Path(sys.argv[1])
for line in sys.stdin:
    child = os.fork()
    if not child:
        home = folder / line.strip()
        ingest(Territory.open(folder / "territory.yaml", home=home, data=folder / "data"))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Kills:
    """What came of some kills.

    Attributes:
        landed: Kills that found the process running.
        part: Homes whose table held some rows, but not all, when the process was gone.
        different: Homes whose table, once run to the end, is not a clean run's.
    """

    landed: int
    part: int
    different: int


def run_kills(folder: Path, kills: int, seed: int) -> Kills:
    """Kill an ingest at random instants, each in a home of its own, and run each to the end.

    Every third home is killed twice before it is run to the end. A process that ends before its
    kill begins anew, with less time.

    Args:
        folder: An empty folder.
        kills: How many homes.
        seed: Of the instants.
    """
    rng = random.Random(seed)
    _write(folder / "data", seed)
    (folder / "territory.yaml").write_text(TERRITORY, encoding="utf-8")
    clean = folder / "clean"
    with _Parent(folder) as parent:
        took = parent.run("clean", None)
        wanted = _outcome(clean)
        landed = part = different = 0
        for number in range(kills):
            home = folder / f"home-{number}"
            for _ in range(2 if number % 3 == 2 else 1):
                _killed(parent, home, rng.uniform(0, took))
                landed += 1
            part += 0 < _rows(home) < _rows(clean)
            # In the same pieces: which unlisted codes are shown depends on those met before.
            parent.run(home.name, None)
            different += _outcome(home) != wanted
    return Kills(landed, part, different)


def _killed(parent: _Parent, home: Path, delay: float) -> None:
    before = home.with_name("before")
    shutil.rmtree(before, ignore_errors=True)
    if home.exists():
        shutil.copytree(home, before)
    while parent.run(home.name, delay) >= 0:
        shutil.rmtree(home)
        if before.exists():
            shutil.copytree(before, home)
        delay *= 0.8


class _Parent:
    """A process that has the imports done and runs each ingest in a child of its own."""

    def __init__(self, folder: Path) -> None:
        environment = os.environ | {"JALON_KEY": "one secret for every one of the homes"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment,
        )

    def __enter__(self) -> _Parent:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def run(self, home: str, delay: float | None) -> float:
        """The seconds that an ingest took, or -1 if it was killed after so many."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{home}\n".encode())
        child = int(stdout.readline())
        began = time.perf_counter()
        if delay is not None and not select.select([stdout], [], [], delay)[0]:
            # It is waited for by its parent only: an ended one is still there, or just gone.
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        code = int(stdout.readline())
        if code not in (0, -signal.SIGKILL):
            raise AssertionError(f"the ingest ended with {code}")
        return -1.0 if code else time.perf_counter() - began


def _rows(home: Path) -> int:
    made = (home / "timelines" / "_delta_log").exists()
    return Timelines.open(home / "timelines").count() if made else 0


def _outcome(home: Path) -> object:
    table = Timelines.open(home / "timelines").read()
    aside = [pq.read_table(file) for file in sorted((home / "set-aside").glob("*.parquet"))]
    # What is sealed is different each time it is sealed.
    told = [part.drop_columns([n for n in part.column_names if n == "raw"]) for part in aside]
    unfinished = [file.name for file in home.rglob("*.unfinished")]
    order = [(name, "ascending") for name in table.column_names]
    return table.sort_by(order).to_pylist(), pa.concat_tables(told).to_pylist(), unfinished


def _write(folder: Path, seed: int) -> None:
    """Two files of one table: corrections, contradictions, rows that move, bad ones, strangers."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    people = [f"D{n};X{n // 2}" for n in range(200)]
    (folder / "persons.csv").write_text("\n".join(["who;other", *people]))
    lines = []
    for _ in range(ROWS):
        who, day = f"D{rng.randrange(260)}", f"2024-{rng.randrange(1, 13):02d}-10"
        entered = f"2025-01-{rng.randrange(1, 29):02d}"
        status = rng.choices("HAZ", [80, 19, 1])[0]
        lines.append(f"r{rng.randrange(ROWS // 2)};{who};{day};{entered};{status}")
    head = "id;who;day;entered;status"
    with zipfile.ZipFile(folder / "exports.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, some in (("a", lines[: ROWS // 2]), ("b", lines[ROWS // 2 :])):
            archive.writestr(f"{name}/rows.csv", "\n".join([head, *some]))


def main() -> None:
    """Print what came of so many kills; fail where a table differs."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    os.environ["JALON_KEY"] = "one secret for every one of the homes"
    with tempfile.TemporaryDirectory() as name:
        found = run_kills(Path(name), kills, seed=11)
    print(
        f"{kills} homes, {found.landed} kills, {found.part} homes held a part of the rows "
        f"when they were last killed; {found.different} tables differ from a clean run's"
    )
    sys.exit(1 if found.different else 0)


if __name__ == "__main__":
    main()
