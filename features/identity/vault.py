"""The vault: which identifier means which pseudonym."""

from __future__ import annotations

import hmac
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from stdnum.exceptions import ValidationError
from stdnum.fr import nir

from features.errors import DataError
from features.identity import acts, erased, uniting
from features.identity.acts import Act
from features.identity.keys import KEY_FILE, SEPARATOR, Keys, read_key
from features.identity.schema import prepare
from features.identity.uniting import Linked

__all__ = ["ERASED", "Act", "Linked", "Met", "Vault"]

NIR = "nir"
ERASED = -1
"""Stands for the pseudonym of an identifier whose person was erased."""

UNFINISHED = "rotation.json"
"""Lies in the vault's folder while a change of key is under way."""

CARRIED = ("event", "ledger", "set-aside")
"""Purposes whose secret stays when the key changes: what was made with it must stay readable."""

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Met:
    """The persons of some rows.

    Attributes:
        subjects: int64, their present pseudonyms; 0 for none, :data:`ERASED` for an erased person.
        issued: int64, the pseudonym of the very identifier, which merges and splits never change.
        created: Persons that were not known before.
    """

    subjects: Longs
    issued: Longs
    created: int


class Vault:
    """Which identifier means which pseudonym; identifiers themselves are never stored.

    An identifier is kept as HMAC-SHA256 under a secret key, so the vault cannot be reversed by
    trying out numbers without the key. The key comes from the environment variable ``JALON_KEY``
    or from ``identity.key`` beside the vault, created with mode 0600. Names, birth dates and what
    else tells persons apart are kept encrypted, where the territory file maps them.

    Example:
        >>> import tempfile
        >>> vault = Vault.open(tempfile.mkdtemp())
        >>> social = pa.table({"social": ["D1", "D2"], "employment": ["F9", None]})
        >>> vault.link([social]).persons
        2
        >>> a, b = vault.resolve("social", ["D1", "D2"]), vault.resolve("employment", ["F9", "F0"])
        >>> bool(a[0] == b[0]), int(b[1])
        (True, 0)
        >>> act = vault.merge(int(a[0]), int(a[1]), "request")
        >>> vault.count(), vault.undo(act.number).kind, vault.count()
        (1, 'undo', 2)
    """

    def __init__(self, file: Path, key: bytes) -> None:
        self.file = file
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(file, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        first = Keys([key])
        # A vault of an earlier format has one key, with which pseudonyms follow from digests.
        prepare(self._connection, first.issued_to)
        self._check_key(first)
        former = [
            first.unsealed(sealed, b"former key")
            for (sealed,) in self.rows("SELECT sealed FROM former_keys ORDER BY place")
        ]
        self.keys = Keys([*former, key])
        self._carried = {
            purpose: self.keys.unsealed(sealed, purpose.encode())
            for purpose, sealed in self.rows("SELECT purpose, sealed FROM carried")
        }

    @classmethod
    def open(cls, folder: str | Path) -> Vault:
        """Open the vault of a folder, making it and its key when they do not exist.

        Raises:
            DataError: the key is not the one that this vault was made with, or a change of the
                key was interrupted.
        """
        path = Path(folder)
        if (path / UNFINISHED).exists():
            raise DataError(
                f"opening the vault in '{path}'",
                expected="no change of its key under way",
                got="one that was interrupted",
                hint="Run `jalon identity rotate TERRITORY --resume`, or --rollback.",
            )
        path.mkdir(parents=True, exist_ok=True)
        os.chmod(path, 0o700)
        key = read_key(path)
        file = path / "vault.sqlite"
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        return cls(file, key)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    @property
    def folder(self) -> Path:
        """Where the vault lies, with its key and what else holds an identity."""
        return self.file.parent

    def digest(self, system: str, identifier: str) -> bytes:
        """The keyed hash of one identifier, 32 bytes."""
        return self.keys.digest(_text(system, identifier))

    def secret_for(self, purpose: str) -> bytes:
        """A secret of 32 bytes for one purpose, from which the vault's own cannot be found."""
        return self._carried.get(purpose) or self.keys.secret_for(purpose)

    def issued(self, system: str, identifiers: Sequence[str] | pa.Array) -> Longs:
        """The pseudonym of each identifier itself, whoever its owner is, known or not.

        Returns:
            int64, one per identifier; 0 where it is null, or is no valid NIR.
        """
        values, places = unique(identifiers)
        found = np.zeros(len(values) + 1, np.int64)
        for i, value in enumerate(values):
            text = self._valid(system, value)
            found[i] = self.keys.of(_text(system, text))[1] if text else 0
        return found[places]

    def resolve(self, system: str, identifiers: Sequence[str] | pa.Array) -> Longs:
        """The pseudonym of each identifier's owner.

        Args:
            system: Whose identifiers they are (`nir`, or a source's own system).
            identifiers: Text; null for none.

        Returns:
            int64, one per identifier; 0 where it is unknown or null.
        """
        values, places = unique(identifiers)
        subjects, _ = self.look_up([self._digest_or_none(system, v) for v in values])
        return np.append(subjects, 0)[places]

    def adopt(self, system: str, identifiers: Sequence[str] | pa.Array) -> tuple[Longs, int]:
        """As :meth:`resolve`, but an unseen identifier becomes a person of its own.

        Returns:
            The pseudonyms (0 only for nulls, :data:`ERASED` for those of erased persons), and how
            many persons were created.
        """
        met = self.meet(system, identifiers)
        return met.subjects, met.created

    def meet(self, system: str, identifiers: Sequence[str] | pa.Array) -> Met:
        """As :meth:`adopt`, with the pseudonym of the very identifier beside its owner's."""
        values, places = unique(identifiers)
        digests = [self._digest_or_none(system, value) for value in values]
        subjects, issued = self.look_up(digests)
        missing = [i for i, d in enumerate(digests) if d is not None and not subjects[i]]
        gone = self.was_erased(system, [values[i] for i in missing])
        rows, created = [], 0
        for i, was_erased in zip(missing, gone, strict=True):
            text = self._valid(system, values[i])
            digest, issued[i] = self.keys.of(_text(system, text))
            if was_erased:
                subjects[i] = ERASED
                continue
            subjects[i] = issued[i]
            created += 1
            rows.append((digest, system, int(subjects[i]), int(issued[i])))
        self.store(rows)
        return Met(np.append(subjects, 0)[places], np.append(issued, 0)[places], created)

    def link(
        self, tables: Sequence[pa.Table], rules: Sequence[Sequence[str]] | None = None
    ) -> Linked:
        """Unite the identifiers that stand on one row; what they share across tables, too.

        The result does not depend on the order of tables and rows. Identifiers that were known
        as several persons before stay so (uniting them is a decision), are counted, and are put
        on the list for review.

        Args:
            tables: One column per system of identifiers, text, null where missing; columns named
                by :func:`features.identity.records.column` hold what tells persons apart, and are
                kept sealed.
            rules: Systems whose equal values make rows one person's, in the order in which they
                are believed: what one tells apart, a later one does not unite. By default every
                system is believed alike.
        """
        return uniting.link(self, tables, rules)

    def merge(self, kept: int, other: int, why: str) -> Act:
        """Make two persons one: the second's identifiers become the first's.

        Args:
            kept: Who stays.
            other: Who becomes the first.
            why: One of :data:`features.identity.acts.WHYS`.

        Raises:
            DataError: unknown persons, or one and the same; another reason.
        """
        return acts.merge(self, kept, other, why)

    def split(self, subject: int, issued: Sequence[int], why: str) -> Act:
        """Take identifiers out of a person; they become a person of their own.

        Args:
            subject: Who is divided.
            issued: Pseudonyms of the identifiers to take, from :meth:`identifiers`.
            why: One of :data:`features.identity.acts.WHYS`.

        Raises:
            DataError: identifiers that are not the person's, or all of them; another reason.
        """
        return acts.split(self, subject, issued, why)

    def undo(self, number: int) -> Act:
        """Take a merge or a split back.

        Raises:
            DataError: no such act, undone already, or changed by a later one.
        """
        return acts.undo(self, number)

    def acts(self) -> list[Act]:
        """Every merge, split and undoing, the eldest first."""
        return acts.listed(self)

    def owners(self) -> dict[int, int]:
        """Identifiers' pseudonyms to their owners', where timelines do not say so yet."""
        return dict(self.rows("SELECT issued, subject_id FROM pending"))

    def settled(self, owners: Mapping[int, int]) -> None:
        """Say that timelines were reissued for these owners."""
        with self.transaction() as connection:
            connection.executemany(
                "DELETE FROM pending WHERE issued = ? AND subject_id = ?", list(owners.items())
            )

    def identifiers(self, subject: int) -> list[tuple[str, int]]:
        """The system and pseudonym of each of a person's identifiers."""
        query = "SELECT system, issued FROM identifiers WHERE subject_id = ? ORDER BY 1, 2"
        return [(system, issued) for system, issued in self.rows(query, subject)]

    def forget(self, subject: int) -> list[int]:
        """Erase a person: what is left tells only that their identifiers must not come back.

        Returns:
            The pseudonyms that stood for the person, by which rows elsewhere are found.

        Raises:
            DataError: an unknown person.
        """
        return erased.forget(self, subject)

    def object(self, subject: int, *, stands: bool = True) -> None:
        """Note that a person objects to being scored; or, no longer.

        Merged with another, both object; a person taken out of one who objects does, too.

        Raises:
            DataError: an unknown person.
        """
        self.check_known(subject)
        with self.transaction() as connection:
            mine = "SELECT digest FROM identifiers WHERE subject_id = ?"
            if stands:
                connection.execute(
                    f"INSERT OR IGNORE INTO objections SELECT digest, ? FROM ({mine})",  # noqa: S608
                    (_now(), subject),
                )
            else:
                connection.execute(
                    f"DELETE FROM objections WHERE digest IN ({mine})",  # noqa: S608
                    (subject,),
                )

    def objected(self) -> Longs:
        """Everyone who objects, int64, sorted."""
        query = (
            "SELECT DISTINCT subject_id FROM identifiers JOIN objections USING (digest) ORDER BY 1"
        )
        return np.array([row[0] for row in self.rows(query)], np.int64)

    def count(self) -> int:
        """How many persons the vault knows."""
        return int(self.rows("SELECT count(DISTINCT subject_id) FROM identifiers")[0][0])

    def check_known(self, *subjects: int) -> None:
        """Refuse pseudonyms that stand for nobody.

        Raises:
            DataError: any such.
        """
        query = "SELECT 1 FROM identifiers WHERE subject_id = ? LIMIT 1"
        unknown = sum(not self.rows(query, subject) for subject in subjects)
        if unknown:
            raise DataError(
                "looking up a person in the vault",
                expected="a pseudonym that it knows",
                got=f"{unknown} that it does not",
                hint="Find it with `jalon identity find TERRITORY SYSTEM`.",
            )

    def look_up(self, digests: Sequence[bytes | None]) -> tuple[Longs, Longs]:
        """Owner and own pseudonym of each identifier, by its hash; 0 where unknown."""
        subjects = np.zeros(len(digests), np.int64)
        issued = np.zeros(len(digests), np.int64)
        places: dict[bytes, list[int]] = {}
        for i, digest in enumerate(digests):
            if digest is not None:
                places.setdefault(digest, []).append(i)
        wanted = list(places)
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT digest, subject_id, issued FROM identifiers WHERE digest IN ({marks})"  # noqa: S608
            for digest, subject, own in self.rows(query, *part):
                for place in places[digest]:
                    subjects[place], issued[place] = subject, own
        return subjects, issued

    def store(self, rows: list[tuple[bytes, str, int, int]]) -> None:
        """Keep identifiers: hash, system, owner, own pseudonym; those known stay as they are."""
        if rows:
            with self.transaction() as connection:
                connection.executemany(
                    "INSERT OR IGNORE INTO identifiers VALUES (?, ?, ?, ?)", rows
                )

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query of the vault's file gives: for the modules of this package."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write to the vault's file, all or nothing: for the modules of this package."""
        with self._lock, self._connection:
            yield self._connection

    def texts(self, system: str, values: Sequence[str]) -> list[bytes | None]:
        """What of each identifier is hashed; None where it is empty, or is no valid NIR."""
        valid = [self._valid(system, value) for value in values]
        return [_text(system, text) if text else None for text in valid]

    def was_erased(self, system: str, values: Sequence[str]) -> list[bool]:
        """Which identifiers are those of persons who were erased."""
        texts = [_text(system, self._valid(system, value)) for value in values]
        return erased.met(self, texts)

    def _valid(self, system: str, value: str | None) -> str:
        text = "" if value is None else value.strip()
        if system == NIR and text:
            try:
                text = nir.validate(text)
            except ValidationError:
                text = ""
        return text

    def _digest_or_none(self, system: str, value: str | None) -> bytes | None:
        text = self._valid(system, value)
        return self.keys.digest(_text(system, text)) if text else None

    def _check_key(self, keys: Keys) -> None:
        mine = keys.check()
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO key_check VALUES (1, ?)", (mine,))
            stored = connection.execute("SELECT digest FROM key_check").fetchone()[0]
        if not hmac.compare_digest(stored, mine):
            self.close()
            raise DataError(
                f"opening the vault '{self.file}'",
                expected="the key it was made with",
                got="another key",
                hint=f"Restore {KEY_FILE}, or set JALON_KEY to the former secret.",
            )


def _text(system: str, identifier: str) -> bytes:
    return f"{system}{SEPARATOR}{identifier}".encode()


def _now() -> str:
    from datetime import UTC

    return datetime.now(UTC).isoformat(timespec="seconds")


def unique(
    identifiers: Sequence[str] | pa.Array | pa.ChunkedArray,
) -> tuple[list[str], npt.NDArray[np.int64]]:
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
