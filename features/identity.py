"""Identity: the only room that sees an identifier; every other one sees keyed pseudonyms."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from stdnum.exceptions import ValidationError
from stdnum.fr import nir

from features.errors import DataError

__all__ = ["Linked", "Vault"]

NIR = "nir"
SEPARATOR = "\x1f"
SCHEMA = """
CREATE TABLE IF NOT EXISTS identifiers (
    digest BLOB PRIMARY KEY,
    system TEXT NOT NULL,
    subject_id INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identifiers_subject ON identifiers (subject_id);
CREATE TABLE IF NOT EXISTS key_check (only INTEGER PRIMARY KEY CHECK (only = 1), digest BLOB);
"""


@dataclass(frozen=True)
class Linked:
    """What uniting some persons tables gave.

    Attributes:
        rows: Rows read.
        persons: Persons that those rows speak of.
        created: Persons that were not known before.
        without_key: Rows without any usable identifier.
        invalid_nir: NIRs whose check key is wrong; they are not used.
        conflicts: Groups of identifiers that were already known as several persons.
    """

    rows: int
    persons: int
    created: int
    without_key: int
    invalid_nir: int
    conflicts: int


class Vault:
    """Which identifier means which pseudonym; identifiers themselves are never stored.

    An identifier is kept as HMAC-SHA256 under a secret key, so the vault cannot be reversed by
    trying out numbers without the key. The key comes from the environment variable ``JALON_KEY``
    or from ``identity.key`` beside the vault, created with mode 0600.

    Example:
        >>> import tempfile
        >>> vault = Vault.open(tempfile.mkdtemp())
        >>> social = pa.table({"social": ["D1", "D2"], "employment": ["F9", None]})
        >>> vault.link([social]).persons
        2
        >>> a, b = vault.resolve("social", ["D1", "D2"]), vault.resolve("employment", ["F9", "F0"])
        >>> bool(a[0] == b[0]), int(b[1])
        (True, 0)
    """

    def __init__(self, file: Path, key: bytes) -> None:
        self.file = file
        self._key = key
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(file, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.executescript(SCHEMA)
        self._check_key()

    @classmethod
    def open(cls, folder: str | Path) -> Vault:
        """Open the vault of a folder, making it and its key when they do not exist.

        Raises:
            DataError: the key is not the one that this vault was made with.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        os.chmod(path, 0o700)
        key = _key(path)
        file = path / "vault.sqlite"
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        return cls(file, key)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def digest(self, system: str, identifier: str) -> bytes:
        """The keyed hash of one identifier, 32 bytes."""
        text = f"{system}{SEPARATOR}{identifier}".encode()
        return hmac.digest(self._key, text, "sha256")

    def secret_for(self, purpose: str) -> bytes:
        """A secret of 32 bytes for one purpose, from which the vault's own cannot be found."""
        return hmac.digest(self._key, b"purpose" + purpose.encode(), "sha256")

    def resolve(self, system: str, identifiers: Sequence[str] | pa.Array) -> np.ndarray:
        """The pseudonym of each identifier.

        Args:
            system: Whose identifiers they are (`nir`, or a source's own system).
            identifiers: Text; null for none.

        Returns:
            int64, one per identifier; 0 where it is unknown or null.
        """
        values, places = _unique(identifiers)
        subjects = self._look_up([self._digest_or_none(system, v) for v in values])
        return np.append(subjects, 0)[places]

    def adopt(self, system: str, identifiers: Sequence[str] | pa.Array) -> tuple[np.ndarray, int]:
        """As :meth:`resolve`, but an unseen identifier becomes a person of its own.

        Returns:
            The pseudonyms (0 only for nulls), and how many persons were created.
        """
        values, places = _unique(identifiers)
        digests = [self._digest_or_none(system, value) for value in values]
        subjects = self._look_up(digests)
        missing = [i for i, d in enumerate(digests) if d is not None and not subjects[i]]
        rows = []
        for i in missing:
            digest = digests[i]
            assert digest is not None
            subjects[i] = self._subject(digest)
            rows.append((digest, system, int(subjects[i])))
        self._store(rows)
        return np.append(subjects, 0)[places], len(missing)

    def link(self, tables: Sequence[pa.Table]) -> Linked:
        """Unite the identifiers that stand on one row; what they share across tables, too.

        The result does not depend on the order of tables and rows. Identifiers that were known
        as several persons before stay so (uniting them is a decision) and are counted.

        Args:
            tables: One column per system of identifiers, text, null where missing.
        """
        index: dict[bytes, int] = {}
        systems: list[str] = []
        heads: list[np.ndarray] = []
        tails: list[np.ndarray] = []
        rows = without = invalid = 0
        for table in tables:
            columns, wrong = self._nodes(table, index, systems)
            rows += table.num_rows
            invalid += wrong
            head = np.full(table.num_rows, -1, np.int64)
            for column in columns:
                both = (head >= 0) & (column >= 0)
                heads.append(head[both])
                tails.append(column[both])
                head = np.where(head >= 0, head, column)
            without += int((head < 0).sum())
        if not index:
            return Linked(rows, 0, 0, without, invalid, 0)
        return self._unite(
            list(index), systems, _joined(heads), _joined(tails), (rows, without, invalid)
        )

    def _nodes(
        self, table: pa.Table, index: dict[bytes, int], systems: list[str]
    ) -> tuple[list[np.ndarray], int]:
        columns, invalid = [], 0
        for system in table.column_names:
            values, places = _unique(table[system])
            nodes = np.full(len(values) + 1, -1, np.int64)
            wrong = np.zeros(len(values) + 1, bool)
            for i, value in enumerate(values):
                digest = self._digest_or_none(system, value)
                if digest is None:
                    wrong[i] = system == NIR and bool(value.strip())
                    continue
                if digest not in index:
                    systems.append(system)
                nodes[i] = index.setdefault(digest, len(index))
            invalid += int(wrong[places].sum())
            columns.append(nodes[places])
        return columns, invalid

    def _unite(
        self,
        digests: list[bytes],
        systems: list[str],
        heads: np.ndarray,
        tails: np.ndarray,
        counts: tuple[int, int, int],
    ) -> Linked:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        size = len(digests)
        links = coo_array((np.ones(len(heads), np.int8), (heads, tails)), shape=(size, size))
        persons, component = connected_components(links, directed=False)
        known = self._look_up(list(digests))
        smallest: list[bytes | None] = [None] * persons
        existing: list[set[int]] = [set() for _ in range(persons)]
        for digest, part, subject in zip(digests, component, known, strict=True):
            least = smallest[part]
            if least is None or digest < least:
                smallest[part] = digest
            if subject:
                existing[part].add(int(subject))
        given = [
            min(known_as) if known_as else self._subject(least or b"")
            for known_as, least in zip(existing, smallest, strict=True)
        ]
        self._store(
            [
                (digest, systems[i], given[component[i]])
                for i, digest in enumerate(digests)
                if not known[i]
            ]
        )
        rows, without, invalid = counts
        created = sum(not known_as for known_as in existing)
        conflicts = sum(len(known_as) > 1 for known_as in existing)
        return Linked(rows, int(persons), created, without, invalid, conflicts)

    def count(self) -> int:
        """How many persons the vault knows."""
        found = self._connection.execute("SELECT count(DISTINCT subject_id) FROM identifiers")
        return int(found.fetchone()[0])

    def _digest_or_none(self, system: str, value: str | None) -> bytes | None:
        text = "" if value is None else value.strip()
        if system == NIR and text:
            try:
                text = nir.validate(text)
            except ValidationError:
                text = ""
        return self.digest(system, text) if text else None

    def _subject(self, digest: bytes) -> int:
        pseudonym = hmac.digest(self._key, b"subject" + digest, "sha256")
        return (int.from_bytes(pseudonym[:8], "big") >> 1) or 1

    def _look_up(self, digests: Sequence[bytes | None]) -> np.ndarray:
        subjects = np.zeros(len(digests), np.int64)
        places: dict[bytes, list[int]] = {}
        for i, digest in enumerate(digests):
            if digest is not None:
                places.setdefault(digest, []).append(i)
        wanted = list(places)
        with self._lock:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                marks = ",".join("?" * len(part))
                query = f"SELECT digest, subject_id FROM identifiers WHERE digest IN ({marks})"  # noqa: S608
                for digest, subject in self._connection.execute(query, part):
                    subjects[places[digest]] = subject
        return subjects

    def _store(self, rows: list[tuple[bytes, str, int]]) -> None:
        if not rows:
            return
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO identifiers VALUES (?, ?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection:
            yield self._connection

    def _check_key(self) -> None:
        mine = hmac.digest(self._key, b"jalon key check", "sha256")
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO key_check VALUES (1, ?)", (mine,))
            stored = connection.execute("SELECT digest FROM key_check").fetchone()[0]
        if not hmac.compare_digest(stored, mine):
            self.close()
            raise DataError(
                f"opening the vault '{self.file}'",
                expected="the key it was made with",
                got="another key",
                hint="Restore identity.key, or set JALON_KEY to the former secret.",
            )


def _key(folder: Path) -> bytes:
    given = os.environ.get("JALON_KEY")
    if given is not None:
        if len(given) < 16:
            raise DataError(
                "reading the environment variable JALON_KEY",
                expected="a secret of at least 16 characters",
                got=f"{len(given)} characters",
                hint="Generate one: python -c 'import secrets; print(secrets.token_hex(32))'.",
            )
        return hashlib.sha256(given.encode()).digest()
    file = folder / "identity.key"
    if not file.exists():
        _make_key(file)
    text = file.read_text(encoding="ascii").strip()
    if len(text) != 64:
        raise DataError(
            f"reading '{file}'",
            expected="64 hexadecimal digits",
            got=f"{len(text)} characters",
            hint="Restore the file from a backup; pseudonyms depend on it.",
        )
    return bytes.fromhex(text)


def _make_key(file: Path) -> None:
    """Write a new key whole or not at all; another process may be first."""
    unfinished = file.with_name(f".identity.key.{secrets.token_hex(8)}")
    handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(32) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    with suppress(FileExistsError):
        os.link(unfinished, file)
    unfinished.unlink()


def _unique(
    identifiers: Sequence[str] | pa.Array | pa.ChunkedArray,
) -> tuple[list[str], np.ndarray]:
    """Distinct texts, and for each row its place among them (the last place for null)."""
    if isinstance(identifiers, pa.Array | pa.ChunkedArray):
        chunks: list[Any] = getattr(identifiers, "chunks", [identifiers])
    else:
        chunks = [pa.array(list(identifiers), pa.string())]
    texts = [chunk.cast(pa.string()) for chunk in chunks] or [pa.array([], pa.string())]
    encoded: Any = pa.concat_arrays(texts).dictionary_encode()
    values = encoded.dictionary.to_pylist()
    places = encoded.indices.cast(pa.int64()).fill_null(len(values))
    return values, places.to_numpy(zero_copy_only=False)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
