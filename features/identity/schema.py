"""What the vault's file holds; a file of an earlier format is brought up to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

__all__ = ["SCHEMA", "prepare"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS identifiers (
    digest BLOB PRIMARY KEY,
    system TEXT NOT NULL,
    subject_id INTEGER NOT NULL,
    issued INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identifiers_subject ON identifiers (subject_id);
CREATE INDEX IF NOT EXISTS identifiers_issued ON identifiers (issued);
CREATE TABLE IF NOT EXISTS key_check (only INTEGER PRIMARY KEY CHECK (only = 1), digest BLOB);
CREATE TABLE IF NOT EXISTS former_keys (place INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS carried (purpose TEXT PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS acts (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    why TEXT NOT NULL,
    at TEXT NOT NULL,
    kept INTEGER NOT NULL,
    other INTEGER NOT NULL,
    undone_by INTEGER
);
CREATE TABLE IF NOT EXISTS moves (
    act INTEGER NOT NULL,
    digest BLOB NOT NULL,
    before INTEGER NOT NULL,
    after INTEGER NOT NULL,
    PRIMARY KEY (act, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (issued INTEGER PRIMARY KEY, subject_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS apart (
    one BLOB NOT NULL, other BLOB NOT NULL, PRIMARY KEY (one, other)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    digest BLOB NOT NULL, content BLOB NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (digest, content)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reviews (
    number INTEGER PRIMARY KEY,
    one BLOB NOT NULL,
    other BLOB NOT NULL,
    chance REAL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',
    act INTEGER,
    UNIQUE (one, other)
);
CREATE TABLE IF NOT EXISTS objections (digest BLOB PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (tombstone BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def prepare(connection: sqlite3.Connection, issued: Callable[[bytes], int]) -> None:
    """Make the tables that are missing.

    Args:
        connection: To the vault's file.
        issued: The pseudonym issued to an identifier, by its hash: an earlier format did not keep
            it.
    """
    # What is deleted is overwritten: an erased identifier leaves no trace in free pages.
    connection.execute("PRAGMA secure_delete=ON")
    known = [row[1] for row in connection.execute("PRAGMA table_info(identifiers)")]
    if known and "issued" not in known:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "ALTER TABLE identifiers ADD COLUMN issued INTEGER NOT NULL DEFAULT 0"
            )
            digests = [row[0] for row in connection.execute("SELECT digest FROM identifiers")]
            connection.executemany(
                "UPDATE identifiers SET issued = ? WHERE digest = ?",
                [(issued(digest), digest) for digest in digests],
            )
    connection.executescript(SCHEMA)
