"""A new key: every pseudonym given anew, in the vault and in timelines; resumed or rolled back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.errors import DataError
from features.event_order import Longs
from features.identity.audit import note
from features.identity.keys import KEY_FILE, Keys, check_secret, read_key, renamer, write_key
from features.identity.records import content_mark
from features.identity.vault import CARRIED, UNFINISHED, Vault
from features.renamed_rows import drop_stores, rename_rows
from features.timelines import Timelines

__all__ = ["Elsewhere", "Rotated", "Rotation"]

_NEXT_KEY = "identity.key.next"
_NEXT_VAULT = "vault.sqlite.next"

Step = Callable[[str], None]
Elsewhere = Callable[[Mapping[int, int]], int]
"""Renames what another part holds, former pseudonyms to new ones, and says how many rows; done
twice, the second time changes nothing."""


@dataclass(frozen=True)
class Rotated:
    """What a change of key did.

    Attributes:
        identifiers: Hashed anew.
        subjects: Persons with another pseudonym.
        rows: Rows of the timelines written with other pseudonyms.
        variable: Whether the key is a secret of the environment, to be put in JALON_KEY now.
        matrices: Of former pseudonyms, deleted.
        other_rows: Of other parts, as scores, and of other files, that have the new pseudonyms.
    """

    identifiers: int
    subjects: int
    rows: int
    variable: bool
    matrices: int = 0
    other_rows: int = 0


class Rotation:
    """A change of key under way.

    First a second vault is made beside the first; then timelines are written anew in one commit,
    and the pseudonyms of rows set aside, of scores and of what models are kept with; stores of
    features are deleted; then the second vault and key take the place of the first. Interrupted
    before the commit it may be resumed or rolled back, after it only resumed. While it
    is unfinished the vault does not open.

    With JALON_KEY set, the new secret is read from JALON_NEW_KEY; otherwise it is drawn.

    Args:
        folder: Of the vault.
        timelines: Of the same work folder; None where there is none.
        elsewhere: What renames the rest, as scores; None where there is nothing else.
    """

    def __init__(
        self, folder: Path, timelines: Timelines | None, elsewhere: Elsewhere | None = None
    ) -> None:
        self.folder = folder
        self._elsewhere = elsewhere
        self._journal = folder / UNFINISHED
        self._timelines = timelines

    @property
    def unfinished(self) -> bool:
        """Whether one was begun and not finished."""
        return self._journal.exists()

    def start(self, tell: Step = lambda step: None) -> Rotated:
        """Change the key.

        Raises:
            DataError: one is unfinished, or timelines do not know all owners yet.
        """
        if self.unfinished:
            raise self._refusal("changing the key", "none under way", "an unfinished one")
        if (self.folder / "erasure.json").exists():
            raise DataError(
                "changing the key",
                expected="no erasure that was interrupted",
                got="one",
                hint="Run `jalon maintain TERRITORY`, which finishes it, and begin again.",
            )
        vault = Vault.open(self.folder)
        try:
            if vault.owners():
                raise DataError(
                    "changing the key",
                    expected="timelines that know every owner",
                    got="acts that they do not have yet",
                    hint="Run `jalon identity list TERRITORY`, which tells them, and begin again.",
                )
        finally:
            vault.close()
        variable = "JALON_KEY" in os.environ
        if variable:
            _new_secret()
        else:
            write_key(self.folder / _NEXT_KEY)
        self._say({"id": secrets.token_hex(8), "variable": variable})
        return self.resume(tell)

    def resume(self, tell: Step = lambda step: None) -> Rotated:
        """Go on with an interrupted change, to its end.

        Raises:
            DataError: none is unfinished.
        """
        journal = self._read()
        if not journal.get("vault"):
            tell("vault")
            journal |= self._copy(journal)
            self._say(journal)
        if not journal.get("timelines"):
            tell("timelines")
            journal |= {"timelines": True, "rows": self._rename(journal)}
            self._say(journal)
        self._rename_aside(journal)
        if "other_rows" not in journal:
            # While the former vault is in place: it knows which pseudonyms are former ones.
            tell("scores")
            journal |= self._rename_others(journal)
            self._say(journal)
        tell("taking the place of the former key")
        for name, place in ((_NEXT_VAULT, "vault.sqlite"), (_NEXT_KEY, KEY_FILE)):
            if (self.folder / name).exists():
                if name == _NEXT_VAULT:
                    for journaled in ("vault.sqlite-wal", "vault.sqlite-shm"):
                        (self.folder / journaled).unlink(missing_ok=True)
                os.replace(self.folder / name, self.folder / place)
        self._journal.unlink()
        done = Rotated(
            journal["identifiers"], journal["subjects"], journal["rows"], journal["variable"],
            journal["matrices"], journal["other_rows"],
        )  # fmt: skip
        _note(self.folder, "rotate", done)
        return done

    def roll_back(self) -> None:
        """Take an interrupted change back, as if it had not begun.

        Raises:
            DataError: none is unfinished, or timelines have the new pseudonyms already.
        """
        journal = self._read()
        if journal.get("timelines") or self._renamed(journal):
            raise DataError(
                "rolling a change of key back",
                expected="timelines with the former pseudonyms",
                got="timelines with the new ones",
                hint="Run `jalon identity rotate TERRITORY --resume`.",
            )
        for name in (_NEXT_VAULT, f"{_NEXT_VAULT}-wal", f"{_NEXT_VAULT}-shm", _NEXT_KEY):
            (self.folder / name).unlink(missing_ok=True)
        self._journal.unlink()
        _note(self.folder, "roll back", None)

    def _copy(self, journal: dict[str, Any]) -> dict[str, Any]:
        """The vault as it is with the new key, beside the present one."""
        new = _new_secret() if journal["variable"] else _read_hex(self.folder / _NEXT_KEY)
        key = read_key(self.folder)
        next_file = self.folder / _NEXT_VAULT
        present = Vault(self.folder / "vault.sqlite", key)
        try:
            carried = {purpose: present.secret_for(purpose) for purpose in CARRIED}
            keys = Keys([*present.keys.all, new])
            present.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            former = present.keys
        finally:
            present.close()
        next_file.unlink(missing_ok=True)
        handle = os.open(next_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as to, (self.folder / "vault.sqlite").open("rb") as source:
            shutil.copyfileobj(source, to)
        counts = _rekey(next_file, former, keys, carried)
        # Of the new key only what renames pseudonyms is noted: a resumption needs no other.
        return {"vault": True, "rows": 0, "renaming": keys.renaming.hex(), **counts}

    def _rename(self, journal: dict[str, Any]) -> int:
        timelines = self._timelines
        if timelines is None:
            return 0
        timelines.refresh()
        if self._renamed(journal):
            timelines.forget_former()
            return timelines.count()

        name = renamer(bytes.fromhex(journal["renaming"]))

        def renamed(pseudonyms: Longs) -> Longs:
            made = [name(one) if one > 0 else one for one in pseudonyms.tolist()]
            return np.array(made, np.int64)

        return timelines.rename(renamed, label=_label(journal))

    def _rename_aside(self, journal: dict[str, Any]) -> None:
        """Rows set aside bear the pseudonyms of identifiers, known to the vault or not."""
        from features.aside_files import aside_files, rename_persons

        folder = self.folder.parent / "set-aside"
        name = renamer(bytes.fromhex(journal["renaming"]))
        persons = {
            one
            for file in aside_files(folder)
            for rows in file.tables()
            for one in rows["person"].to_pylist()
        }
        made = {str(one): str(name(int(one))) for one in persons if one is not None}
        rename_persons(folder, made, _label(journal))

    def _rename_others(self, journal: dict[str, Any]) -> dict[str, int]:
        """Scores and matrices of former pseudonyms; only a vault of the former key knows these."""
        home = self.folder.parent
        name = renamer(bytes.fromhex(journal["renaming"]))
        names = {one: name(one) for one in _pseudonyms(self.folder / "vault.sqlite")}
        rows = rename_rows(home / "mlflow", names)
        rows += self._elsewhere(names) if self._elsewhere is not None else 0
        return {"matrices": drop_stores(home), "other_rows": rows}

    def _renamed(self, journal: dict[str, Any]) -> bool:
        return self._timelines is not None and self._timelines.said(_label(journal))

    def _read(self) -> dict[str, Any]:
        if not self.unfinished:
            raise self._refusal("going on with a change of key", "an unfinished one", "none")
        journal: dict[str, Any] = json.loads(self._journal.read_text(encoding="utf-8"))
        return journal

    def _say(self, journal: dict[str, Any]) -> None:
        unfinished = self._journal.with_suffix(".unfinished")
        handle = os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(journal))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, self._journal)

    def _refusal(self, what: str, expected: str, got: str) -> DataError:
        return DataError(
            what, expected=expected, got=got,
            hint="`jalon identity rotate TERRITORY` begins one; --resume and --rollback end it.",
        )  # fmt: skip


def _pseudonyms(vault: Path) -> list[int]:
    """Every pseudonym that a vault's file knows of, of identifiers, persons and former persons."""
    connection = sqlite3.connect(vault)
    try:
        found = connection.execute(
            "SELECT subject_id FROM identifiers UNION SELECT issued FROM identifiers "
            "UNION SELECT before FROM moves UNION SELECT after FROM moves "
            "UNION SELECT kept FROM acts UNION SELECT other FROM acts WHERE kind != 'undo'"
        ).fetchall()
    finally:
        connection.close()
    return [one for (one,) in found if one > 0]


