"""The state database: API keys and scores, in SQLite by default, in PostgreSQL by a URL."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Double,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    create_engine,
    event,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from features.errors import ConfigurationError, JalonError
from features.territory import Territory
from serving.settings import ServingSettings

__all__ = ["ApiKey", "Base", "Database", "Score", "database_url", "utc_now"]


class Base(DeclarativeBase):
    """Tables of the state database; instants are UTC without zone."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy reads it from the class
        dict[str, Any]: JSON().with_variant(postgresql.JSONB(), "postgresql"),
        datetime: DateTime(),
        float: Double(),
    }


class ApiKey(Base):
    """A service's key: its public prefix, and a salted hash of its secret."""

    __tablename__ = "api_keys"

    prefix: Mapped[str] = mapped_column(String(16), primary_key=True)
    service: Mapped[str] = mapped_column(String(200), index=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    hashed: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Score(Base):
    """One person's risk at one prediction time, by one model, on one version of the data.

    `band` is the one of the thresholds in force when the score was made; readers that follow the
    territory file take it from `risk` again.
    """

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("subject_id", "prediction_time", "model_version", "data_version"),
        Index("ix_scores_run", "prediction_time", "model_version", "data_version", "risk"),
    )

    score_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    subject_id: Mapped[int] = mapped_column(BigInteger)
    prediction_time: Mapped[datetime]
    risk: Mapped[float]
    raw: Mapped[float]
    band: Mapped[str] = mapped_column(String(16))
    model_name: Mapped[str] = mapped_column(String(200))
    model_version: Mapped[str] = mapped_column(String(64))
    matrix_hash: Mapped[str] = mapped_column(String(64))
    data_version: Mapped[int] = mapped_column(BigInteger)
    catalogue_hash: Mapped[str] = mapped_column(String(64))
    reasons: Mapped[dict[str, Any]]
    themes: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


def utc_now() -> datetime:
    """The present in UTC without zone, as the tables keep instants."""
    return datetime.now(UTC).replace(tzinfo=None)


def database_url(territory: Territory, settings: ServingSettings) -> URL:
    """Where the state lies: `JALON_DATABASE`, the file's `database:`, or `state.db` at home.

    Raises:
        ConfigurationError: the URL cannot be read, or is of another system.
    """
    text = os.environ.get("JALON_DATABASE") or settings.database
    if not text:
        return URL.create("sqlite", database=str(territory.home.resolve() / "state.db"))
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise _no_url() from error
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite":
        return url
    raise _no_url()


def _no_url() -> ConfigurationError:
    return ConfigurationError(
        "reading the address of the state database",
        expected="sqlite:///file or postgresql://user@host/name",
        got="another form",
        hint="Correct 'serving.database' or JALON_DATABASE, or leave both out.",
    )


class Database:
    """The state database, at the newest schema.

    Statements never carry values in error texts (`hide_parameters`), since texts reach logs.

    Attributes:
        engine: SQLAlchemy's; safe for threads.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, territory: Territory, settings: ServingSettings) -> Database:
        """Open a territory's state and bring its schema up to date.

        Raises:
            JalonError: the server does not answer, or the schema is newer than this Jalon.
        """
        return cls.at(database_url(territory, settings))

    @classmethod
    def at(cls, url: URL | str) -> Database:
        """Open the state at a URL and bring its schema up to date."""
        from serving.migration import upgrade

        database = cls(connect(make_url(url)))
        try:
            upgrade(database.engine)
        except OperationalError as error:
            database.close()
            raise JalonError(
                "opening the state database",
                expected="a database that answers and can be written",
                got=type(error.orig).__name__,
                hint="Check that its server runs, and 'serving.database' or JALON_DATABASE.",
            ) from error
        except JalonError:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def add_scores(self, scores: Iterable[Score | dict[str, Any]], chunk: int = 2_000) -> int:
        """Store scores, a chunk per transaction; one that is already there is left as it is.

        Returns:
            How many were new.
        """
        rows = [_row(score) for score in scores]
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(Score).on_conflict_do_nothing().returning(Score.score_id)
        added = 0
        for start in range(0, len(rows), chunk):
            with self.engine.begin() as connection:
                added += len(connection.execute(statement, rows[start : start + chunk]).all())
        return added

    def scores_of(
        self,
        subjects: Sequence[int] | None,
        *,
        prediction_time: datetime,
        model_version: str,
        data_version: int,
    ) -> dict[int, dict[str, Any]]:
        """Stored scores by subject, all of a run when `subjects` is None."""
        table = Score.__table__
        query = select(table).where(
            Score.prediction_time == prediction_time,
            Score.model_version == model_version,
            Score.data_version == data_version,
        )
        if subjects is not None:
            query = query.where(Score.subject_id.in_(subjects))
        with self.engine.connect() as connection:
            return {row["subject_id"]: dict(row) for row in connection.execute(query).mappings()}

    def risks_of(
        self, *, prediction_time: datetime, model_version: str, data_version: int
    ) -> dict[int, float]:
        """Risk by subject of every stored score of a run, without the reasons."""
        query = select(Score.subject_id, Score.risk).where(
            Score.prediction_time == prediction_time,
            Score.model_version == model_version,
            Score.data_version == data_version,
        )
        with self.engine.connect() as connection:
            return {row.subject_id: row.risk for row in connection.execute(query)}


def _row(score: Score | dict[str, Any]) -> dict[str, Any]:
    if isinstance(score, dict):
        return score
    return {column.key: getattr(score, column.key) for column in Score.__table__.columns}


def _compact(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def connect(url: URL) -> Engine:
    """An engine for a URL; SQLite in write-ahead mode, waiting for a writer up to 15 s."""
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url, hide_parameters=True, json_serializer=_compact, pool_pre_ping=True
        )
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, hide_parameters=True, json_serializer=_compact, connect_args={"timeout": 15}
    )

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine
