"""Killed at a chosen call, and run again: the table, the rows set aside and the vault of one run.

The process that is killed is a real one: it is stopped by SIGKILL just before or after the n-th
call of what makes something last, so that each kill lands where it is said to.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.ingest import ingest
from features.territory import Territory
from features.timelines import Timelines

pytestmark = pytest.mark.once

TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 3
  sources:
    social:
      service: social
      reader: csv
      options: {delimiter: ";"}
      formats: ["%d/%m/%Y"]
      person: {system: social, columns: dossier}
      persons:
        - {path: personnes.csv, keys: {social: dossier, nir: nir}}
      tables:
        - path: "rdv*.csv"
          row_key: id
          events:
            - code: "CONTACT//APPOINTMENT//{statut}"
              values: {statut: {HON: SEEN, ABS: NOSHOW}}
              time: le
              recorded_at: saisi
              reference: id
    health:
      service: health
      reader: jsonl
      person: {system: health, columns: patient}
      persons:
        - {path: patients.jsonl, keys: {health: patient, social: dossier}}
      tables:
        - path: soins.jsonl
          row_key: id
          events:
            - {code: HEALTH//CARE//STARTED, time: le, recorded_at: saisi}
"""

CHILD = """\
import json, os, signal, sys
from pathlib import Path

import duckdb
import numba
import pyarrow.parquet

import features.identity
import features.ingest
import features.mapping
import features.reading as module
import features.sources.csv, features.sources.jsonl
import features.timelines
from features.sources import Batch
from features.territory import Territory

PLACES = {
    "append": (features.timelines, "write_deltalake", lambda a, k: k["mode"] == "append"),
    "compact": (features.timelines, "write_deltalake", lambda a, k: k["mode"] == "overwrite"),
    "link": (features.identity.Vault, "link", lambda a, k: True),
    "row set aside": (pyarrow.parquet.ParquetWriter, "write_table", lambda a, k: True),
} | {
    folder: (os, "replace", lambda a, k, folder=folder: Path(a[1]).parent.name == folder)
    for folder in ("ledger", "set-aside", "reports")
}


def kill_at(place, nth, after):
    owner, name, counts = PLACES[place]
    call, seen = getattr(owner, name), [0]

    def watched(*args, **kwargs):
        seen[0] += counts(args, kwargs)
        here = counts(args, kwargs) and seen[0] == nth
        if here and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args, **kwargs)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, watched)


class InSmallBatches:
    def __init__(self, reader):
        self.reader, self.names = reader, reader.names

    def batches(self, columns):
        for batch in self.reader.batches(columns):
            aside = batch.aside
            for start in range(0, max(batch.table.num_rows, 1), 8):
                rows = slice(start, start + 8)
                yield Batch(batch.table.slice(start, 8), batch.rows[rows], aside)
                aside = []


open_reader = module.open_reader
module.open_reader = lambda *a, **k: InSmallBatches(open_reader(*a, **k))
module.COMMIT_ROWS = 8
numba.njit(lambda number: number + 1)(1)  # What it loads at its first use takes a second.
folder = Path(sys.argv[1])
for line in sys.stdin:
    kill = json.loads(line)
    home = folder / kill.pop("home")
    child = os.fork()
    if not child:
        kill_at(**kill)
        town = Territory.open(folder / "territory.yaml", home=home, data=folder / "exports")
        features.ingest.ingest(town)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class State(NamedTuple):
    """What lasts when a process is gone: rows of the table, ledger entries, set-aside files."""

    rows: int
    entries: int
    aside: int
    files: int


@dataclass(frozen=True)
class Kill:
    """Just before or after the n-th call at a place."""

    place: str
    nth: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.place} {self.nth}"


# rdv-1.csv is 5 commits and rdv-2.csv 2; 40 rows of the first become events.
KILLS: list[tuple[Kill, Callable[[State], bool]]] = [
    (Kill("link", 1, True), lambda s: s.rows == s.entries == 0),
    (Kill("append", 1, False), lambda s: s.rows == s.entries == 0),
    (Kill("append", 1, True), lambda s: s.rows == 8 and s.entries == 0),
    (Kill("append", 3, False), lambda s: s.rows == 16 and s.entries == 0),
    (Kill("append", 5, True), lambda s: s.rows == 40 and s.entries == 0),
    (Kill("row set aside", 1, True), lambda s: s.entries == s.aside == 0),
    (Kill("set-aside", 1, False), lambda s: s.rows == 40 and s.entries == s.aside == 0),
    (Kill("set-aside", 1, True), lambda s: s.rows == 40 and (s.entries, s.aside) == (0, 1)),
    (Kill("ledger", 1, False), lambda s: s.rows == 40 and s.entries == 0),
    (Kill("ledger", 1, True), lambda s: s.rows == 40 and s.entries == 1),
    (Kill("append", 6, True), lambda s: s.rows > 40 and s.entries == 1),
    (Kill("ledger", 2, False), lambda s: s.rows > 48 and s.entries == 1),
    (Kill("compact", 1, False), lambda s: s.entries == 3 and s.files > 3),
    (Kill("compact", 1, True), lambda s: s.entries == 3 and s.files > 3),
    (Kill("compact", 3, False), lambda s: s.entries == 3 and s.files > 3),
    (Kill("reports", 1, False), lambda s: s.entries == 3 and s.files == 3),
]


def write_exports(folder: Path) -> None:
    folder.mkdir()
    persons = [f"D{n};" for n in range(1, 13)]
    (folder / "personnes.csv").write_text("\n".join(["dossier;nir", *persons]))
    first = [f"a{n};D{n % 12 + 1};{n % 28 + 1:02d}/03/2025;01/05/2025;HON" for n in range(38)]
    first += ["b;D1;01/03/2025;04/04/2025;HON", "b;D1;01/03/2025;20/04/2025;HON"]
    first[20:20] = ["x;D2;31/02/2025;01/04/2025;HON", "y;D2;01/03/2025;01/04/2025;ZZ"]
    # Between the two entries of `b`; a contradiction; rows that move; a stranger; a repetition.
    second = [
        "b;D1;01/03/2025;10/04/2025;ABS",
        "a1;D2;02/03/2025;01/05/2025;ABS",
        *(f"a{n};D{n % 7 + 1};01/03/2025;0{n % 3 + 4}/04/2025;ABS" for n in range(2, 14)),
        "c;D99;01/03/2025;04/04/2025;HON",
        first[0],
    ]
    for name, rows in (("rdv-1", first), ("rdv-2", second)):
        (folder / f"{name}.csv").write_text("\n".join(["id;dossier;le;saisi;statut", *rows]))
    (folder / "patients.jsonl").write_text('{"patient": "S1", "dossier": "D3"}\n')
    (folder / "soins.jsonl").write_text(
        '{"id": "c1", "patient": "S1", "le": "2025-02-01", "saisi": "2025-02-03"}\n{"id": \n'
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        # Pseudonyms are compared between homes, so all have the same key.
        patch.setenv("JALON_KEY", "one secret for every one of the homes")
        folder = tmp_path_factory.mktemp("crash")
        write_exports(folder / "exports")
        (folder / "territory.yaml").write_text(TERRITORY, encoding="utf-8")
        yield folder


def territory(folder: Path, home: str) -> Territory:
    return Territory.open(folder / "territory.yaml", home=folder / home, data=folder / "exports")


@pytest.fixture(scope="module")
def kill(folder: Path) -> Iterator[Callable[[str, Kill], State]]:
    """Run an ingest up to a kill; one parent has the imports done, so that each run is short."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        stdin, stdout = parent.stdin, parent.stdout

        def run(home: str, at: Kill) -> State:
            stdin.write(json.dumps({"home": home, **asdict(at)}) + "\n")
            stdin.flush()
            assert stdout.readline() == f"{-signal.SIGKILL}\n", "it was not killed"
            return state(folder / home)

        yield run
        stdin.close()


