from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import delete, select

from features.errors import JalonError
from features.territory import Territory
from features.timelines import Timelines
from serving.database import Score
from serving.scoring import score_cohort, score_territory
from serving.settings import ServingSettings
from training.registry import load_champion

if TYPE_CHECKING:
    from tests.serving.conftest import Town


def rows_of(town: Town) -> list[dict[str, Any]]:
    database = town.database()
    with database.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(select(Score.__table__)).mappings()]
    database.close()
    return sorted(rows, key=lambda row: str(row["score_id"]))


def test_everyone_at_risk_is_scored_with_reasons(town: Town) -> None:
    report = town.report
    assert report.people == report.new == sum(report.bands.values())
    assert report.people > 50
    champion = load_champion(town.territory)
    assert report.model == f"{champion.model.kind} {champion.version}"
    assert report.prediction_time == "2026-01-01T00:00:00+01:00"
    batch = [r for r in rows_of(town) if str(r["prediction_time"]).startswith("2025-12-31 23")]
    assert len(batch) == report.people
    for row in batch:
        assert 0 < row["risk"] < 1
        reasons = row["reasons"]
        for way in ("raises", "lowers"):
            assert len(reasons[way]) <= 5
            for reason in reasons[way]:
                assert set(reason["facts"]) == {"fr", "en"}
                assert len(reason["facts"]["fr"]) == len(reason["facts"]["en"]) >= 1
        total = reasons["base"] + sum(row["themes"].values())
        assert total == pytest.approx(row["raw"], abs=1e-6)
        assert len(reasons["raises"]) + len(reasons["lowers"]) >= 3


def test_scoring_twice_stores_nothing_new(town: Town) -> None:
    before = rows_of(town)
    again = score_territory(town.territory)
    assert (again.people, again.new) == (town.report.people, 0)
    assert again.bands == town.report.bands
    assert rows_of(town) == before


def test_a_batch_that_was_stopped_goes_on_to_the_same_scores(town: Town) -> None:
    before = rows_of(town)
    lost = [row["score_id"] for row in before][::3]
    database = town.database()
    with database.engine.begin() as connection:
        connection.execute(delete(Score).where(Score.score_id.in_(lost)))
    database.close()
    resumed = score_territory(town.territory)
    assert resumed.bands == town.report.bands
    after = rows_of(town)
    kept = {row["score_id"]: row for row in after}
    same = ("risk", "raw", "band", "reasons", "themes", "catalogue_hash", "model_version")
    for row in before:
        if str(row["prediction_time"]) == "2025-12-31 23:00:00":
            assert [kept[row["score_id"]][k] for k in same] == [row[k] for k in same]


def test_the_batch_is_the_same_in_either_database(
    town: Town, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JALON_DATABASE", database_url)
    first = score_territory(town.territory)
    second = score_territory(town.territory)
    assert (first.new, second.new) == (town.report.people, 0)
    assert first.bands == second.bands == town.report.bands
    there = {row["score_id"]: row for row in rows_of(town)}
    monkeypatch.delenv("JALON_DATABASE")
    for row in rows_of(town):
        if row["score_id"] in there:
            same = set(row) - {"created_at", "matrix_hash"}
            assert {k: row[k] for k in same} == {k: there[row["score_id"]][k] for k in same}


def test_one_person_alone_scores_as_in_the_batch(town: Town) -> None:
    bands = town.territory.section("serving", ServingSettings).bands
    timelines = Timelines.open(town.territory.home / "timelines")
    champion = load_champion(town.territory)
    assert champion.peers is not None  # the default catalogue ranks people among their peers
    for row in rows_of(town)[:5]:
        cohort = pa.table(
            {
                "subject_id": pa.array([row["subject_id"]], pa.int64()),
                "prediction_time": pa.array([row["prediction_time"]], pa.timestamp("us")),
            }
        )
        events = timelines.read(np.array([row["subject_id"]], np.int64))
        (alone,) = score_cohort(
            champion,
            events,
            cohort,
            bands=bands,
            data_version=timelines.version,
        )
        for key in ("score_id", "risk", "raw", "band", "reasons", "themes"):
            assert alone[key] == row[key]


def test_an_empty_cohort_has_no_scores(town: Town) -> None:
    report = score_territory(town.territory, at="2023-01-01")
    assert (report.people, report.new) == (0, 0)
    assert report.bands == {"high": 0, "medium": 0, "low": 0}


def test_without_timelines_or_champion_the_next_command_is_named(
    town: Town, tmp_path: Path
) -> None:
    nothing = Territory.open(town.territory.file, home=tmp_path)
    with pytest.raises(JalonError, match=r"Hint: .*jalon "):
        score_territory(nothing)


def test_a_prediction_time_out_of_range_is_refused(town: Town) -> None:
    with pytest.raises(JalonError, match="Hint: Choose a date"):
        score_territory(town.territory, at="1999-01-01")
