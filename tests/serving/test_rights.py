"""The rights of a person in a territory that went the whole way: held, exported, erased."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from features.erasure import known_as
from features.errors import DataError
from features.identity import Vault
from features.rights import object_to
from features.territory import Territory
from features.timelines import Timelines
from serving.answering import Scorer
from serving.database import Database, Score
from serving.rights import (
    count_rows,
    erase_person,
    erase_stored,
    gather,
    maintain_territory,
    opened_vault,
    rename_stored,
    rows_about,
    without_objections,
)
from serving.scoring import score_territory
from serving.settings import ServingSettings
from tests.features.traces import traces_of
from tests.serving.conftest import Town

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2025, 6, 30, 22)


def stored(subject: int, number: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        column.key: 0.5 if column.type.python_type is float else "x"
        for column in Score.__table__.columns
    }
    return values | {
        "score_id": f"{subject}-{number}",
        "subject_id": subject,
        "prediction_time": datetime(2025, 1, number),
        "created_at": AT,
        "data_version": 1,
        "reasons": {"raises": []},
        "themes": {},
    }


def test_rows_about_a_person_are_found_and_erased_with_what_refers_to_them(
    database: Database, tmp_path: Path
) -> None:
    person, other = 4_611_686_018_427_387_907, 4_611_686_018_427_387_908
    database.add_scores([stored(person, 1), stored(person, 2), stored(other, 1)])
    with database.engine.begin() as connection:
        for statement in (
            "CREATE TABLE notices (number INTEGER PRIMARY KEY, subject_id BIGINT)",
            "CREATE TABLE sendings (number INTEGER PRIMARY KEY, said VARCHAR(20), "
            "notice INTEGER NOT NULL REFERENCES notices (number))",
            f"INSERT INTO notices VALUES (1, {person}), (2, {other})",
            "INSERT INTO sendings VALUES (1, 'to social', 1), (2, 'to housing', 2)",
        ):
            connection.execute(text(statement))
    assert count_rows(database, [person]) == {"notices": 1, "scores": 2, "sendings": 1}
    found = rows_about(database, [person])
    assert found["sendings"] == [{"number": 1, "said": "to social", "notice": 1}]
    assert found["scores"][0]["reasons"] == {"raises": []}
    gone = erase_stored(database, np.array([person], np.int64))
    assert gone == {"notices": 1, "scores": 2, "sendings": 1}
    assert erase_stored(database, np.array([person], np.int64)) == dict.fromkeys(gone, 0)
    assert count_rows(database, [other]) == {"notices": 1, "scores": 1, "sendings": 1}
    if database.engine.dialect.name == "sqlite":
        assert traces_of(tmp_path, ["to social"], [person]) == []
        assert traces_of(tmp_path, ["to housing"], []) != []


@pytest.fixture
def home(town: Town, tmp_path: Path) -> Territory:
    """The town's own work folder, copied without the outside world: its exports and the truth."""
    outside = shutil.ignore_patterns("exports", "truth")
    shutil.copytree(town.territory.home, tmp_path / "home", ignore=outside)
    return Territory.open(town.territory.file, home=tmp_path / "home", data=town.territory.data)


def someone(town: Town) -> tuple[str, int]:
    """A person with a score whom two services know."""
    [dossier] = town.at_risk(1, among=list(town.same))
    return dossier, town.subjects([dossier])[0]


