from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from features.errors import ConfigurationError, JalonError
from features.territory import Territory
from serving.database import Base, Database, connect, make_url
from serving.database import database_url as url_of
from serving.migration import current, downgrade, newest, upgrade
from serving.settings import ServingSettings

AT = datetime(2025, 12, 31, 23)


def score(subject: int, **changes: Any) -> dict[str, Any]:
    row = {
        "score_id": f"{subject:032x}",
        "subject_id": subject,
        "prediction_time": AT,
        "risk": 0.123456789012345,
        "raw": -1.9,
        "band": "low",
        "model_name": "jalon-demo",
        "model_version": "1",
        "matrix_hash": "a" * 64,
        "data_version": 3,
        "catalogue_hash": "b" * 64,
        "reasons": {"raises": [{"theme": "contact", "facts": {"fr": "absences été"}}]},
        "themes": {"contact": 0.25},
        "created_at": AT,
    }
    return row | changes


def test_the_schema_goes_up_down_and_up_again(database_url: str) -> None:
    engine = connect(make_url(database_url))
    if engine.dialect.name == "postgresql":
        assert engine.dialect.driver == "psycopg"
    assert current(engine) is None
    upgrade(engine)
    assert current(engine) == newest()
    assert {"api_keys", "scores"} <= set(inspect(engine).get_table_names())
    downgrade(engine)
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    upgrade(engine)
    upgrade(engine)
    assert current(engine) == newest()
    engine.dispose()


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_eight_openers_at_once_migrate_once(database_url: str) -> None:
    def open_and_close(_: int) -> str | None:
        opened = Database.at(database_url)
        try:
            return current(opened.engine)
        finally:
            opened.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(open_and_close, range(8))) == {newest()}


def test_a_schema_of_a_newer_jalon_is_refused(database_url: str) -> None:
    opened = Database.at(database_url)
    with opened.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    with pytest.raises(JalonError, match="a newer one"):
        Database.at(database_url)


def test_scores_come_back_as_they_went_in(database: Database) -> None:
    assert database.add_scores([score(2**62 + 1), score(5)]) == 2
    found = database.scores_of(None, prediction_time=AT, model_version="1", data_version=3)
    assert found == {2**62 + 1: score(2**62 + 1), 5: score(5)}
    one = database.scores_of([5, 6], prediction_time=AT, model_version="1", data_version=3)
    assert list(one) == [5]


def test_scoring_twice_stores_once(database: Database) -> None:
    rows = [score(subject) for subject in range(1, 8)]
    assert database.add_scores(rows[:4], chunk=3) == 4
    again = [score(subject, risk=0.9) for subject in range(1, 8)]
    assert database.add_scores(again, chunk=3) == 3
    found = database.scores_of(None, prediction_time=AT, model_version="1", data_version=3)
    assert [found[subject]["risk"] for subject in (4, 5)] == [rows[3]["risk"], 0.9]
    later = AT + timedelta(days=1)
    assert not database.scores_of(None, prediction_time=later, model_version="1", data_version=3)


def test_sqlite_is_written_ahead(tmp_path: Path) -> None:
    database = Database.at(f"sqlite:///{tmp_path / 'deep' / 'state.db'}")
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    database.close()


def test_errors_carry_no_values(database: Database) -> None:
    from sqlalchemy.exc import StatementError

    database.add_scores([score(1)])
    with pytest.raises(StatementError) as caught, database.engine.begin() as connection:
        connection.execute(Base.metadata.tables["scores"].insert(), score(1, score_id="secret-id"))
    assert "secret-id" not in str(caught.value)


def test_a_server_that_does_not_answer_is_a_clear_error() -> None:
    with pytest.raises(JalonError, match="Hint: Check that its server runs"):
        Database.at("postgresql+psycopg://nobody@127.0.0.1:1/none")


def test_the_address_of_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "territory.yaml"
    file.write_text("serving: {}\n")
    territory = Territory.open(file, home=tmp_path / "home")
    monkeypatch.delenv("JALON_DATABASE", raising=False)
    assert url_of(territory, ServingSettings()).database == str(tmp_path / "home" / "state.db")
    url = url_of(territory, ServingSettings(database="postgresql://u@h/name"))
    assert url.drivername == "postgresql+psycopg"
    monkeypatch.setenv("JALON_DATABASE", "mysql://u@h/name")
    with pytest.raises(ConfigurationError, match="JALON_DATABASE"):
        url_of(territory, ServingSettings())
