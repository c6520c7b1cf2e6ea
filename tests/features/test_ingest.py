"""Ingest: five formats in, the same table out however often, and whatever is killed on the way."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from features.errors import ConfigurationError, DataError
from features.identity import Vault
from features.ingest import ingest
from features.quality import REASONS
from features.territory import Territory
from features.timelines import Timelines

NIR = "253072B07300470"
TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 3
  sources:
    social:
      service: social
      reader: csv
      options: {encoding: windows-1252, delimiter: ";"}
      formats: ["%d/%m/%Y"]
      person: {system: social, columns: dossier}
      persons:
        - {path: "personnes.csv", keys: {social: dossier, nir: nir}}
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
    housing:
      service: housing
      reader: sqlite
      person: {system: housing, columns: personne}
      persons:
        - {path: h.sqlite, table: personne, keys: {housing: id, nir: nir}}
      tables:
        - path: h.sqlite
          table: situation
          row_key: id
          events:
            - code: "HOUSING//SITUATION//{code}"
              values: {code: {"1": STREET, "6": TENANT}}
              time: le
              recorded_at: saisi
    training:
      service: training
      reader: parquet
      person: {system: training, columns: stagiaire}
      persons:
        - {path: s.xlsx, reader: excel, sheet: s, keys: {training: id, social: dossier}}
      tables:
        - path: parcours.parquet
          row_key: id
          events:
            - {code: TRAINING//COURSE//STARTED, time: le, recorded_at: saisi, numeric_value: heures}
"""


def write_exports(folder: Path, rows: int = 40) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"D{n};{NIR if n == 1 else ''};Zoé" for n in range(1, 6)]
    (folder / "personnes.csv").write_text(
        "\n".join(["dossier;nir;nom", *lines]), encoding="windows-1252"
    )
    appointments = [
        f"r{n};D{n % 5 + 1};{n % 28 + 1:02d}/03/2025;{n % 28 + 1:02d}/04/2025;"
        f"{'ABS' if n % 3 else 'HON'};été"
        for n in range(rows)
    ]
    appointments += [
        "r0;D1;01/03/2025;30/04/2025;ABS;corrected",
        "r1;D2;02/03/2025;02/04/2025;ABS;été",
        "x1;D1;31/02/2025;01/04/2025;HON;",
        "x2;D1;01/03/2025;01/04/2025;ZZ;",
        "x3;;01/03/2025;01/04/2025;HON;",
        "x4;D1;01/03/2025;01/04/2025;HON;;;",
    ]
    (folder / "rdv.csv").write_text(
        "\n".join(["id;dossier;le;saisi;statut;mot", *appointments]), encoding="windows-1252"
    )
    (folder / "patients.jsonl").write_text(
        '{"patient": "S1", "dossier": "D1"}\n{"patient": "S2", "dossier": null}\n'
    )
    (folder / "soins.jsonl").write_text(
        '{"id": "c1", "patient": "S1", "le": "2025-02-01", "saisi": "2025-02-03T10:00:00+01:00"}\n'
        '{"id": "c2", "patient": "S2", "le": "2025-02-01", "saisi": "2025-02-04"}\n{"id": \n'
    )
    with sqlite3.connect(folder / "h.sqlite") as base:
        base.execute("CREATE TABLE personne (id INTEGER, nir TEXT)")
        base.execute("INSERT INTO personne VALUES (1, ?)", (NIR,))
        base.execute("CREATE TABLE situation (id, personne, code, le, saisi)")
        base.execute("INSERT INTO situation VALUES ('s1', 1, 6, '2024-01-01', '2024-01-02')")
    base.close()
    book = openpyxl.Workbook()
    book.active.title = "s"
    for row in (["id", "dossier"], ["F1", "D1"]):
        book.active.append(row)
    book.save(folder / "s.xlsx")
    pq.write_table(
        pa.table(
            {
                "id": ["p1"],
                "stagiaire": ["F1"],
                "le": pa.array([1_735_700_000], pa.timestamp("s", "UTC")),
                "saisi": pa.array([1_735_800_000], pa.timestamp("s", "UTC")),
                "heures": [28.0],
            }
        ),
        folder / "parcours.parquet",
    )


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    write_exports(tmp_path / "exports")
    return opened(tmp_path)


