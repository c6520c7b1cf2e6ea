"""A service that runs for weeks: new events and a new champion come while it is open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
import yaml

from features.events import EVENTS
from features.territory import Territory
from features.timelines import Timelines
from serving.answering import Scorer
from serving.database import Database
from serving.settings import ServingSettings
from training.registry import load_champion, open_registry

if TYPE_CHECKING:
    from tests.serving.conftest import Town

AT = datetime(2025, 12, 31, 23)


@pytest.fixture
def scorer(town: Town, tmp_path: Path) -> Iterator[Scorer]:
    """An open copy of the tiny territory, which a test may change."""
    home = shutil.copytree(town.territory.home, tmp_path / "home")
    content = yaml.safe_load(town.territory.file.read_text(encoding="utf-8"))
    content.setdefault("serving", {})["refresh_seconds"] = 0
    file = tmp_path / town.territory.name / "territory.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    territory = Territory.open(file, home=home)
    database = Database.open(territory, territory.section("serving", ServingSettings))
    yield Scorer.open(territory, database)
    database.close()


def test_new_events_are_taken_up(town: Town, scorer: Scorer) -> None:
    dossier = town.at_risk(1)[0]
    subject = town.subjects([dossier])[0]
    (before,) = scorer.score_persons(["social"], [dossier], AT)
    event = {
        "subject_id": subject,
        "time": AT - timedelta(days=3),
        "code": "CONTACT//APPOINTMENT//EXCUSED",
        "recorded_at": AT - timedelta(days=2),
        "source": "social",
        "event_id": "new",
    }
    outside = Timelines.open(scorer.territory.home / "timelines")
    outside.append(pa.Table.from_pylist([event], schema=EVENTS), label="test")
    (after,) = scorer.score_persons(["social"], [dossier], AT)
    assert before.score is not None
    assert after.score is not None
    assert after.score["data_version"] == outside.version > before.score["data_version"]
    assert after.score["score_id"] != before.score["score_id"]
    (again,) = scorer.score_persons(["social"], [dossier], AT)
    assert again.score == after.score


def test_a_new_champion_is_taken_up(town: Town, scorer: Scorer) -> None:
    dossier = town.at_risk(1)[0]
    (before,) = scorer.score_persons(["social"], [dossier], AT)
    champion = load_champion(scorer.territory)
    registry = open_registry(scorer.territory)
    folder = next((scorer.territory.home / "mlflow" / "artifacts").rglob("champion"))
    version = registry.register(
        champion.run_id, folder, names=champion.catalogue.names, params={}, tags={}
    )
    (after,) = scorer.score_persons(["social"], [dossier], AT)
    assert before.score is not None
    assert after.score is not None
    assert after.score["model_version"] == version != before.score["model_version"]
    assert after.score["risk"] == before.score["risk"]


def test_many_people_at_once_are_as_each_alone(town: Town, scorer: Scorer) -> None:
    chosen = town.dossiers[:30]
    at = datetime(2025, 5, 31, 22)
    systems = ["social"] * len(chosen)
    together = scorer.score_persons(systems, chosen, at)
    assert {outcome.status for outcome in together} >= {"scored", "not_at_risk"}
    assert scorer.score_persons(systems[:1] * 30, chosen, at) == together
    twice = scorer.score_persons(["social"] * 2, [chosen[0]] * 2, at)
    assert twice[0] == twice[1] == together[0]


def test_nobody_asked_is_nobody_answered(scorer: Scorer) -> None:
    assert scorer.score_persons([], [], AT) == []
    assert scorer.score_timelines([], AT) == []
