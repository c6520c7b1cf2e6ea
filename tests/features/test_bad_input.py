"""Bad inputs: each is named and costs itself only; nothing of a person reaches a report."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.cells import Cells
from features.errors import DataError
from features.identity import Vault
from features.ingest import ingest
from features.settings import ReaderOptions
from features.sources import open_reader
from features.territory import Territory
from tests.features.test_ingest import TERRITORY, aside_of, opened, table_of, write_exports

OPTIONS = ReaderOptions()
ALL = {"social", "health", "housing", "training"}


@pytest.fixture(autouse=True)
def one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pseudonyms are compared between homes.
    monkeypatch.setenv("JALON_KEY", "one secret for all of the homes")


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    write_exports(tmp_path / "exports")
    return opened(tmp_path)


def sources_of(territory: Territory) -> set[str]:
    return {str(name) for name in pc.unique(table_of(territory)["source"]).to_pylist()}


# Persons tables that cannot be read


@pytest.mark.parametrize("missing", ["personnes.csv", "patients.jsonl", "s.xlsx"])
def test_a_persons_table_that_comes_later_gives_the_persons_of_a_clean_run(
    tmp_path: Path, territory: Territory, missing: str
) -> None:
    clean = opened(tmp_path, home="clean")
    expected = ingest(clean)
    table = territory.data / missing
    content = table.read_bytes()
    table.unlink()
    with pytest.raises(DataError) as caught:
        ingest(territory)
    said = str(caught.value)
    assert all(f"{name}: its events wait until" in said for name in ALL)
    table.write_bytes(content)
    report = ingest(territory)
    assert (report.subjects, report.identity["conflicts"]) == (expected.subjects, 0)
    assert table_of(territory).equals(table_of(clean))


def test_sources_that_share_no_identifier_do_not_wait(tmp_path: Path) -> None:
    write_exports(tmp_path / "exports")
    # Health and training meet social through its file number; housing stands apart.
    text = TERRITORY.replace("keys: {housing: id, nir: nir}", "keys: {housing: id}")
    territory = opened(tmp_path, text)
    (territory.data / "personnes.csv").write_bytes(b"")
    report = ingest(territory)
    assert sources_of(territory) == {"housing"}
    waits = [one for one in report.failures if "its events wait" in one]
    assert waits == [
        "health: its events wait until the persons table of social can be read: "
        "they share identifiers of persons",
        "social: its events wait until its persons table can be read",
        "training: its events wait until the persons table of social can be read: "
        "they share identifiers of persons",
    ]
    vault = Vault.open(territory.home / "identity")
    assert vault.resolve("training", ["F1"])[0] == 0


def test_persons_known_as_several_are_said(tmp_path: Path, territory: Territory) -> None:
    vault = Vault.open(territory.home / "identity")
    vault.adopt("social", ["D1"])
    vault.adopt("health", ["S1"])
    vault.close()
    report = ingest(territory)
    assert report.identity["conflicts"] == 1
    (note,) = report.notes
    assert note.startswith("1 group(s) of identifiers stand for one person")
    assert note in report.text()
    assert report.as_dict()["notes"] == [note]


# Files that cannot be read


def test_half_a_surrogate_pair_sets_its_row_aside(territory: Territory) -> None:
    with (territory.data / "soins.jsonl").open("a") as stream:
        stream.write(
            '{"id": "c\\ud800", "patient": "S1", "le": "2025-02-01", "saisi": "2025-02-04"}\n'
            '{"id": "c\\ud83d\\ude00", "patient": "S1", "le": "2025-02-01", "saisi": "2025-02-04",'
            ' "\\udfff": 1}\n'
        )
    report = ingest(territory)
    assert report.failures == []
    found = [(r["row"], r["column"]) for r in aside_of(territory) if r["reason"] == "bad_encoding"]
    assert found == [(4, "id")]
    assert table_of(territory).filter(pc.field("source") == "health").num_rows == 3


def damaged_workbook(file: Path, cut: int) -> None:
    """The sheet of a workbook cut short, inside a sound zip."""
    with zipfile.ZipFile(file) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    with zipfile.ZipFile(file, "w") as book:
        for name, content in parts.items():
            sheet = name.startswith("xl/worksheets/sheet")
            book.writestr(name, content[:cut] + b"<c r='A1' t=\"s\"></row>" if sheet else content)


@pytest.mark.parametrize("cut", [0, 60, 400])
def test_a_damaged_sheet_inside_a_sound_workbook_is_said(territory: Territory, cut: int) -> None:
    file = territory.data / "s.xlsx"
    damaged_workbook(file, cut)
    with pytest.raises(DataError, match=r"reading 's\.xlsx'"):
        list(open_reader("excel", file, OPTIONS, part="s").batches(["id"]))


@pytest.mark.parametrize(
    "content", [b"id;dossier\rr1;D1\rr2;D2\r", b"id;" + b"x" * 200_000 + b"\nr1;D1\n"]
)
def test_a_csv_without_a_usable_header_is_said(territory: Territory, content: bytes) -> None:
    (territory.data / "rdv-2.csv").write_bytes(content)
    report = ingest(territory)
    (failure,) = report.failures
    assert failure.startswith("social: reading 'rdv-2.csv'")
    assert "D1" not in failure
    assert sources_of(territory) == ALL


def test_carriage_returns_alone_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b"a,b\r1,2\r")
    with pytest.raises(DataError, match="end with a line feed; got carriage returns"):
        open_reader("csv", file, OPTIONS)
    file.write_bytes(b"a,b\r\n1,2\r\n")
    assert open_reader("csv", file, OPTIONS).names == ("a", "b")


def test_links_folders_and_files_that_the_system_refuses_are_named(territory: Territory) -> None:
    (territory.data / "rdv-link.csv").symlink_to(territory.data / "nowhere")
    (territory.data / "rdv-folder.csv").mkdir()
    # A regular file of which every read is an input/output error.
    (territory.data / "rdv-memory.csv").symlink_to("/proc/self/mem")
    report = ingest(territory)
    said = "\n".join(report.failures)
    assert len(report.failures) == 3
    assert "social: reading 'rdv-link.csv'. Expected a file; got a link that leads to none" in said
    assert "social: reading 'rdv-folder.csv'. Expected a file; got a folder" in said
    assert "social: reading 'rdv-memory.csv' as csv." in said
    assert "got OSError" in said
    assert sources_of(territory) == ALL


def test_a_parquet_column_that_is_no_text_costs_its_file_only(territory: Territory) -> None:
    file = territory.data / "parcours.parquet"
    table = pq.read_table(file)
    broken = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(0, "id", broken), file)
    report = ingest(territory)
    (failure,) = report.failures
    assert failure.startswith("training: reading 'parcours.parquet'")
    assert sources_of(territory) == ALL - {"training"}


def test_a_database_without_its_table_of_events_costs_that_table_only(territory: Territory) -> None:
    base = sqlite3.connect(territory.data / "h.sqlite")
    base.execute("DROP TABLE situation")
    base.execute("CREATE VIEW situation AS SELECT * FROM gone")
    base.commit()
    base.close()
    report = ingest(territory)
    (failure,) = report.failures
    assert "housing: reading 'h.sqlite': table 'situation'" in failure


def test_rows_in_the_log_beside_a_database_are_read(territory: Territory) -> None:
    file = territory.data / "h.sqlite"
    base = sqlite3.connect(file)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA wal_autocheckpoint=0")
    first = ingest(territory)
    before = file.read_bytes()
    base.execute("INSERT INTO situation VALUES ('s2', 1, 1, '2024-02-01', '2024-02-02')")
    base.commit()
    assert file.read_bytes() == before
    again = ingest(territory)
    base.close()
    assert (again.added, again.skipped) == (1, first.read - 1)


@pytest.mark.parametrize(("end", "order"), [("", ["z", "y", "x"]), (" WITHOUT ROWID", list("xyz"))])
def test_rows_of_a_database_are_in_the_order_said_whatever_its_indexes(
    tmp_path: Path, end: str, order: list[str]
) -> None:
    file = tmp_path / "x.sqlite"
    base = sqlite3.connect(file)
    base.execute(f"CREATE TABLE t (a TEXT PRIMARY KEY, rowid INTEGER, more TEXT){end}")
    base.execute("CREATE INDEX other ON t (rowid, a)")
    base.executemany("INSERT INTO t VALUES (?, ?, 'much')", [("z", 2), ("y", 1), ("x", 3)])
    base.commit()
    base.close()
    (batch,) = open_reader("sqlite", file, OPTIONS, part="t").batches(["a", "rowid"])
    assert batch.table["a"].to_pylist() == order


# Values of persons


STRANGE = {
    "Jeanne Martin": 4,
    "1.84.12.76.451.089.46": 4,
    "1-84-12-76-451-089": 4,
    "0612345678": 4,
    "D1234567": 1,
    "Dupont": 2,
}


def test_only_codes_met_in_several_rows_are_shown(territory: Territory) -> None:
    codes = STRANGE | {"??": 3, "A-REVOIR": 5}
    lines = [
        f"n{number};D1;01/03/2025;01/04/2025;{code}"
        for number, code in enumerate(code for code, count in codes.items() for _ in range(count))
    ]
    # The person's own key in the column of the code, as often as a code.
    lines += [f"k{n};D1234567;01/03/2025;01/04/2025;D1234567" for n in range(4)]
    lines += ["b1;D1;31/02/2025;01/04/2025;HON"]
    (territory.data / "rdv-2.csv").write_text("\n".join(["id;dossier;le;saisi;statut", *lines]))
    report = ingest(territory)
    (figures,) = [f for f in report.sources[0].files if f.file == "rdv-2.csv"]
    withheld = sum(STRANGE.values()) + 4
    assert figures.unknown == {"statut=??": 3, "statut=A-REVOIR": 5, "statut=(withheld)": withheld}
    coded = {r["coded"] for r in aside_of(territory) if r["file"] == "rdv-2.csv"}
    assert coded == {f'{{"statut": "{code}"}}' for code in ("??", "A-REVOIR", "HON", "(withheld)")}
    everything = json.dumps(
        [report.as_dict(), aside_of(territory)], ensure_ascii=False, default=repr
    )
    for value in STRANGE:
        assert value not in everything
    for file in (territory.home / "ledger").iterdir():
        assert not any(value in file.read_text(encoding="utf-8") for value in STRANGE)


@pytest.mark.parametrize(
    ("column", "shaped"),
    [
        (pa.array([184127645108946, 1841276451089, 612345678, 33612345678, None]), 4),
        (pa.array([184127645108946.0, 1841276451089.0, 612345678.5, 1e14, None]), 2),
    ],
)
def test_an_identity_is_no_amount_even_in_a_typed_column(column: pa.Array, shaped: int) -> None:
    cells = Cells(pa.table({"montant": column}))
    cells.number("montant", np.ones(5, bool), ".")
    assert cells.aside == dict.fromkeys(range(shaped), ("identity_in_field", "montant"))
