"""The schema of the state database, moved up and down by Alembic from inside the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Connection, Engine, text

from features.errors import JalonError

__all__ = ["current", "downgrade", "newest", "upgrade"]

LOCK = 0x6A616C6F6E
"""Number of the advisory lock under which one process migrates a PostgreSQL database."""


def current(engine: Engine) -> str | None:
    """The revision a database is at; None when it has no table yet."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision this Jalon works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise JalonError("looking for migrations", hint="Install Jalon again: its files miss.")
    return head


def upgrade(engine: Engine) -> None:
    """Bring a database to the newest schema; does nothing when it is there.

    One process migrates at a time: the others wait, then find nothing to do.

    Raises:
        JalonError: the database was written by a newer Jalon.
    """
    if current(engine) == newest():
        return
    with _alone(engine) as connection:
        at = MigrationContext.configure(connection).get_current_revision()
        known = {
            script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()
        }
        if at is not None and at not in known:
            raise JalonError(
                "opening the state database: its schema",
                expected="a revision this version of Jalon knows",
                got="a newer one",
                hint="Install the version of Jalon that wrote it, or a later one.",
            )
        command.upgrade(_config(connection), "head")


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Take a database back to a revision (`base`: no table left); dropped tables lose data."""
    with _alone(engine) as connection:
        command.downgrade(_config(connection), revision)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other migrating process shares."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield connection
        return
    file = engine.url.database
    if not file or file == ":memory:":
        with engine.begin() as connection:
            yield connection
        return
    with FileLock(f"{file}.lock", timeout=60), engine.begin() as connection:
        yield connection
