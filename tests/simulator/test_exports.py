"""The files as a service would hand them over: readable, messy in known shares, nothing latent."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook
from stdnum.fr import nir as nir_numbers

from simulator import Summary

SOCIAL = ("orientations", "relais", "contrats", "rendez_vous", "invitations", "besoins",
          "accompagnement", "droits", "sorties")  # fmt: skip
LATENT = re.compile(
    r"frail|disengag|latent|hazard|outcome|onset|rupture|seed|person$|p_rup|truth", re.IGNORECASE
)


def social(folder: Path, name: str) -> pd.DataFrame:
    """A file of the department, without the lines that have too many columns."""
    text = (folder / "exports" / "social" / f"{name}.csv").read_bytes().decode("cp1252")
    lines = text.split("\r\n")
    width = lines[0].count(";")
    good = [line for line in lines if line and line.count(";") == width]
    return pd.read_csv(io.StringIO("\n".join(good)), sep=";", dtype=str, keep_default_na=False)


def employment(folder: Path, name: str) -> pd.DataFrame:
    text = (folder / "exports" / "employment" / f"{name}.csv").read_text(encoding="utf-8")
    lines = text.split("\n")
    width = lines[0].count(";")
    good = [line for line in lines if line and line.count(";") == width]
    return pd.read_csv(io.StringIO("\n".join(good)), sep=";", dtype=str, na_values=["NULL"],
                       keep_default_na=False)  # fmt: skip


def columns(folder: Path) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for path in sorted((folder / "exports").rglob("*")):
        name = f"{path.parent.name}/{path.name}"
        if path.suffix == ".csv":
            out[name] = path.read_bytes().split(b"\n")[0].decode().strip().split(";")
        elif path.suffix == ".jsonl":
            out[name] = list(json.loads(path.read_text().split("\n")[0]))
        elif path.suffix == ".parquet":
            out[name] = pq.read_schema(path).names
        elif path.suffix == ".xlsx":
            book = CalamineWorkbook.from_path(path)
            out[name] = [str(x) for x in book.get_sheet_by_name("stagiaires").to_python()[0]]
        elif path.suffix == ".sqlite":
            base = sqlite3.connect(path)
            for (table,) in base.execute("SELECT name FROM sqlite_master").fetchall():
                found = base.execute(f"PRAGMA table_info({table})").fetchall()
                out[table] = [row[1] for row in found]
            base.close()
    return out


def test_exports_hold_nothing_latent_and_no_truth(folder: Path) -> None:
    found = columns(folder)
    assert len(found) == 10 + 7 + 3 + 4 + 3
    assert not [name for names in found.values() for name in names if LATENT.search(name)]
    assert not list((folder / "exports").rglob("*truth*"))
    assert sorted(p.name for p in folder.iterdir()) == ["exports", "simulation.json", "truth"]


def test_documented_columns_are_the_columns(folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "demo-territory.md").read_text(encoding="utf-8")
    missing = {
        f"{file}: {name}"
        for file, names in columns(folder).items()
        for name in names
        if not re.search(rf"\b{name}\b", page) and not name.startswith("dif_")
    }
    assert missing == set()


def test_every_service_reads_in_its_own_way(folder: Path, small: Summary) -> None:
    assert {p.name for p in (folder / "exports").iterdir()} == {
        "social", "employment", "health", "housing", "training",
    }  # fmt: skip
    people = social(folder, "personnes")
    assert people["nom"].str.contains("[éèçïëôÉ]").any()
    with pytest.raises(UnicodeDecodeError):
        (folder / "exports" / "social" / "personnes.csv").read_bytes().decode("utf-8")
    assert employment(folder, "entretiens")["date_statut"].isna().any()
    for line in (folder / "exports/health/suivis.jsonl").read_text().splitlines()[:50]:
        row = json.loads(line)
        if row["date"] and row["date"][:4] in {"2023", "2024", "2025"}:
            assert row["date"][-6:] in {"+01:00", "+02:00"}
    assert sum(small.files.values()) > 15_000


@pytest.mark.parametrize(
    ("service", "low", "high"), [("social", 0.87, 0.97), ("employment", 0.90, 0.99)]
)
def test_nir_are_valid_and_as_frequent_as_said(
    folder: Path, service: str, low: float, high: float
) -> None:
    people = social(folder, "personnes") if service == "social" else employment(folder, "principal")
    numbers = people["nir"].fillna("")
    assert low < (numbers != "").mean() < high
    for number in numbers[numbers != ""]:
        assert nir_numbers.validate(number) == number


def test_the_nir_of_a_person_is_the_same_everywhere(folder: Path) -> None:
    truth = pq.read_table(folder / "truth" / "persons.parquet").to_pandas()
    mine = social(folder, "personnes").drop_duplicates("numero_dossier")
    theirs = employment(folder, "principal").drop_duplicates("identifiant_unique_de")
    both = truth.merge(mine, left_on="social_id", right_on="numero_dossier").merge(
        theirs, left_on="employment_id", right_on="identifiant_unique_de", suffixes=("", "_ft")
    )
    known = both[(both["nir"] != "") & both["nir_ft"].notna()]
    assert len(known) > 150
    assert (known["nir"] == known["nir_ft"]).all()
    crossed = both[both["ident_france_travail"] != ""]
    assert (crossed["ident_france_travail"] == crossed["employment_id"]).all()
    assert 0.55 < len(crossed) / len(both) < 0.85


def test_entries_come_after_events_late_in_known_shares(folder: Path) -> None:
    rows = social(folder, "rendez_vous")
    rows = rows[rows["statut"].isin(["HON", "ABS"]) & (rows["date_statut"] != "")]
    due = pd.to_datetime(rows["date_rdv"], format="%d/%m/%Y %H:%M", errors="coerce")
    entry = pd.to_datetime(rows["date_statut"], format="%d/%m/%Y %H:%M", errors="coerce")
    days = ((entry - due) / timedelta(days=1)).dropna()
    days = days[days.abs() < 400]
    assert (days > 0).all()
    assert 0.7 < days.median() < 3.5
    assert 4 < days.quantile(0.9) < 16


def test_appointments_to_come_have_no_outcome(folder: Path) -> None:
    rows = employment(folder, "entretiens")
    due = pd.to_datetime(rows["date_entretien"], errors="coerce", format="%Y-%m-%d %H:%M:%S")
    coming = rows[(due >= datetime(2026, 1, 1)) & (due < datetime(2100, 1, 1))]
    assert len(coming) > 20
    open_ones = coming[coming["statut"] == "P"]
    assert len(open_ones) > 0.8 * len(coming)
    assert open_ones["date_statut"].isna().all()
    planned = pd.to_datetime(coming["date_planification"], errors="coerce")
    assert (planned.dropna() < datetime(2026, 1, 1)).mean() > 0.97


def test_mess_is_there_in_known_shares(folder: Path, small: Summary) -> None:
    rows = sum(n for name, n in small.files.items() if "person" not in name)
    assert 0.006 < small.spoiled["corrections"] / rows < 0.013
    assert 0.003 < small.spoiled["duplicates"] / rows < 0.007
    assert 0.001 < small.spoiled["unknown_codes"] / rows < 0.004
    assert 0.001 < small.spoiled["broken"] / rows < 0.004


def test_corrections_keep_the_key_and_come_later(folder: Path) -> None:
    rows = social(folder, "rendez_vous").drop_duplicates()
    twice = rows[rows.duplicated("id_rdv", keep=False)]
    assert len(twice) > 20
    for _, versions in twice.groupby("id_rdv"):
        assert len(versions) == 2
        first, last = versions.to_dict("records")
        written = [datetime.strptime(v["date_statut"], "%d/%m/%Y %H:%M") for v in (first, last)]
        assert written[0] < written[1]
        assert first["statut"] != last["statut"]
        same = [c for c in rows.columns if c not in {"statut", "date_statut"}]
        assert [first[c] for c in same] == [last[c] for c in same]


def test_exact_duplicates_unknown_codes_and_broken_lines_exist(folder: Path) -> None:
    text = (folder / "exports" / "social" / "rendez_vous.csv").read_bytes().decode("cp1252")
    lines = [line for line in text.split("\r\n") if line]
    assert len(lines) > len(set(lines))
    width = lines[0].count(";")
    assert any(line.count(";") > width for line in lines)
    rows = social(folder, "rendez_vous")
    assert rows["statut"].isin(["ZZ", "??", "A-REVOIR", "99"]).any()
    assert (rows["numero_dossier"] == "").any()
    dates = pd.to_datetime(rows["date_rdv"], format="%d/%m/%Y %H:%M", errors="coerce")
    assert dates.isna().any()


def test_comments_hold_a_telephone_or_a_nir_by_accident(folder: Path) -> None:
    text = "".join(social(folder, "rendez_vous")["commentaire"])
    text += "".join(employment(folder, "entretiens")["commentaire"].fillna(""))
    assert re.search(r"063998\d{4}", text)
    assert re.search(r"n° sécu [12]\d{14}", text)


def test_health_and_training_never_hold_free_text_or_a_diagnosis(folder: Path) -> None:
    found = columns(folder)
    for name in ("health/patients.jsonl", "health/suivis.jsonl", "training/parcours.parquet"):
        assert "commentaire" not in found[name]
    assert "nir" not in found["health/patients.jsonl"]
