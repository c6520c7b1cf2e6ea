"""The files, read as their page says, tell the story the truth was judged on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow.parquet as pq
import pytest

from simulator import Summary, layout, simulate
from simulator.clock import midnights

from . import slow_rules
from .test_exports import employment, social

PARIS = ZoneInfo("Europe/Paris")
EPOCH = datetime(2023, 1, 1, tzinfo=UTC)
FRENCH, ISO = "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S"


def minutes(text: Any, pattern: str | None) -> int | None:
    """UTC minutes of a cell; None when it holds no instant of the years simulated."""
    if pattern is None:
        when = text if isinstance(text, datetime) and text == text else None
    else:
        try:
            parsed = datetime.fromisoformat(text) if pattern == "iso" else None
            when = parsed or datetime.strptime(text, pattern).replace(tzinfo=PARIS)
        except (TypeError, ValueError):
            when = None
    if when is None or not 2015 < when.year < 2030:
        return None
    return round((when - EPOCH).total_seconds() / 60)


def latest(frame: pd.DataFrame, entry: str, pattern: str | None) -> list[dict[str, Any]]:
    """The last version of each row, by its entry date."""
    key = frame.columns[0]
    best: dict[str, tuple[int, dict[str, Any]]] = {}
    for row in frame.to_dict("records"):
        when = minutes(row[entry], pattern)
        order = when if when is not None else -(10**9)
        if row[key] not in best or order > best[row[key]][0]:
            best[row[key]] = (order, row)
    return [row for _, row in best.values()]


def json_lines(path: Path) -> pd.DataFrame:
    return pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])


def told(folder: Path) -> Iterator[tuple[str, Any, list[int]]]:
    """Service, own person id and event (time, kind, a, b) of what decides a rupture."""

    def event(kind: int, t: int | None, a: int, b: int) -> list[int] | None:
        return None if t is None else [0, kind, t, -1, a, b, -1, 0]

    base = sqlite3.connect(folder / "exports/housing/housing.sqlite")
    housing = pd.read_sql("SELECT * FROM rendez_vous", base)
    base.close()
    training = folder / "exports" / "training"
    visits = [
        ("social", social(folder, "rendez_vous"), "numero_dossier", "date_rdv", "date_statut",
         "statut", ("HON", "ABS"), FRENCH),
        ("employment", employment(folder, "entretiens"), "identifiant_unique_de",
         "date_entretien", "date_statut", "statut", ("R", "A"), ISO),
        ("health", json_lines(folder / "exports/health/rendez_vous.jsonl"), "id_patient",
         "prevu_le", "saisi_le", "statut", ("honore", "absent"), "iso"),
        ("housing", housing, "id_personne", "prevu_le", "statut_le", "statut", (1, 3), ISO),
        ("training", pq.read_table(training / "rendez_vous.parquet").to_pandas(), "id_stagiaire",
         "prevu_le", "statut_le", "statut", ("PRESENT", "ABSENT"), None),
    ]  # fmt: skip
    for number, (service, frame, person, due, entry, code, (seen, missed), how) in enumerate(
        visits
    ):
        for row in latest(frame, entry, how):
            status = {seen: layout.SEEN, missed: layout.NOSHOW}.get(row[code])
            made = status and event(
                layout.K_APPOINTMENT, minutes(row[due], how), status, number
            )  # fmt: skip
            if made:
                yield service, row[person], made

    receivers = {"DEPT": 0, "FT": 1, "SANTE": 2, "LOGT": 3, "FORM": 4}
    decided = {"ORI-SOC": 0, "ORI-PRO": 1, "ORI-SPR": 2, "REO-DEM": 3, "REO-ACC": 4, "REO-REF": 5}
    for row in latest(social(folder, "orientations"), "date_saisie", FRENCH):
        made = event(
            layout.K_ORIENTATION, minutes(row["date_decision"], FRENCH),
            decided.get(row["code_orientation"], -1),
            receivers.get(row["service_destinataire"], -1),
        )  # fmt: skip
        if made and made[layout.T_A] >= 0:
            yield "social", row["numero_dossier"], made
    for row in latest(social(folder, "relais"), "date_saisie_reponse", FRENCH):
        made = event(
            layout.K_REFERRAL_ANSWER, minutes(row["date_reponse"], FRENCH),
            0 if row["reponse"] == "ACC" else 1, receivers.get(row["service_destinataire"], -1),
        )  # fmt: skip
        if made and made[layout.T_B] >= 0:
            yield "social", row["numero_dossier"], made
    theirs = {"SOCIAL": 0, "SANTE": 2, "LOGEMENT": 3, "FORMATION": 4}
    for row in latest(employment(folder, "prescriptions"), "date_enreg_suite", ISO):
        made = event(
            layout.K_REFERRAL_ANSWER, minutes(row["date_suite"], ISO),
            0 if row["suite"] == "A" else 1, theirs.get(row["service_destinataire"], -1),
        )  # fmt: skip
        if made and made[layout.T_B] >= 0:
            yield "employment", row["identifiant_unique_de"], made
    for row in latest(employment(folder, "emplois"), "date_enreg_fin", ISO):
        if row["type_debut"] == "EMP-D":
            made = event(layout.K_WORK, minutes(row["date_debut"], ISO), layout.W_JOB, -1)
            if made:
                yield "employment", row["identifiant_unique_de"], made
        if row["type_debut"] == "IAE-D" and row["type_fin"] == "IAE-R":
            made = event(layout.K_WORK_END, minutes(row["date_fin"], ISO), layout.W_IAE, 1)
            if made:
                yield "employment", row["identifiant_unique_de"], made
    steps = {"FP": (0, 0), "FI": (0, 1), "FE": (0, 2), "FT": (0, 3), "FA": (0, 4), "AP": (1, 0),
             "AI": (1, 1), "AE": (1, 2), "AT": (1, 3), "AR": (1, 4)}  # fmt: skip
    courses = pq.read_table(training / "parcours.parquet").to_pandas()
    for row in latest(courses, "saisi_le", None):
        if row["code"] in steps:
            made = event(layout.K_LEARNING, minutes(row["date_etat"], None), *steps[row["code"]])
            if made:
                yield "training", row["id_stagiaire"], made
    exits = dict(zip(("EMP", "FOR", "FDD", "DEM", "RET", "DCD", "AGE", "ABD", "SSO"), range(9),
                     strict=True))  # fmt: skip
    for row in latest(social(folder, "sorties"), "date_saisie", FRENCH):
        if row["motif"] in exits:
            made = event(
                layout.K_EXIT, minutes(row["date_sortie"], FRENCH), exits[row["motif"]], -1
            )
            if made:
                yield "social", row["numero_dossier"], made


@pytest.fixture(scope="module")
def told_set(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return simulate(
        tmp_path_factory.mktemp("told") / "set", people=400, truth_rows=1200, truth_runs=1
    )


def test_files_tell_the_outcomes_of_the_truth(told_set: Summary) -> None:
    folder = told_set.folder
    persons = pq.read_table(folder / "truth" / "persons.parquet").to_pandas()
    number = {
        (service, own): int(person)
        for service in layout.SERVICES
        for person, own in zip(persons["person"], persons[f"{service}_id"], strict=True)
        if own == own and own is not None
    }
    events: dict[int, list[list[int]]] = {}
    for service, own, event in told(folder):
        if (service, own) in number:
            events.setdefault(number[service, own], []).append(event)
    rows = pq.read_table(folder / "truth" / "rupture_probability.parquet").to_pandas()
    until = int(midnights()[-1])
    same = 0
    for row in rows.to_dict("records"):
        t = minutes(row["prediction_time"].to_pydatetime().replace(tzinfo=UTC), None)
        assert t is not None
        expected = row["onset_rule"] if row["outcome"] == "rupture" else row["outcome"]
        found = slow_rules.row(events[number["social", row["social_id"]]], t, until)
        same += found == expected
    # What differs was entered after the end of observation, and so is in no file.
    assert same / len(rows) > 0.98, (same, len(rows))
