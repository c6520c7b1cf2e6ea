"""Persons who were erased: their identifiers gone, and known again if they come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.identity.vault import Vault

__all__ = ["drop_records", "forget", "met"]

_MINE = "SELECT digest FROM identifiers WHERE subject_id = ?"


def forget(vault: Vault, subject: int) -> list[int]:
    """Delete everything the vault holds of a person, and leave a tombstone of each identifier.

    A tombstone is a keyed hash of a keyed hash: it answers whether an identifier that comes again
    was erased, and nothing else.

    Args:
        vault: The vault.
        subject: Their pseudonym.

    Returns:
        Every pseudonym that stood for the person, or did before merges.

    Raises:
        DataError: an unknown person.
    """
    vault.check_known(subject)
    held = vault.rows("SELECT digest, issued FROM identifiers WHERE subject_id = ?", subject)
    digests = [digest for digest, _ in held]
    acts = {
        number
        for digest in digests
        for (number,) in vault.rows("SELECT act FROM moves WHERE digest = ?", digest)
    }
    former = {
        one
        for number in acts
        for digest in digests
        for pair in vault.rows(
            "SELECT before, after FROM moves WHERE act = ? AND digest = ?", number, digest
        )
        for one in pair
    }
    with vault.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO erased VALUES (?)",
            [(vault.keys.tombstone(digest),) for digest in digests],
        )
        for table, column in (
            ("records", "digest"), ("objections", "digest"), ("moves", "digest"),
            ("apart", "one"), ("apart", "other"), ("reviews", "one"), ("reviews", "other"),
        ):  # fmt: skip
            connection.execute(f"DELETE FROM {table} WHERE {column} IN ({_MINE})", (subject,))  # noqa: S608
        connection.execute(
            "DELETE FROM pending WHERE subject_id = ? OR issued IN "
            "(SELECT issued FROM identifiers WHERE subject_id = ?)",
            (subject, subject),
        )
        connection.execute("DELETE FROM identifiers WHERE subject_id = ?", (subject,))
        for one in {subject, *former}:
            query = "SELECT 1 FROM identifiers WHERE subject_id = ? LIMIT 1"
            if connection.execute(query, (one,)).fetchone() is None:
                connection.execute("UPDATE acts SET kept = 0 WHERE kept = ?", (one,))
                connection.execute("UPDATE acts SET other = 0 WHERE other = ?", (one,))
    # What is deleted must not stay readable in the journal.
    vault.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return sorted({subject, *(issued for _, issued in held)})


def drop_records(vault: Vault) -> int:
    """Delete what is kept of nobody: records by an identifier that the vault does not know.

    Returns:
        Records that went.
    """
    orphans = "FROM records WHERE digest NOT IN (SELECT digest FROM identifiers)"
    gone = int(vault.rows(f"SELECT count(*) {orphans}")[0][0])
    if gone:
        with vault.transaction() as connection:
            connection.execute(f"DELETE {orphans}")
        vault.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return gone


def met(vault: Vault, texts: Sequence[bytes]) -> list[bool]:
    """Which identifiers, given with their system, are those of erased persons."""
    if not texts or not vault.rows("SELECT 1 FROM erased LIMIT 1"):
        return [False] * len(texts)
    query = "SELECT 1 FROM erased WHERE tombstone = ?"
    return [any(vault.rows(query, one) for one in vault.keys.tombstones(text)) for text in texts]