def opened(folder: Path, text: str = TERRITORY, home: str = "home") -> Territory:
    file = folder / "territory.yaml"
    file.write_text(text, encoding="utf-8")
    return Territory.open(file, home=folder / home, data=folder / "exports")


def table_of(territory: Territory) -> pa.Table:
    return Timelines.open(territory.home / "timelines").read()


def aside_of(territory: Territory) -> list[dict[str, object]]:
    files = sorted((territory.home / "set-aside").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_five_formats_become_one_timeline(territory: Territory) -> None:
    report = ingest(territory)
    vault = Vault.open(territory.home / "identity")
    person = vault.resolve("social", ["D1"])[0]
    for system, own in (("health", "S1"), ("housing", "1"), ("training", "F1"), ("nir", NIR)):
        assert vault.resolve(system, [own])[0] == person
    timeline = Timelines.open(territory.home / "timelines").person(int(person))
    assert set(timeline["source"].to_pylist()) == {"social", "health", "housing", "training"}
    assert report.failures == []
    figures = report.as_dict()["sources"]["social"]
    assert (figures["rows"], figures["events"], figures["versions"]) == (46, 40, 1)
    assert (figures["duplicates"], figures["rows_set_aside"]) == (1, 4)
    assert figures["unknown_codes"] == {"statut=(withheld)": 1}
    assert figures["delay_days"]["median"] == 30
    assert report.as_dict() == json.loads(
        (territory.home / "reports" / "ingest.json").read_text(encoding="utf-8")
    )
    said = report.text()
    assert "no person key" in said
    assert "social" in said


def test_rows_set_aside_say_where_and_why_and_nothing_of_the_person(territory: Territory) -> None:
    ingest(territory)
    rows = aside_of(territory)
    said = {(row["file"], row["row"], row["reason"], row["column"]) for row in rows}
    assert said == {
        ("rdv.csv", 43, "bad_date", "le"),
        ("rdv.csv", 44, "unknown_code", "statut"),
        ("rdv.csv", 45, "missing_person", "dossier"),
        ("rdv.csv", 46, "wrong_number_of_columns", None),
        ("soins.jsonl", 3, "bad_json", None),
    }
    assert {row["rule"] for row in rows} <= set(REASONS.values())
    assert [row["coded"] for row in rows if row["row"] == 44] == ['{"statut": "(withheld)"}']
    assert all(row["raw"] for row in rows)
    shown = [{name: value for name, value in row.items() if name != "raw"} for row in rows]
    assert "D1" not in json.dumps(shown)


def test_a_second_ingest_adds_nothing_with_and_without_its_ledger(territory: Territory) -> None:
    first = ingest(territory)
    before, aside = table_of(territory), aside_of(territory)
    again = ingest(territory)
    assert (again.added, again.read, again.skipped) == (0, 0, first.read)
    assert again.version == first.version
    assert again.as_dict()["sources"] == first.as_dict()["sources"]
    for entry in (territory.home / "ledger").iterdir():
        entry.unlink()
    third = ingest(territory)
    assert (third.added, third.read, third.version) == (0, first.read, first.version)
    assert table_of(territory).equals(before)
    assert aside_of(territory) == aside


def test_timelines_made_again_are_filled_again(territory: Territory) -> None:
    ingest(territory)
    before = table_of(territory)
    (territory.home / "timelines").rename(territory.home / "gone")
    assert ingest(territory).added == before.num_rows
    assert table_of(territory).equals(before)


def test_a_new_export_adds_what_is_new(territory: Territory) -> None:
    ingest(territory)
    count = table_of(territory).num_rows
    (territory.data / "rdv-2.csv").write_text(
        "id;dossier;le;saisi;statut\nr1;D2;02/03/2025;02/04/2025;ABS\nn1;D9;02/03/2025;03/04/2025;HON"
        "\nr2;D4;03/03/2025;01/09/2025;ABS",
        encoding="windows-1252",
    )
    report = ingest(territory)
    assert report.added == 2
    # r2 moved from D3 to D4: a version, and a withdrawal.
    assert table_of(territory).num_rows == count + 3
    assert "RECORD//WITHDRAWN" in table_of(territory)["code"].to_pylist()


def test_a_correction_without_a_later_entry_date_is_set_aside(territory: Territory) -> None:
    (territory.data / "rdv-2.csv").write_text(
        "id;dossier;le;saisi;statut\nr0;D1;01/03/2025;01/04/2025;ABS", encoding="windows-1252"
    )
    ingest(territory)
    assert [r["file"] for r in aside_of(territory) if r["reason"] == "contradiction"] == ["rdv.csv"]


def test_files_that_cannot_be_read_are_named_and_the_others_go_on(territory: Territory) -> None:
    (territory.data / "parcours.parquet").write_bytes(b"not parquet")
    (territory.data / "soins.jsonl").unlink()
    (territory.data / "rdv-empty.csv").touch()
    (territory.data / "rdv-other.csv").write_text("id;dossier;le;saisie;statut\n")
    report = ingest(territory)
    said = "\n".join(report.failures)
    assert len(report.failures) == 4
    assert "health: reading 'soins.jsonl'. Expected a file of that name" in said
    assert "training: reading 'parcours.parquet'. Expected a Parquet file" in said
    assert "social: reading 'rdv-empty.csv'. Expected a header and rows; got an empty file" in said
    assert "Did you mean 'saisie' for 'saisi'?" in said
    assert set(pc.unique(table_of(territory)["source"]).to_pylist()) == {"social", "housing"}
    assert "Not read:" in report.text()


def test_events_wait_for_the_persons_of_their_source(tmp_path: Path) -> None:
    write_exports(tmp_path / "exports")
    apart = opened(
        tmp_path, TERRITORY.replace("{health: patient, social: dossier}", "{health: patient}")
    )
    patients = apart.data / "patients.jsonl"
    text = patients.read_text()
    patients.unlink()
    report = ingest(apart)
    assert "health: its events wait until its persons table can be read" in report.failures
    assert set(pc.unique(table_of(apart)["source"]).to_pylist()) == {
        "social",
        "housing",
        "training",
    }
    patients.write_text(text)
    assert ingest(apart).added == 2


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    with pytest.raises(DataError, match="no table could be read") as caught:
        ingest(opened(tmp_path))
    assert "personnes.csv" in str(caught.value)


def test_a_wrong_mapping_stops_before_anything_is_read(tmp_path: Path) -> None:
    write_exports(tmp_path / "exports")
    text = TERRITORY.replace("HON: SEEN", "HON: SEAN").replace("CARE//STARTED", "CARES//STARTED")
    with pytest.raises(ConfigurationError, match=r"2 fault\(s\)"):
        ingest(opened(tmp_path, text))
    assert not (tmp_path / "home").exists()


def test_two_ingests_at_once_are_refused(territory: Territory) -> None:
    territory.home.mkdir(parents=True)
    with (
        FileLock(territory.home / "ingest.lock"),
        pytest.raises(DataError, match="one ingest at a time"),
    ):
        ingest(territory)


def test_a_change_of_mapping_reads_again_and_replaces_what_was_set_aside(tmp_path: Path) -> None:
    write_exports(tmp_path / "exports")
    first = opened(tmp_path)
    ingest(first)
    assert any(row["reason"] == "unknown_code" for row in aside_of(first))
    second = opened(tmp_path, TERRITORY.replace("ABS: NOSHOW", "ABS: NOSHOW, ZZ: UNKNOWN"))
    assert ingest(second).added == 1
    assert not any(row["reason"] == "unknown_code" for row in aside_of(second))


def test_no_identifier_reaches_the_disk(territory: Territory) -> None:
    ingest(territory)
    tables = 0
    for file in territory.home.rglob("*"):
        if file.is_file() and file.suffix == ".parquet":
            # Compressed: what stands in it is seen in its columns only.
            content = repr(pq.read_table(file).to_pylist()).encode()
            tables += 1
        elif file.is_file():
            content = file.read_bytes()
        else:
            continue
        for value in (NIR, "Zoé"):
            for encoding in ("utf-8", "windows-1252"):
                assert value.encode(encoding) not in content, file
    assert tables


def test_progress_is_told_up_to_the_end(territory: Territory) -> None:
    told: list[tuple[str, float]] = []
    ingest(territory, progress=lambda step, share: told.append((step, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert any("rdv.csv" in step for step, _ in told)
