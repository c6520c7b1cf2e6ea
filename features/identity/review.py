"""The list of uncertain pairs: shown to the one authorised, accepted or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.errors import DataError
from features.identity.acts import Act, get, merge_many, separate
from features.identity.audit import note
from features.identity.records import load

if TYPE_CHECKING:
    from features.identity.vault import Vault

__all__ = ["Pair", "accept", "open_pairs", "refuse"]


@dataclass(frozen=True)
class Pair:
    """Two persons who may be one.

    Attributes:
        number: By which the pair is accepted or refused.
        chance: Probability that they are one; None where no model said so.
        reason: `alike` (below the threshold of merging), `conflict` (alike, but each has an
            identifier of one system), `shared_identifier` (known as two, then met on one row),
            `rules_disagree` (one rule unites them, an earlier one tells them apart).
        subjects: Their pseudonyms.
        systems: Of each, the systems that know the person.
        said: Of each, its records' attributes as they were written: **identities**, for the
            terminal of the one who decides and for nothing else.
    """

    number: int
    chance: float | None
    reason: str
    subjects: tuple[int, int]
    systems: tuple[list[str], list[str]]
    said: tuple[list[dict[str, str]], list[dict[str, str]]]


def open_pairs(vault: Vault, limit: int | None = None) -> list[Pair]:
    """Pairs that nobody decided yet, the likeliest first.

    Args:
        vault: The vault.
        limit: At most this many.
    """
    query = (
        "SELECT number, chance, reason, a.subject_id, b.subject_id FROM reviews "
        "JOIN identifiers a ON a.digest = one JOIN identifiers b ON b.digest = other "
        "WHERE state = 'open' AND a.subject_id != b.subject_id "
        "ORDER BY chance IS NULL DESC, chance DESC, number"
    )
    found = vault.rows(query if limit is None else f"{query} LIMIT {int(limit)}")
    return [_pair(vault, row) for row in found]


def _pair(vault: Vault, row: tuple[int, float | None, str, int, int]) -> Pair:
    number, chance, reason, one, other = row
    said = [[record.said for record in load(vault, subject)] for subject in (one, other)]
    systems = [
        sorted({system for system, _ in vault.identifiers(subject)}) for subject in (one, other)
    ]
    return Pair(number, chance, reason, (one, other), (systems[0], systems[1]), (said[0], said[1]))


def accept(vault: Vault, number: int) -> Act:
    """Make the two persons of a pair one.

    Returns:
        The merge, by whose number it is undone.

    Raises:
        DataError: no open pair of that number.
    """
    one, other = _open(vault, number)
    act = merge_many(vault, [(min(one, other), max(one, other))], "review")[0]
    with vault.transaction() as connection:
        connection.execute(
            "UPDATE reviews SET state = 'accepted', act = ? WHERE number = ?", (act, number)
        )
    note(vault, "accept", pair=number, number=act)
    return get(vault, act)


def refuse(vault: Vault, number: int) -> None:
    """Say that the two persons of a pair are two: no later run unites them.

    Raises:
        DataError: no open pair of that number.
    """
    _open(vault, number)
    with vault.transaction() as connection:
        connection.execute("UPDATE reviews SET state = 'refused' WHERE number = ?", (number,))
        one, other = connection.execute(
            "SELECT one, other FROM reviews WHERE number = ?", (number,)
        ).fetchone()
        separate(connection, one, other)
    note(vault, "refuse", pair=number)


def _open(vault: Vault, number: int) -> tuple[int, int]:
    query = (
        "SELECT a.subject_id, b.subject_id FROM reviews "
        "JOIN identifiers a ON a.digest = one JOIN identifiers b ON b.digest = other "
        "WHERE number = ? AND state = 'open' AND a.subject_id != b.subject_id"
    )
    found = vault.rows(query, number)
    if not found:
        raise DataError(
            f"reviewing pair {number}",
            expected="the number of a pair that waits for a decision",
            got="none of that number",
            hint="See `jalon identity review TERRITORY`.",
        )
    return found[0][0], found[0][1]
