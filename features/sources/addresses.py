"""The address of a database, as a territory may write it: no secret stands in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from features.errors import ConfigurationError

__all__ = ["Address"]

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mariadb": "mariadb+pymysql",
    "mysql": "mariadb+pymysql",
    "sqlite": "sqlite+pysqlite",
}
"""By the word before `://`, the driver that is used."""

ASKED = frozenset(
    {
        *("host", "port", "unix_socket", "connect_timeout", "application_name"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey"),
        *("ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity"),
    }
)
"""What may follow the `?`: nothing that could hold a secret, or have the server run something."""

_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Address:
    """Where a database is, with `${NAME}` in place of what the environment holds.

    Attributes:
        text: As written; it may be one `${NAME}` that holds all of it.

    Example:
        >>> address = Address.of("postgresql://jalon:${SOCIAL_PASSWORD}@db.example.org/social")
        >>> address
        Address()
        >>> Address.of("postgresql://jalon:secret@db.example.org/social")
        Traceback (most recent call last):
        ValueError: url holds a password. Hint: Write ${NAME} in its place, and put it in that
        environment variable
    """

    text: str = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Address:
        """An address that was looked at.

        Raises:
            ValueError: what is wrong with it, with ``. Hint: `` before the remedy.
        """
        if not _NAMED.fullmatch(text):
            url = _parsed(text)
            if url.password is not None and _NAMED.sub("", str(url.password)):
                raise ValueError(
                    "url holds a password. Hint: Write ${NAME} in its place, and put it in that "
                    "environment variable"
                )
        return cls(text)

    def resolved(self, folder: Path) -> URL:
        """The address with all that the environment holds, for the driver.

        Args:
            folder: What the path of an SQLite database is relative to.

        Raises:
            ConfigurationError: a variable that is not set, or that holds no address.
        """
        missing = sorted({n for n in _NAMED.findall(self.text) if not os.environ.get(n)})
        if missing:
            raise ConfigurationError(
                "connecting to a database",
                expected="environment variable(s) " + ", ".join(missing),
                got="none of that name, or empty",
                hint="Set them where the ingest runs.",
            )
        if whole := _NAMED.fullmatch(self.text):
            try:
                url = _parsed(os.environ[whole[1]])
            except ValueError as error:
                rule, _, hint = str(error).partition(". Hint: ")
                raise ConfigurationError(
                    f"connecting to the database of environment variable {whole[1]}",
                    expected="the address of a database",
                    got=rule,
                    hint=hint + ".",
                ) from None
        else:
            url = _parsed(self.text)
            url = url.set(
                username=_filled(url.username),
                password=None if url.password is None else _filled(str(url.password)),
                host=_filled(url.host),
                database=_filled(url.database),
            )
        if url.get_backend_name() == "sqlite":
            return url.set(database=str((folder / str(url.database)).resolve()))
        return url


def _filled(part: str | None) -> str | None:
    return None if part is None else _NAMED.sub(lambda met: os.environ[met[1]], part)


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(
            "url is no address of a database. Hint: Write it as "
            "postgresql://user:${PASSWORD}@host:5432/database"
        ) from None
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None or url.drivername not in (url.get_backend_name(), driver):
        raise ValueError(
            "url is of no kind of database that is read. Hint: Begin it with postgresql://, "
            "mariadb:// or sqlite:///"
        )
    strange = sorted(set(url.query) - ASKED)
    if strange:
        raise ValueError(
            f"url asks for {len(strange)} setting(s) that are not taken. Hint: After ? keep only "
            + ", ".join(sorted(ASKED))
        )
    if not url.database:
        raise ValueError(
            "url names no database. Hint: Write its name after the host, as host:5432/database"
        )
    return url.set(drivername=driver)
