"""Merges and splits of persons: each a numbered act that can be taken back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from features.errors import DataError
from features.identity.audit import note

if TYPE_CHECKING:
    from features.identity.vault import Vault

__all__ = [
    "WHYS",
    "Act",
    "listed",
    "merge",
    "merge_many",
    "merge_within",
    "separate",
    "split",
    "undo",
]

WHYS = ("request", "error", "review", "linkage")
"""Why an act was done: the person's or a service's request, an error found, a pair reviewed, a
pair that the model holds for certain. No free text, so that no name comes to stand here."""


@dataclass(frozen=True)
class Act:
    """One correction of identity.

    Attributes:
        number: By which it is undone.
        kind: `merge`, `split` or `undo`.
        why: One of :data:`WHYS`.
        at: When, UTC.
        kept: Pseudonym of the person who stayed.
        other: Of the one who became the first, or who was taken out; of an undoing, the number of
            the act undone.
        identifiers: How many changed hands.
        undone_by: Number of the act that took it back.
    """

    number: int
    kind: str
    why: str
    at: str
    kept: int
    other: int
    identifiers: int
    undone_by: int | None = None


def merge(vault: Vault, kept: int, other: int, why: str) -> Act:
    """Make two persons one."""
    _check_why(why)
    vault.check_known(kept, other)
    if kept == other:
        raise DataError(
            "merging two persons",
            expected="two pseudonyms",
            got="one, twice",
            hint="They are one person already.",
        )
    number = merge_many(vault, [(kept, other)], why)[0]
    note(vault, "merge", number=number, why=why)
    return get(vault, number)


def merge_many(vault: Vault, pairs: Iterable[tuple[int, int]], why: str) -> list[int]:
    """Merge pair after pair in one transaction, each an act of its own.

    Args:
        vault: The vault.
        pairs: (who stays, who becomes the first).
        why: One of :data:`WHYS`.

    Returns:
        The numbers of the acts.
    """
    with vault.transaction() as connection:
        return merge_within(connection, pairs, why)


def merge_within(
    connection: sqlite3.Connection, pairs: Iterable[tuple[int, int]], why: str
) -> list[int]:
    """As :func:`merge_many`, in a transaction that is open: what goes with it stands or falls."""
    numbers = []
    for kept, other in pairs:
        moved = _owned(connection, other)
        number = _act(connection, "merge", why, kept, other)
        _move(connection, number, [(digest, issued, other) for digest, issued in moved], kept)
        connection.execute(
            "DELETE FROM apart WHERE EXISTS (SELECT 1 FROM identifiers a, identifiers b "
            "WHERE a.digest = apart.one AND b.digest = apart.other "
            "AND a.subject_id = b.subject_id AND a.subject_id = ?)",
            (kept,),
        )
        numbers.append(number)
    return numbers


def split(vault: Vault, subject: int, issued: Sequence[int], why: str) -> Act:
    """Take identifiers out of a person."""
    _check_why(why)
    vault.check_known(subject)
    with vault.transaction() as connection:
        held = _owned(connection, subject)
        wanted = set(issued)
        taken = [one for one in held if one[1] in wanted]
        if not taken or len(taken) < len(wanted) or len(taken) == len(held):
            raise DataError(
                "taking identifiers out of a person",
                expected=f"some, not all, of the {len(held)} identifiers of the person",
                got=f"{len(taken)} that are, {len(wanted) - len(taken)} that are not",
                hint="See `jalon identity list TERRITORY PERSON`.",
            )
        name = _fresh(vault, connection, taken)
        number = _act(connection, "split", why, subject, name)
        _move(connection, number, [(digest, own, subject) for digest, own in taken], name)
        rest = [one for one in held if one[1] not in wanted]
        separate(connection, min(taken)[0], min(rest)[0])
    note(vault, "split", number=number, why=why)
    return get(vault, number)


def undo(vault: Vault, number: int) -> Act:
    """Take an act back."""
    act = get(vault, number)
    if act.kind == "undo" or act.undone_by is not None:
        raise DataError(
            f"undoing act {number}",
            expected="a merge or a split that stands",
            got="an undoing" if act.kind == "undo" else f"one that act {act.undone_by} undid",
            hint="Merge or split again instead.",
        )
    with vault.transaction() as connection:
        moves = connection.execute(
            "SELECT digest, before, after, subject_id, issued FROM moves "
            "LEFT JOIN identifiers USING (digest) WHERE act = ?",
            (number,),
        ).fetchall()
        changed = sum(owner != after for _, _, after, owner, _ in moves)
        if changed or not moves:
            raise DataError(
                f"undoing act {number}",
                expected="identifiers that are still where it put them",
                got=f"{changed} moved since" if moves else "none left",
                hint="Undo the later acts first: `jalon identity list TERRITORY`.",
            )
        made = _act(connection, "undo", act.why, act.kept, number)
        for digest, before, after, _, issued in moves:
            _move(connection, made, [(digest, issued, after)], before)
        connection.execute("UPDATE acts SET undone_by = ? WHERE number = ?", (made, number))
        mine = min(digest for digest, *_ in moves)
        if act.kind == "merge":
            rest = [digest for digest, _ in _owned(connection, act.kept)]
            if rest:
                separate(connection, mine, min(rest))
            connection.execute("UPDATE reviews SET state = 'refused' WHERE act = ?", (number,))
        else:
            digests = {digest for digest, *_ in moves}
            for one, other in connection.execute("SELECT one, other FROM apart").fetchall():
                if one in digests or other in digests:
                    connection.execute(
                        "DELETE FROM apart WHERE one = ? AND other = ?", (one, other)
                    )
    note(vault, "undo", number=made, of=number)
    return get(vault, made)


def get(vault: Vault, number: int) -> Act:
    """One act.

    Raises:
        DataError: no such act.
    """
    found = listed(vault, number)
    if not found:
        raise DataError(
            f"looking up act {number}",
            expected="the number of a merge or a split",
            got="none of that number",
            hint="See `jalon identity list TERRITORY`.",
        )
    return found[0]


def listed(vault: Vault, number: int | None = None) -> list[Act]:
    """Every act, or one."""
    which = "" if number is None else "WHERE number = ?"
    values = () if number is None else (number,)
    query = (
        "SELECT number, kind, why, at, kept, other, "  # noqa: S608
        "(SELECT count(*) FROM moves WHERE act = number), undone_by "
        f"FROM acts {which} ORDER BY number"
    )
    return [Act(*row) for row in vault.rows(query, *values)]


def separate(connection: sqlite3.Connection, one: bytes, other: bytes) -> None:
    """Note that two identifiers are of two persons: no model may unite them again."""
    first, second = sorted((one, other))
    connection.execute("INSERT OR IGNORE INTO apart VALUES (?, ?)", (first, second))


def _owned(connection: sqlite3.Connection, subject: int) -> list[tuple[bytes, int]]:
    query = "SELECT digest, issued FROM identifiers WHERE subject_id = ?"
    found: list[Any] = connection.execute(query, (subject,)).fetchall()
    return [(digest, issued) for digest, issued in found]


def _act(connection: sqlite3.Connection, kind: str, why: str, kept: int, other: int) -> int:
    made = connection.execute(
        "INSERT INTO acts (kind, why, at, kept, other) VALUES (?, ?, ?, ?, ?)",
        (kind, why, datetime.now(UTC).isoformat(timespec="seconds"), kept, other),
    )
    return int(made.lastrowid or 0)


def _move(
    connection: sqlite3.Connection, act: int, taken: Sequence[tuple[bytes, int, int]], to: int
) -> None:
    connection.executemany(
        "INSERT INTO moves VALUES (?, ?, ?, ?)",
        [(act, digest, was, to) for digest, _, was in taken],
    )
    connection.executemany(
        "UPDATE identifiers SET subject_id = ? WHERE digest = ?",
        [(to, digest) for digest, _, _ in taken],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO pending VALUES (?, ?)", [(issued, to) for _, issued, _ in taken]
    )


def _fresh(vault: Vault, connection: sqlite3.Connection, taken: list[tuple[bytes, int]]) -> int:
    """A pseudonym that stands, and stood, for nobody."""
    query = (
        "SELECT 1 FROM identifiers WHERE subject_id = ? OR issued = ? "
        "UNION SELECT 1 FROM acts WHERE kept = ? OR (kind != 'undo' AND other = ?)"
    )
    attempt = 0
    while True:
        name = vault.keys.fresh(min(taken)[0], attempt)
        if connection.execute(query, (name,) * 4).fetchone() is None:
            return name
        attempt += 1


def _check_why(why: str) -> None:
    if why not in WHYS:
        raise DataError(
            "correcting an identity",
            expected=f"a reason among {', '.join(WHYS)}",
            got="another",
            hint="Say why with one of these words.",
        )