def _label(journal: dict[str, Any]) -> str:
    return f"identity: new key {journal['id']}"


def _new_secret() -> bytes:
    given = os.environ.get("JALON_NEW_KEY")
    if given is None:
        raise DataError(
            "changing the key of JALON_KEY",
            expected="the new secret in the environment variable JALON_NEW_KEY",
            got="none",
            hint="Generate one: python -c 'import secrets; print(secrets.token_hex(32))'.",
        )
    return check_secret(given, "JALON_NEW_KEY")


def _read_hex(file: Path) -> bytes:
    return bytes.fromhex(file.read_text(encoding="ascii").strip())


def _rekey(file: Path, former: Keys, keys: Keys, carried: dict[str, bytes]) -> dict[str, int]:
    """Hash, name and seal everything in a vault's file anew, in one transaction."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA secure_delete=ON")
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            counts = _everything(connection, former, keys, carried)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return counts


def _everything(
    connection: sqlite3.Connection, former: Keys, keys: Keys, carried: dict[str, bytes]
) -> dict[str, int]:
    def name(pseudonym: int) -> int:
        return keys.renamed(pseudonym) if pseudonym > 0 else pseudonym

    def rewrite(table: str, change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> int:
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(
                f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608
                [change(row) for row in rows],
            )
        return len(rows)

    def pair(one: bytes, other: bytes) -> list[bytes]:
        return sorted((keys.again(one), keys.again(other)))

    subjects = connection.execute("SELECT count(DISTINCT subject_id) FROM identifiers").fetchone()
    identifiers = rewrite(
        "identifiers", lambda row: (keys.again(row[0]), row[1], name(row[2]), name(row[3]))
    )
    rewrite(
        "acts", lambda row: (*row[:4], name(row[4]), row[5] if row[1] == "undo" else name(row[5]),
                             row[6]),
    )  # fmt: skip
    rewrite("moves", lambda row: (row[0], keys.again(row[1]), name(row[2]), name(row[3])))
    rewrite("apart", lambda row: tuple(pair(*row)))
    rewrite("reviews", lambda row: (row[0], *pair(row[1], row[2]), *row[3:]))
    rewrite("objections", lambda row: (keys.again(row[0]), row[1]))
    rewrite("erased", lambda row: (keys.again(row[0]),))
    rewrite("records", lambda row: _resealed(row, former, keys))
    # What was linked last is told by hashes of the former key.
    connection.execute("DELETE FROM notes")
    connection.execute("DELETE FROM former_keys")
    connection.executemany(
        "INSERT INTO former_keys VALUES (?, ?)",
        [(place, keys.sealed(one, b"former key")) for place, one in enumerate(keys.all[:-1])],
    )
    connection.execute("DELETE FROM carried")
    connection.executemany(
        "INSERT INTO carried VALUES (?, ?)",
        [(purpose, keys.sealed(one, purpose.encode())) for purpose, one in carried.items()],
    )
    connection.execute("UPDATE key_check SET digest = ?", (keys.check(),))
    return {"identifiers": identifiers, "subjects": int(subjects[0])}


def _resealed(row: tuple[Any, ...], former: Keys, keys: Keys) -> tuple[bytes, bytes, bytes]:
    digest, _, sealed = row
    text, again = former.unsealed(sealed, digest), keys.again(digest)
    return again, content_mark(keys, again, text), keys.sealed(text, again)


def _note(folder: Path, act: str, done: Rotated | None) -> None:
    said = {} if done is None else {"identifiers": done.identifiers, "rows": done.rows}
    note(folder, act, **said)