def state(home: Path) -> State:
    rows = files = 0
    if (home / "timelines" / "_delta_log").exists():
        timelines = Timelines.open(home / "timelines")
        rows = timelines.count()
        files = sum(len(timelines._files(bucket)) for bucket in range(timelines.buckets))
    return State(
        rows,
        len(list((home / "ledger").glob("*.json"))),
        len(list((home / "set-aside").glob("*.parquet"))),
        files,
    )


def outcome(home: Path) -> dict[str, Any]:
    table = Timelines.open(home / "timelines").read()
    aside = [pq.read_table(file) for file in sorted((home / "set-aside").glob("*.parquet"))]
    with sqlite3.connect(home / "identity" / "vault.sqlite") as base:
        vault = base.execute("SELECT * FROM identifiers ORDER BY digest").fetchall()
    base.close()
    return {
        "table": table.sort_by([(name, "ascending") for name in table.column_names]).to_pylist(),
        "aside": pa.concat_tables(aside).to_pylist(),
        "vault": vault,
        "unfinished": [file.name for file in home.rglob("*.unfinished")],
    }


@pytest.fixture(scope="module")
def clean(folder: Path) -> dict[str, Any]:
    ingest(territory(folder, "clean"))
    found = outcome(folder / "clean")
    reasons = {row["reason"] for row in found["aside"]}
    assert reasons == {"bad_date", "unknown_code", "contradiction", "bad_json"}
    assert "RECORD//WITHDRAWN" in {row["code"] for row in found["table"]}
    return found


@pytest.mark.parametrize(("at", "landed"), KILLS, ids=[str(at) for at, _ in KILLS])
def test_killed_and_run_again_is_one_clean_run(
    folder: Path,
    clean: dict[str, Any],
    kill: Callable[[str, Kill], State],
    at: Kill,
    landed: Callable[[State], bool],
) -> None:
    home = str(at).replace(" ", "-")
    found = kill(home, at)
    assert landed(found), found
    ingest(territory(folder, home))
    assert outcome(folder / home) == clean
    again = ingest(territory(folder, home))
    assert (again.added, again.read) == (0, 0)


def test_killed_again_and_again_is_one_clean_run(
    folder: Path, clean: dict[str, Any], kill: Callable[[str, Kill], State]
) -> None:
    for place in ("append", "row set aside", "ledger", "append", "ledger", "compact", "reports"):
        kill("often", Kill(place, 1, place != "ledger"))
    ingest(territory(folder, "often"))
    assert outcome(folder / "often") == clean
