"""From the exports to both feature stores, then one person erased, then the exports once more."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from features.aside_files import aside_files
from features.erasure import known_as
from features.identity import Vault
from features.sealed_rows import Seal
from features.set_aside import PURPOSE
from features.timelines import Timelines
from jalon import app
from simulator import simulate
from tests.features.traces import traces_of

ROOT = Path(__file__).resolve().parents[2]


def called(home: Path, *words: str, given: str | None = None) -> Any:
    file = ROOT / "territories" / "demo" / "territory.yaml"
    command = 1 if words[0] in ("ingest", "maintain") else 2
    said = [*words[:command], str(file), *words[command:], "--home", str(home), "--json"]
    ran = CliRunner().invoke(app, said, input=given, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def opened_texts(home: Path) -> dict[str, list[str]]:
    """What is kept under seal, opened: records of names, and rows set aside."""
    vault = Vault.open(home / "identity")
    sealed = vault.rows("SELECT digest, sealed FROM records")
    found = {"records": [vault.keys.unsealed(one, digest).decode() for digest, one in sealed]}
    secret = vault.secret_for(PURPOSE)
    vault.close()
    found["set-aside"] = []
    for file in aside_files(home / "set-aside"):
        assert file.place is not None
        seal = Seal(secret, *file.place)
        raw = [one for rows in file.tables() for one in rows["raw"].to_pylist()]
        found["set-aside"] += [seal.open(one) for one in raw if one is not None]
    return found


def places_of(home: Path, texts: list[str], numbers: list[int]) -> set[str]:
    """Parts of a work folder in which something stands, as it lies or once its seal is opened."""
    found = {place.split("/")[0] for place in traces_of(home, texts, numbers)}
    for name, contents in opened_texts(home).items():
        if any(text in content for text in texts for content in contents):
            found.add(f"sealed {name}")
    return found


def test_what_is_erased_stays_erased_when_the_exports_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)
    simulate(tmp_path / "home", people=200, years=3, seed=7, truth_rows=10, truth_runs=1)
    exports, home = tmp_path / "exports", tmp_path / "work"
    shutil.move(tmp_path / "home" / "exports", exports)
    listed = (exports / "health" / "patients.jsonl").read_text(encoding="utf-8").splitlines()
    patients = [json.loads(line) for line in listed]
    patient = {one["dossier_social"]: one["id_patient"] for one in patients}
    with (exports / "social" / "personnes.csv").open(encoding="cp1252", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=";"))
    hers = next(
        row for row in rows
        if row["nir"] and row["ident_france_travail"] and row["telephone"]
        and row["numero_dossier"] in patient
    )  # fmt: skip
    dossier = hers["numero_dossier"]
    with (exports / "health" / "rendez_vous.jsonl").open("a", encoding="utf-8") as file:
        file.write(f'{{"id_rdv":"cut","id_patient":"{patient[dossier]}"\n')
    with (exports / "social" / "orientations.csv").open("a", encoding="cp1252") as file:
        file.write(f"cut;{dossier}\n")
    territory = ["--data", str(exports)]
    called(home, "ingest", *territory)
    assert called(home, "features", "build")["people"] > 100
    assert called(home, "features", "build", "--sparse")["people"] > 100

    vault = Vault.open(home / "identity")
    person = int(vault.resolve("social", [dossier])[0])
    known = known_as(vault, [person])
    people = vault.count()
    vault.close()
    events = Timelines.open(home / "timelines").person(person)["event_id"].to_pylist()
    marks = [dossier, hers["nir"], hers["ident_france_travail"], hers["telephone"],
             patient[dossier], *events]  # fmt: skip
    numbers = [*known.subjects, *known.issued]
    places = {"timelines", "matrices", "sparse", "identity", "sealed records", "sealed set-aside"}
    assert places <= places_of(home, marks, numbers)

    done = called(home, "person", "erase", "--yes", "--system", "social", given=f"{dossier}\n")
    assert (done["persons"], done["matrices"], done["sparse_matrices"]) == (1, 1, 1)
    assert done["events"] >= len(events) > 20
    assert done["set_aside"] >= 2
    assert places_of(home, marks, numbers) == set()

    # As if none of the exports had been read: all of them are read again.
    shutil.rmtree(home / "ledger")
    again = called(home, "ingest", *territory)
    assert again["identity"]["erased"] > 0
    # Lines that cannot be split came again with the exports, until maintenance finds them.
    assert places_of(home, marks, numbers) == {"sealed set-aside"}
    called(home, "features", "build", "--sparse")
    vault = Vault.open(home / "identity")
    assert vault.count() == people - 1
    vault.close()
    assert called(home, "maintain", "--at", "2015-01-01")["set_aside"] == 2
    assert places_of(home, marks, numbers) == set()
