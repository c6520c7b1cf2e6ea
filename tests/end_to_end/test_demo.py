"""The whole way on the demo territory: raw exports in, explained scores out, twice the same."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.definitions import build_catalogue
from features.matrix import compute_matrix
from features.redaction import looks_like_identity
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines
from tests.end_to_end.conftest import ROOT, Ran, jalon_json


def test_every_row_read_is_accounted_for(demo: Ran) -> None:
    sources = demo.printed["ingest"]["sources"]
    assert set(sources) == {"social", "employment", "health", "housing", "training"}
    for source in sources.values():
        for table in source["tables"]:
            aside = sum(table["set_aside"].values())
            assert table["rows"] == table["mapped"] + table["without_event"] + aside
        assert source["events"] > 1000
    assert demo.printed["ingest"]["failures"] == []


def test_what_was_spoiled_is_what_was_set_aside(demo: Ran) -> None:
    spoiled = demo.printed["simulate"]["spoiled"]
    sources = demo.printed["ingest"]["sources"].values()
    aside = sum(source["rows_set_aside"] for source in sources)
    planted = spoiled["unknown_codes"] + spoiled["broken"]
    # A few spoil what no rule reads: a status on an appointment that has no outcome yet.
    assert 0.97 * planted <= aside <= planted


def test_ingesting_again_adds_nothing(demo: Ran) -> None:
    before = Timelines.open(demo.home / "timelines")
    again = jalon_json("ingest", "demo", "--home", str(demo.home))
    after = Timelines.open(demo.home / "timelines")
    assert again["events_added"] == 0
    assert again["files_read"] == 0
    assert (after.version, after.count()) == (before.version, before.count())


def test_training_again_gives_the_same_figures_to_the_last_digit(demo: Ran) -> None:
    again = jalon_json("train", "demo", "--home", str(demo.home))
    first = demo.printed["train"]
    for before, after in zip(first["models"], again["models"], strict=True):
        assert before["mean"] == after["mean"]
    assert again["matrix_hash"] == first["matrix_hash"]
    assert again["reused"] is True
    assert again["champion"] == first["champion"]


def test_models_are_compared_with_what_can_be_known(demo: Ran) -> None:
    trained = demo.printed["train"]
    assert [model["kind"] for model in trained["models"]] == ["rule", "logistic", "lightgbm"]
    truth = trained["truth"]
    assert truth["attainable_auc"] > max(truth["models"].values()) > 0.55
    assert truth["outcome_agreement"] > 0.95


def test_scores_are_stored_once_with_reasons_in_both_languages(demo: Ran) -> None:
    scored = demo.printed["score"]
    assert scored["people"] == scored["new"] > 50
    with sqlite3.connect(demo.home / "state.db") as connection:
        rows = connection.execute("SELECT risk, reasons FROM scores").fetchall()
    connection.close()
    assert len(rows) == scored["people"]
    assert all(0 <= risk <= 1 for risk, _ in rows)
    assert sum('"raises"' in reasons and '"fr"' in reasons for _, reasons in rows) == len(rows)


def test_no_identifier_leaves_the_vault(demo: Ran) -> None:
    people = demo.home / "simulation" / "exports" / "social" / "personnes.csv"
    with people.open(encoding="windows-1252", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=";"))
    secrets = {row["nir"] for row in rows if row["nir"]} | {row["numero_dossier"] for row in rows}
    shapes = re.compile(rb"D\d{7}|[12]\d{14}")
    for file in demo.home.rglob("*"):
        apart = file.relative_to(demo.home).parts[0]
        if not file.is_file() or apart in {"simulation", "identity", "mlflow"}:
            continue
        if file.suffix != ".parquet":
            met = {found.decode() for found in shapes.findall(file.read_bytes())}
            assert not met & secrets, file.name
    for folder in ("timelines", "set-aside"):
        for file in (demo.home / folder).rglob("*.parquet"):
            table = pq.read_table(file, partitioning=None)
            for name in table.column_names:
                if table.schema.field(name).type in ("string", "large_string"):
                    values = set(table[name].to_pylist())
                    assert not values & secrets, (folder, name)
                    if name in {"text_value", "reference", "source_code", "coded"}:
                        assert not looks_like_identity(table[name]).any(), (folder, name)


def test_results_lie_where_they_are_said_to(demo: Ran) -> None:
    for place in demo.printed["ingest"]["places"].values():
        assert Path(place).exists()
    assert (demo.home / "reports" / "training.fr.html").is_file()
    assert (demo.home / "mlflow" / "mlflow.db").is_file()


def test_a_person_is_told_where_results_lie_and_what_comes_next(demo: Ran) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jalon", "features", "build", "demo", "--home", str(demo.home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = re.search(r"Results: (\S+)\n", done.stdout)
    assert said is not None
    assert Path(said.group(1)).is_file()
    assert "Next: jalon train demo" in done.stdout
    assert "features" in done.stderr


def test_the_events_behind_a_value_are_shown(demo: Ran) -> None:
    name, code = "contact.noshow.count.90d", "CONTACT//APPOINTMENT//NOSHOW"
    timelines = Timelines.open(demo.home / "timelines")
    events = timelines.read(columns=["subject_id", "time", "code"])
    missed = events.filter(pc.equal(events["code"], code)).sort_by("time")
    person, day = missed["subject_id"][-1].as_py(), missed["time"][-1].as_py()
    at = day + timedelta(days=20)
    cohort = pa.table({"subject_id": [person], "prediction_time": [at]})
    settings = Territory.open("demo").section("features", FeaturesSettings)
    matrix = compute_matrix(timelines, cohort, build_catalogue(settings).only([name]))
    options = ("--at", f"{at.isoformat()}+00:00", "--home", str(demo.home))
    found = jalon_json("features", "explain", "demo", str(person), name, *options)
    assert found["value"] == matrix.values[0, 0] == len(found["events"]) > 0
    assert all(event["code"] == code for event in found["events"])
    assert found["fact"].startswith("Absences à un rendez-vous : ")


def test_nobody_of_a_pseudonym_is_an_error_that_does_not_tell_it(demo: Ran) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "jalon", "features", "explain", "demo", "424242"),
            *("contact.noshow.count.90d", "--home", str(demo.home)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "got one that has no event" in done.stderr
    assert "424242" not in done.stderr


def test_another_population_is_refused_once_timelines_exist(demo: Ran) -> None:
    before = (demo.home / "simulation" / "simulation.json").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "jalon", "simulate", "demo", "--people=90", f"--home={demo.home}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Hint: Remove" in done.stderr
    assert (demo.home / "simulation" / "simulation.json").read_bytes() == before


def test_a_key_is_made_listed_and_revoked(demo: Ran) -> None:
    home = ("--home", str(demo.home))
    made = jalon_json("key", "demo", "housing", *home)["key"]
    prefix = made.split("_")[1]
    assert prefix in {key["prefix"] for key in jalon_json("key", "demo", *home)["keys"]}
    after = jalon_json("key", "demo", "--revoke", prefix, *home)["keys"]
    assert [key["revoked_at"] is not None for key in after if key["prefix"] == prefix] == [True]
    assert made not in json.dumps(after)


def test_what_is_written_is_for_its_owner_alone(demo: Ran) -> None:
    for file in (demo.home / "state.db", demo.home / "reports" / "ingest.json"):
        assert file.stat().st_mode & 0o077 == 0, file.name
