"""`jalon identity` as it is typed, and the vault as the only place that knows a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.errors import ConfigurationError, DataError
from features.identity import Vault
from features.ingest import ingest
from features.territory import Territory
from features.timelines import Timelines
from jalon import app

TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 3
  identity: {linkage: {merge_above: 0.999999, review_above: 0.001}}
  sources:
    social: &csv
      service: social
      reader: csv
      person: {system: social, columns: dossier}
      persons:
        - path: personnes.csv
          keys: {social: dossier}
          attributes: {first_name: prenom, last_name: nom, birth_date: ne, phone: tel}
      tables:
        - path: rdv.csv
          row_key: id
          person: {system: social, columns: dossier}
          events:
            - {code: SOCIAL//DIAGNOSIS//DONE, time: le, recorded_at: le, reference: id}
    housing:
      service: housing
      reader: csv
      person: {system: housing, columns: dossier}
      persons:
        - path: locataires.csv
          keys: {housing: dossier}
          attributes: {first_name: prenom, last_name: nom, birth_date: ne, phone: tel}
      tables:
        - path: baux.csv
          row_key: id
          events:
            - {code: HOUSING//SITUATION//TENANT, time: le, recorded_at: le, reference: id}
"""
PEOPLE = "dossier,prenom,nom,ne,tel\n"
SECRETS = ("Quattrocento", "Zénobie", "D-77001", "L-88002", "0639980001", "1951-02-03")


@pytest.fixture
def territory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Territory:
    monkeypatch.delenv("JALON_KEY", raising=False)
    data = tmp_path / "exports"
    data.mkdir()
    crowd = [f"{n},Prénom{n % 7},Nom{n % 5},19{50 + n}-0{1 + n % 9}-11," for n in range(40)]
    (tmp_path / "territory.yaml").write_text(TERRITORY, encoding="utf-8")
    mine = "Zénobie,Quattrocento,1951-02-03,0639980001"
    (data / "personnes.csv").write_text(PEOPLE + "\n".join([*crowd, f"D-77001,{mine}"]), "utf-8")
    (data / "locataires.csv").write_text(PEOPLE + f"L-88002,{mine}\n", "utf-8")
    visits = "id,dossier,le\nr1,D-77001,2024-03-01\nr2,3,2024-03-02\nr3,D-77001,someday\n"
    (data / "rdv.csv").write_text(visits, "utf-8")
    (data / "baux.csv").write_text("id,dossier,le\nb1,L-88002,2024-04-01\n", "utf-8")
    opened = Territory.open(tmp_path / "territory.yaml", home=tmp_path / "home", data=data)
    ingest(opened)
    return opened


