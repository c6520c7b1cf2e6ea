"""API keys: one per calling service, shown once, kept as a salted hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from features.errors import JalonError
from features.settings import FeaturesSettings
from features.territory import Territory
from serving.database import ApiKey, Database, utc_now
from serving.settings import ServingSettings

__all__ = [
    "Caller",
    "KeyRecord",
    "authenticate",
    "create_key",
    "list_keys",
    "new_key",
    "revoke_key",
]

FORM = re.compile(r"jalon_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True)
class Caller:
    """Who calls: the service its key was made for, and the key's public prefix."""

    service: str
    prefix: str


@dataclass(frozen=True)
class KeyRecord:
    """What may be shown of a key; never its secret, nor the hash."""

    prefix: str
    service: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def create_key(territory: Territory, service: str, *, expires_at: datetime | None = None) -> str:
    """Make a key for a service of the territory and return it, the only time it can be read.

    Args:
        territory: The territory whose state database keeps the key.
        service: The calling service, as named in `features.sources.*.service`.
        expires_at: UTC without zone; by default the key does not expire.

    Returns:
        ``jalon_<prefix>_<secret>``; the prefix is public and names the key in lists.

    Raises:
        JalonError: the territory has no such service.
    """
    features = territory.section("features", FeaturesSettings)
    database = Database.open(territory, territory.section("serving", ServingSettings))
    try:
        return new_key(database, features.services, service, expires_at=expires_at)
    finally:
        database.close()


def new_key(
    database: Database,
    services: Sequence[str],
    service: str,
    *,
    expires_at: datetime | None = None,
) -> str:
    """Make a key in an open database; see :func:`create_key`.

    The secret has 256 bits from the operating system, so one SHA-256 over salt and secret is
    enough: slow hashes exist for passwords, which can be guessed, and would only slow each call.
    """
    if service not in services:
        raise JalonError(
            "making an API key: the service",
            expected="one of " + ", ".join(services),
            got="another name",
            hint="Give a service named in the territory file.",
        )
    prefix, secret, salt = secrets.token_hex(6), secrets.token_hex(32), secrets.token_bytes(16)
    row = {
        "prefix": prefix,
        "service": service,
        "salt": salt,
        "hashed": _hash(salt, secret),
        "created_at": utc_now(),
        "expires_at": expires_at,
    }
    with database.engine.begin() as connection:
        connection.execute(insert(ApiKey), row)
    return f"jalon_{prefix}_{secret}"


def authenticate(database: Database, header: str | None) -> Caller | None:
    """The caller behind an ``Authorization`` header, or None without a key in force.

    A wrong prefix costs the same hash and comparison as a wrong secret, and both give None: a
    caller cannot tell which keys exist.

    Args:
        database: Where the keys are.
        header: The header's text, ``Bearer jalon_...``.
    """
    scheme, _, token = (header or "").partition(" ")
    match = FORM.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
    if match is None:
        return None
    prefix, secret = match.groups()
    with database.engine.connect() as connection:
        key = connection.execute(select(ApiKey.__table__).where(ApiKey.prefix == prefix)).first()
    salt, expected = (key.salt, key.hashed) if key is not None else (b"\0" * 16, b"\0" * 32)
    same = hmac.compare_digest(_hash(salt, secret), expected)
    if key is None or not same or key.revoked_at is not None:
        return None
    if key.expires_at is not None and key.expires_at <= utc_now():
        return None
    return Caller(key.service, key.prefix)


def list_keys(database: Database) -> list[KeyRecord]:
    """Every key ever made, oldest first, without secrets."""
    query = select(
        ApiKey.prefix, ApiKey.service, ApiKey.created_at, ApiKey.expires_at, ApiKey.revoked_at
    ).order_by(ApiKey.created_at, ApiKey.prefix)
    with database.engine.connect() as connection:
        return [KeyRecord(*row) for row in connection.execute(query)]


def revoke_key(database: Database, prefix: str) -> None:
    """Refuse a key from now on; its record stays.

    Raises:
        JalonError: no key in force has this prefix.
    """
    with database.engine.begin() as connection:
        done = connection.execute(
            update(ApiKey)
            .where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
            .values(revoked_at=utc_now())
        )
        if done.rowcount == 0:
            raise JalonError(
                "revoking an API key",
                expected="the prefix of a key in force",
                got="none of that prefix",
                hint="List the keys and copy the twelve characters after 'jalon_'.",
            )


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode("ascii")).digest()
