"""Connections to databases: read-only, one moment for a whole table, faults that tell no secret."""

from __future__ import annotations

import difflib
import socket
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import TableClause, column, create_engine, event, inspect, table
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, NoSuchTableError, SAWarning, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeEngine

from features.errors import ConfigurationError, DataError

__all__ = ["Described", "connected", "described", "place_of"]

SECONDS = 10
"""To wait for a server to answer at all."""

PORTS = {"postgresql": 5432, "mariadb": 3306}

_FORBIDDEN = frozenset({"42501", 1142, 1143})
_CREDENTIALS = frozenset({"28P01", "28000", 1045, 1698})
_NO_DATABASE = frozenset({"3D000", 1044, 1049})
_UNREACHED = frozenset({2002, 2003, 2005})


@dataclass(frozen=True)
class Described:
    """A table or view, as its database describes it.

    Attributes:
        table: For statements.
        types: Of its columns, in their order.
        key: Its primary key; empty for a view, or a table without one.
    """

    table: TableClause
    types: dict[str, TypeEngine[Any]]
    key: tuple[str, ...]


def place_of(url: URL) -> str:
    """Where a database is, for messages: no user, no password.

    Example:
        >>> from sqlalchemy.engine import make_url
        >>> place_of(make_url("mariadb+pymysql://jalon:secret@db.example.org/social"))
        'db.example.org:3306/social'
    """
    kind = url.get_backend_name()
    if kind == "sqlite":
        return Path(str(url.database)).name
    host = url.host or url.query.get("host") or url.query.get("unix_socket") or "localhost"
    return f"{host}:{url.port or PORTS[kind]}/{url.database}"


@contextmanager
def connected(url: URL, name: str) -> Iterator[Connection]:
    """A connection that can only read, and sees one moment of the database until it is closed.

    Args:
        url: Resolved.
        name: The table's, for messages.

    Raises:
        ConfigurationError: the driver is not installed.
        DataError: what the server refused, and what to do; the driver's own text, which may hold
            values and addresses, is left out.
    """
    try:
        engine = _engine(url)
    except ImportError:
        extra = "postgres" if url.get_backend_name() == "postgresql" else "mariadb"
        raise ConfigurationError(
            f"reading table '{name}'",
            expected="the driver of its database",
            got="none installed",
            hint=f"Install jalon[{extra}].",
        ) from None
    try:
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            raise _not_connected(url, name, error) from None
        try:
            with connection:
                kind = url.get_backend_name()
                if kind == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=True)
                elif kind == "sqlite":
                    connection.exec_driver_sql("BEGIN")
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise _failed(url, name, error) from None
        except (OSError, ValueError, OverflowError) as error:
            # What drivers raise themselves at values that Python has no type for.
            raise _fault(url, name, "values that can be read", type(error).__name__) from None
    finally:
        engine.dispose()


def described(connection: Connection, place: tuple[str | None, str], name: str) -> Described:
    """What the database says of a table or view.

    Args:
        connection: Open.
        place: Its schema, or None, and its name there.
        name: As the territory writes it, for messages.

    Raises:
        DataError: no such table, with the nearest names.
    """
    schema, own = place
    found = inspect(connection)
    there = schema is None or schema in found.get_schema_names()
    try:
        if not there:
            raise NoSuchTableError(name)
        with warnings.catch_warnings():
            # Types of extensions, which are read as text.
            warnings.simplefilter("ignore", SAWarning)
            columns = found.get_columns(own, schema=schema)
            key = found.get_pk_constraint(own, schema=schema)["constrained_columns"]
    except NoSuchTableError:
        columns, key = [], []
    if not columns:
        known = _tables(found, schema) if there else []
        near = difflib.get_close_matches(own, known, n=1, cutoff=0.5)
        raise DataError(
            f"reading table '{name}'",
            expected="a table or view that this user may see",
            got=f"{len(known)} other(s) there",
            hint=f"Did you mean '{near[0]}'?"
            if near
            else "Correct 'table' (schema.name), or have the right to read it granted.",
        )
    types = {one["name"]: one["type"] for one in columns}
    made = table(own, *(column(n, t) for n, t in types.items()), schema=schema)
    return Described(made, types, tuple(key))