def test_an_export_holds_everything_and_reads_well(
    town: Town, home: Territory, tmp_path: Path
) -> None:
    dossier, person = someone(town)
    ran = subprocess.run(
        [sys.executable, "-m", "jalon", "person", "export", str(home.file), "--system", "social",
         "--to", str(tmp_path / "hers.zip"), "--home", str(home.home), "--json"],
        input=dossier + "\n", capture_output=True, check=False, text=True,
        cwd=ROOT,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert dossier not in ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["person"] == person
    with zipfile.ZipFile(tmp_path / "hers.zip") as archive:
        files = {name: archive.read(name).decode("utf-8-sig") for name in archive.namelist()}
    assert (tmp_path / "hers.zip").stat().st_mode & 0o077 == 0
    said = json.loads(files["data.json"])
    events = Timelines.open(home.home / "timelines").person(person)
    assert [one["event_id"] for one in said["events"]] == events["event_id"].to_pylist()
    assert len(list(csv.DictReader(io.StringIO(files["events.csv"])))) == events.num_rows
    assert {one["system"] for one in said["identifiers"]} >= {"social"}
    [score] = said["others"]["scores"]
    assert 0 < score["risk"] < 1
    assert score["reasons"]["raises"] or score["reasons"]["lowers"]
    assert len(said["features"]) > 100
    told = [one for one in said["features"] if one["value"] is not None]
    assert all(one["sentence"]["fr"] and one["sentence"]["en"] for one in told)
    page = files["index.html"]
    assert page.startswith('<!doctype html>\n<html lang="fr">')
    for text_ in ("Ce que Jalon détient", "Indicateurs", "Raisons", "Lignes mises de côté"):
        assert text_ in page
    assert "What Jalon holds" in files["index.en.html"]
    assert told[0]["sentence"]["fr"] in page.replace("&#39;", "'")
    assert "<script" not in page


def test_showing_names_nobody_and_is_french_unless_asked(town: Town, home: Territory) -> None:
    dossier, person = someone(town)
    arguments = [sys.executable, "-m", "jalon", "person", "show", str(home.file), str(person)]
    said = []
    for option in ([], ["--lang", "en"], ["--json"]):
        ran = subprocess.run(
            [*arguments, *option, "--home", str(home.home)],
            capture_output=True, check=False, text=True, cwd=ROOT,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert dossier not in ran.stdout
        said.append(ran.stdout)
    assert "Événements" in said[0]
    assert "Scores : 1" in said[0]
    assert "has not objected" in said[1]
    assert json.loads(said[2])["scores"] == 1


def test_erased_from_a_work_folder_that_went_the_whole_way(town: Town, home: Territory) -> None:
    dossier, person = someone(town)
    vault = Vault.open(home.home / "identity")
    known = known_as(vault, [person])
    vault.close()
    ids = set(Timelines.open(home.home / "timelines").person(person)["event_id"].to_pylist())
    texts = [dossier, town.same[dossier], *ids]
    numbers = [*known.subjects, *known.issued]
    places = {place.split(":")[0].split("/")[0] for place in traces_of(home.home, texts, numbers)}
    assert {"timelines", "matrices", "state.db", "identity"} <= places
    done = erase_person(home, person)
    assert done.rows["scores"] == 1
    assert done.rows["matrices"] == 1
    assert traces_of(home.home, texts, numbers) == []
    with pytest.raises(DataError, match="a pseudonym that it knows"):
        gather(home, person, AT)
    assert maintain_territory(home, dry_run=True).dry_run


def rotated(home: Territory) -> dict[str, Any]:
    arguments = ["identity", "rotate", str(home.file), "--home", str(home.home), "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "jalon", *arguments],
        capture_output=True, check=False, text=True, cwd=ROOT,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def test_after_a_new_key_scores_are_found_and_nothing_has_a_former_pseudonym(
    town: Town, home: Territory
) -> None:
    dossier, person = someone(town)
    vault = Vault.open(home.home / "identity")
    former = [one for (one,) in vault.rows("SELECT subject_id FROM identifiers")]
    vault.close()
    pq.write_table(
        pa.table({"subject_id": pa.array([person, 5]), "risk": [0.1, 0.2]}),
        home.home / "mlflow" / "kept.parquet",
    )
    database = Database.open(home, home.section("serving", ServingSettings))
    scores = count_rows(database, former)["scores"]
    database.close()
    matrices = len(list((home.home / "matrices").glob("matrix-*.json")))
    assert matrices
    done = rotated(home)
    assert (done["matrices"], done["other_rows"]) == (matrices, scores + 1)
    left = traces_of(home.home, [], former[:50])
    assert [one for one in left if not one.startswith("timelines/_delta_log")] == []
    vault = Vault.open(home.home / "identity")
    [new] = vault.resolve("social", [dossier]).tolist()
    vault.close()
    assert new != person
    assert pq.read_table(home.home / "mlflow" / "kept.parquet").to_pydict() == {
        "subject_id": [new, 5], "risk": [0.1, 0.2],
    }  # fmt: skip
    assert len(gather(home, new, AT).others["scores"]) == 1
    assert erase_person(home, new).rows["scores"] == 1
    assert traces_of(home.home, [dossier], [person, new]) == []


def test_rows_are_renamed_once_however_often_it_is_begun(database: Database) -> None:
    database.add_scores([stored(11, 1), stored(11, 2), stored(12, 1)])
    assert rename_stored(database, {11: 21, 13: 23}) == 2
    assert rename_stored(database, {11: 21, 13: 23}) == 0
    assert count_rows(database, [21]) == {"scores": 2}
    assert count_rows(database, [11]) == {"scores": 0}
    assert count_rows(database, [12]) == {"scores": 1}


def test_who_objects_is_left_out_until_they_no_longer_do(town: Town, home: Territory) -> None:
    _, person = someone(town)
    cohort = pa.table({"subject_id": pa.array([person, 5], pa.int64())})
    with opened_vault(home) as vault:
        assert without_objections(vault, cohort).num_rows == 2
        assert object_to(vault, person)
        assert not object_to(vault, person)
        assert without_objections(vault, cohort)["subject_id"].to_pylist() == [5]
        assert object_to(vault, person, stands=False)
        assert without_objections(vault, cohort).num_rows == 2
    audit = (home.home / "identity" / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["act"] for line in audit[-2:]] == ["object", "object no longer"]
    assert str(person) not in "".join(audit)


def test_who_objects_has_no_score_until_they_no_longer_do(town: Town, home: Territory) -> None:
    dossier, person = someone(town)
    before = score_territory(home, at="2025-06-01")
    with opened_vault(home) as vault:
        object_to(vault, person)
    assert score_territory(home, at="2025-06-01").people == before.people - 1
    database = Database.open(home, home.section("serving", ServingSettings))
    try:
        scorer = Scorer.open(home, database)
        at = scorer.prediction_time(None)
        assert [o.status for o in scorer.score_persons(["social"], [dossier], at)] == ["objects"]
        with opened_vault(home) as vault:
            object_to(vault, person, stands=False)
        assert [o.status for o in scorer.score_persons(["social"], [dossier], at)] == ["scored"]
    finally:
        database.close()
    assert score_territory(home, at="2025-06-01").people == before.people