def jalon(territory: Territory, *arguments: str, typed: str = "") -> dict[str, Any]:
    command, *rest = arguments
    call = [
        "identity",
        command,
        str(territory.file),
        *rest,
        "--home",
        str(territory.home),
        "--json",
    ]
    done = CliRunner().invoke(app, call, input=typed, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def person(territory: Territory, system: str, identifier: str) -> int:
    return int(jalon(territory, "find", system, typed=identifier + "\n")["person"])


def events(territory: Territory, subject: int) -> list[str]:
    held = Timelines.open(territory.home / "timelines").person(subject)
    return sorted(held["reference"].to_pylist())


def test_a_pair_is_reviewed_accepted_and_undone(territory: Territory) -> None:
    open_ = jalon(territory, "review")["open"]
    one, other = person(territory, "social", "D-77001"), person(territory, "housing", "L-88002")
    mine = next(pair for pair in open_ if set(pair["subjects"]) == {one, other})
    assert mine["reason"] == "alike"
    assert "said" not in mine
    done = jalon(territory, "review", "--accept", str(mine["number"]))
    assert [act["kind"] for act in done["accepted"]] == ["merge"]
    kept = person(territory, "housing", "L-88002")
    assert kept == person(territory, "social", "D-77001")
    assert events(territory, kept) == ["b1", "r1"]
    listed = jalon(territory, "list", str(kept))
    assert {system for system, _ in listed["identifiers"]} == {"social", "housing"}
    jalon(territory, "undo", str(done["accepted"][0]["number"]))
    assert events(territory, one) == ["r1"]
    assert events(territory, other) == ["b1"]
    # The next reading leaves the two apart, and reads nothing twice.
    assert ingest(territory).added == 0
    assert person(territory, "social", "D-77001") == one


def test_a_refused_pair_stays_two(territory: Territory) -> None:
    number = jalon(territory, "review")["open"][0]["number"]
    assert jalon(territory, "review", "--refuse", str(number))["refused"] == [number]
    ingest(territory)
    assert jalon(territory, "review")["open"] == []


def test_merged_by_hand_split_and_read_again(territory: Territory) -> None:
    one, other = person(territory, "social", "D-77001"), person(territory, "housing", "L-88002")
    jalon(territory, "merge", str(one), str(other))
    assert events(territory, one) == ["b1", "r1"]
    more = territory.data / "baux.csv"
    more.write_text(more.read_text("utf-8") + "b2,L-88002,2024-05-01\n", encoding="utf-8")
    ingest(territory)
    assert events(territory, one) == ["b1", "b2", "r1"]
    own = dict(jalon(territory, "list", str(one))["identifiers"])
    jalon(territory, "split", str(one), str(own["housing"]))
    assert events(territory, person(territory, "housing", "L-88002")) == ["b1", "b2"]
    assert events(territory, one) == ["r1"]


def test_a_new_key_changes_every_pseudonym_and_reading_goes_on(territory: Territory) -> None:
    before = person(territory, "social", "D-77001")
    done = jalon(territory, "rotate")
    assert done["rows"] == 3
    after = person(territory, "social", "D-77001")
    assert after != before
    assert events(territory, after) == ["r1"]
    aside = list((territory.home / "set-aside").glob("*.parquet"))
    whose = {one for file in aside for one in pq.read_table(file)["person"].to_pylist()}
    assert whose == {str(after)}
    assert ingest(territory).added == 0
    with pytest.raises(DataError, match="an unfinished one; got none"):
        jalon(territory, "rotate", "--resume")
    with pytest.raises(ConfigurationError, match="one of --resume and --rollback"):
        jalon(territory, "rotate", "--resume", "--rollback")


def test_no_name_and_no_identifier_lies_anywhere(territory: Territory) -> None:
    one, other = person(territory, "social", "D-77001"), person(territory, "housing", "L-88002")
    jalon(territory, "merge", str(one), str(other))
    ingest(territory)
    for file in territory.home.rglob("*"):
        if not file.is_file():
            continue
        content = file.read_bytes()
        if file.suffix == ".parquet":
            content += repr(pq.read_table(file, partitioning=None).to_pydict()).encode()
        for secret in SECRETS:
            assert secret.encode() not in content, file
    audit = (territory.home / "identity" / "audit.jsonl").read_text("utf-8")
    assert str(one) not in audit
    assert str(other) not in audit


def test_pairs_side_by_side_are_in_french_by_default(territory: Territory) -> None:
    from rich.console import Console

    from commands.identity import _side_by_side
    from features.identity.review import open_pairs
    from features.texts import read_texts

    vault = Vault.open(territory.home / "identity")
    console = Console(width=120, force_terminal=False)
    with console.capture() as shown:
        console.print(
            _side_by_side(open_pairs(vault, 1)[0], read_texts("features", "fr", "identity"))
        )
    vault.close()
    assert "date de naissance" in shown.get()
    assert "Quattrocento" in shown.get()


def test_without_a_vault_the_next_step_is_said(tmp_path: Path, territory: Territory) -> None:
    call = ["identity", "list", str(territory.file), "--home", str(tmp_path / "empty")]
    with pytest.raises(DataError, match="Run `jalon ingest"):
        CliRunner().invoke(app, call, catch_exceptions=False)
    with pytest.raises(DataError, match="one that the vault knows"):
        jalon(territory, "find", "social", typed="nobody\n")
