from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from features.errors import JalonError
from serving.access import Caller, authenticate, list_keys, new_key, revoke_key
from serving.database import ApiKey, Database, utc_now

SERVICES = ("social", "employment")


def test_a_key_opens_the_door_of_its_service(database: Database) -> None:
    social = new_key(database, SERVICES, "social")
    employment = new_key(database, SERVICES, "employment")
    assert authenticate(database, f"Bearer {social}") == Caller("social", social.split("_")[1])
    assert authenticate(database, f"bearer {employment}").service == "employment"  # type: ignore[union-attr]


def test_the_secret_is_nowhere_in_the_database(database: Database) -> None:
    keys = [new_key(database, SERVICES, "social") for _ in range(2)]
    with database.engine.connect() as connection:
        rows = connection.execute(select(ApiKey.__table__)).all()
    for key in keys:
        secret = key.split("_")[2]
        assert not any(secret in repr(row) or bytes.fromhex(secret) in row for row in rows)
    assert len({row.salt for row in rows}) == len({row.hashed for row in rows}) == 2
    assert "salt" not in repr(list_keys(database))


def test_wrong_revoked_and_expired_keys_open_nothing(database: Database) -> None:
    key = new_key(database, SERVICES, "social")
    _, prefix, secret = key.split("_")
    other = "0" * 64
    for header in (
        None, "", "Bearer", "Bearer ", key, f"Basic {key}", f"Bearer {key}x", f"Bearer x{key}",
        f"Bearer jalon_{prefix}_{other}", f"Bearer jalon_{'0' * 12}_{secret}",
        f"Bearer jalon_{prefix}_{secret.upper()}", f"Bearer {key} {key}",
    ):  # fmt: skip
        assert authenticate(database, header) is None, header
    expired = new_key(
        database, SERVICES, "social", expires_at=utc_now() - timedelta(microseconds=1)
    )
    assert authenticate(database, f"Bearer {expired}") is None
    later = new_key(database, SERVICES, "social", expires_at=utc_now() + timedelta(hours=1))
    assert authenticate(database, f"Bearer {later}") is not None
    revoke_key(database, prefix)
    assert authenticate(database, f"Bearer {key}") is None
    with pytest.raises(JalonError, match="the prefix of a key in force"):
        revoke_key(database, prefix)
    assert [record.revoked_at is None for record in list_keys(database)] == [False, True, True]


def test_a_service_that_is_not_of_the_territory_gets_no_key(database: Database) -> None:
    with pytest.raises(JalonError, match="one of social, employment"):
        new_key(database, SERVICES, "police")
    assert list_keys(database) == []


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database.at(f"sqlite:///{tmp_path_factory.mktemp('keys') / 'state.db'}")
    new_key(database, SERVICES, "social")
    return database


@given(st.text(max_size=120))
def test_no_text_is_a_key_by_chance(guarded: Database, text: str) -> None:
    assert authenticate(guarded, text) is None
    assert authenticate(guarded, f"Bearer {text}") is None