def _tables(found: Any, schema: str | None) -> list[str]:
    return sorted({*found.get_table_names(schema=schema), *found.get_view_names(schema=schema)})


def _engine(url: URL) -> Engine:
    shared: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    kind = url.get_backend_name()
    if kind == "sqlite":
        return create_engine("sqlite+pysqlite://", creator=lambda: _sqlite(url), **shared)
    if "connect_timeout" not in url.query:
        shared["connect_args"] = {"connect_timeout": SECONDS}
    engine = create_engine(url, isolation_level="REPEATABLE READ", **shared)
    if kind == "mariadb":
        event.listen(engine, "connect", _settle_mariadb)
    return engine


def _sqlite(url: URL) -> sqlite3.Connection:
    path = Path(str(url.database))
    made = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    made.text_factory = lambda value: value.decode("utf-8", "replace")
    # What a file of others defines may call no function with effects.
    made.execute("PRAGMA trusted_schema = OFF")
    return made


def _settle_mariadb(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        # A TIMESTAMP is shown in the session's zone: in UTC, no hour of autumn is meant twice.
        cursor.execute("SET SESSION time_zone = '+00:00'")


def _not_connected(url: URL, name: str, error: SQLAlchemyError) -> DataError:
    """What a server that lets nobody in may mean."""
    if url.get_backend_name() == "sqlite":
        there = Path(str(url.database)).is_file()
        return _fault(
            url,
            name,
            "an SQLite database",
            "other content, or a damaged file" if there else "no such file",
            "Export it again." if there else "Correct the path in 'url'.",
        )
    code = _code(error)
    told = str(getattr(error, "orig", "")).lower()
    if code in _CREDENTIALS or "password" in told or "mot de passe" in told:
        return _fault(
            url,
            name,
            "a user and password that the server takes",
            "a refusal",
            "Correct the user in 'url', or the environment variable of its password.",
        )
    if code in _NO_DATABASE or ("fatal" in told and f'"{url.database}"'.lower() in told):
        return _fault(
            url,
            name,
            "a database of that name, open to this user",
            "none",
            "Correct the database in 'url', or have the right to connect granted.",
        )
    if code in _UNREACHED or not _answers(url):
        return _fault(
            url,
            name,
            "a server that answers",
            f"none within {SECONDS} s",
            "Correct host and port in 'url'; ask whether the server runs and lets this one in.",
        )
    return _fault(
        url,
        name,
        "a connection",
        f"a refusal ({code or type(error).__name__})",
        "Check user, password, database and encryption (sslmode) in 'url'.",
    )


def _answers(url: URL) -> bool:
    host = url.host
    if not host:
        return False
    try:
        socket.create_connection((host, url.port or PORTS[url.get_backend_name()]), SECONDS).close()
    except OSError:
        return False
    return True


def _failed(url: URL, name: str, error: SQLAlchemyError | sqlite3.Error) -> DataError:
    code = _code(error)
    if code in _FORBIDDEN:
        return _fault(
            url,
            name,
            "the right to read it",
            "a refusal",
            "Have SELECT on that table granted to the user of 'url'"
            + (" (on a view, SHOW VIEW too)." if url.get_backend_name() == "mariadb" else "."),
        )
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return _fault(
            url,
            name,
            "a connection that holds until the last row",
            "one that was cut off",
            "Run the ingest again: what is in the timelines already adds nothing.",
        )
    return _fault(
        url,
        name,
        "rows that can be read",
        f"a refusal ({code or type(error).__name__})",
        "Read the server's log of this moment, or give a view that reads without error.",
    )


def _fault(url: URL, name: str, expected: str, got: str, hint: str | None = None) -> DataError:
    return DataError(
        f"reading table '{name}' of {place_of(url)}",
        expected=expected,
        got=got,
        hint=hint or "Give a view that leaves such values out.",
    )


def _code(error: BaseException) -> str | int | None:
    """The server's own code of a fault: five characters of PostgreSQL, a number of MariaDB."""
    cause: Any = getattr(error, "orig", None)
    first = cause.args[0] if cause is not None and cause.args else None
    if isinstance(first, int):
        return first
    state: str | None = getattr(cause, "sqlstate", None)
    return state
