"""From persons tables to persons: exact rules, then linkage, then what is left for review."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow as pa

from features.identity.acts import merge_within
from features.identity.audit import note
from features.identity.records import ATTRIBUTES, Record, load, plain

if TYPE_CHECKING:
    from features.identity.vault import Vault
    from features.settings import IdentitySettings, LinkageSettings

__all__ = ["people_table", "unite"]

_LAST = "linkage"


def unite(vault: Vault, tables: Sequence[pa.Table], settings: IdentitySettings) -> dict[str, int]:
    """Unite the rows of persons tables, by keys and then by likeness.

    Persons that are merged here may have events already: :meth:`Vault.owners` then says which rows
    of the timelines must be reissued.

    Args:
        vault: Keeps who is who.
        tables: As :meth:`Vault.link` takes them.
        settings: Of the territory.

    Returns:
        Counts, by name: those of :class:`features.identity.Linked`, and `merged_by_linkage` and
        `for_review`.

    Raises:
        ConfigurationError: linkage is asked for and cannot be done.
    """
    figures = asdict(vault.link(tables, settings.rules))
    merged = 0
    if settings.linkage is not None:
        merged = _link_alike(vault, settings.linkage)
    waiting = vault.rows("SELECT count(*) FROM reviews WHERE state = 'open'")[0][0]
    return {**figures, "merged_by_linkage": merged, "for_review": waiting}


def people_table(records: Sequence[Record]) -> pa.Table:
    """Records as the model compares them: a number, the person as known, attributes made plain."""
    said = [plain(record) for record in records]
    columns = {name: pa.array([one[name] for one in said], pa.string()) for name in ATTRIBUTES}
    numbers = pa.array(range(len(records)), pa.int64())
    subjects = pa.array([record.subject for record in records], pa.int64())
    return pa.table({"unique_id": numbers, "subject": subjects, **columns})


def _link_alike(vault: Vault, settings: LinkageSettings) -> int:
    from features.identity.linkage import MODEL, compare

    records = load(vault)
    state = _state(vault, records, settings)
    kept = vault.rows("SELECT value FROM notes WHERE name = ?", _LAST)
    if len(records) < 2 or kept == [(state,)]:
        return 0
    pairs, fresh = compare(people_table(records), settings, vault.folder / MODEL)
    if fresh:
        note(vault, "estimate", records=len(records))
    persons = _Persons(vault)
    merges: list[tuple[int, int]] = []
    reviews: list[tuple[bytes, bytes, float, str]] = []
    listed = persons.listed()
    for one, other, chance in pairs:
        first, second = persons.root(records[one].subject), persons.root(records[other].subject)
        if first == second or persons.apart(first, second):
            continue
        sure = chance >= settings.merge_above
        conflict = persons.conflict(first, second)
        if sure and not conflict:
            merges.append(persons.merge(first, second))
            continue
        pair = (min(first, second), max(first, second))
        # Below the threshold, two files of one service are two persons until more is known.
        if pair not in listed and (sure or not conflict):
            listed.add(pair)
            digests = sorted((records[one].digest, records[other].digest))
            reason = "conflict" if conflict else "alike"
            reviews.append((digests[0], digests[1], chance, reason))
    # At once: interrupted in between, it is as if linkage had not begun.
    with vault.transaction() as connection:
        merge_within(connection, merges, "linkage")
        connection.executemany(
            "INSERT OR IGNORE INTO reviews (one, other, chance, reason) VALUES (?, ?, ?, ?)",
            [pair for pair in reviews if _still_two(persons, vault, pair)],
        )
        after = _state(vault, load(vault) if merges else records, settings)
        connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_LAST, after))
    if merges:
        note(vault, "link", merges=len(merges), for_review=len(reviews))
    return len(merges)


def _still_two(persons: _Persons, vault: Vault, pair: tuple[bytes, bytes, float, str]) -> bool:
    subjects, _ = vault.look_up([pair[0], pair[1]])
    return persons.root(int(subjects[0])) != persons.root(int(subjects[1]))


def _state(vault: Vault, records: Sequence[Record], settings: LinkageSettings) -> str:
    """What must be unchanged for linkage to find nothing more than it did."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for record in records:
        digest.update(record.digest + record.subject.to_bytes(8, "big"))
        digest.update(json.dumps(record.said, sort_keys=True).encode())
    return digest.hexdigest()


class _Persons:
    """Persons while they are being merged: what each has, and who must not be whom."""

    def __init__(self, vault: Vault) -> None:
        self._parent: dict[int, int] = {}
        self._held: dict[int, dict[str, set[bytes]]] = defaultdict(lambda: defaultdict(set))
        self._apart: dict[int, set[int]] = defaultdict(set)
        query = "SELECT subject_id, system, digest FROM identifiers"
        for subject, system, digest in vault.rows(query):
            self._held[subject][system].add(digest)
        query = (
            "SELECT a.subject_id, b.subject_id FROM apart JOIN identifiers a ON a.digest = one "
            "JOIN identifiers b ON b.digest = other UNION "
            "SELECT a.subject_id, b.subject_id FROM reviews JOIN identifiers a ON a.digest = one "
            "JOIN identifiers b ON b.digest = other WHERE state = 'refused'"
        )
        for one, other in vault.rows(query):
            self._apart[one].add(other)
            self._apart[other].add(one)
        self._open = vault.rows(
            "SELECT a.subject_id, b.subject_id FROM reviews JOIN identifiers a ON a.digest = one "
            "JOIN identifiers b ON b.digest = other WHERE state = 'open'"
        )

    def listed(self) -> set[tuple[int, int]]:
        """Pairs of persons that are on the list already, by whichever of their records."""
        return {(min(pair), max(pair)) for pair in self._open}

    def root(self, subject: int) -> int:
        """Whom a person has become."""
        while (parent := self._parent.get(subject, subject)) != subject:
            subject = parent
        return subject

    def apart(self, one: int, other: int) -> bool:
        """Whether somebody decided that the two are two."""
        return any(self.root(third) == other for third in self._apart[one])

    def conflict(self, one: int, other: int) -> bool:
        """Whether both have an identifier of one system, and not the same."""
        mine, theirs = self._held[one], self._held[other]
        return any(not (mine[system] & theirs[system]) for system in mine.keys() & theirs.keys())

    def merge(self, one: int, other: int) -> tuple[int, int]:
        """Make two one; the smaller pseudonym stays."""
        kept, gone = min(one, other), max(one, other)
        self._parent[gone] = kept
        for system, digests in self._held.pop(gone).items():
            self._held[kept][system] |= digests
        self._apart[kept] |= self._apart.pop(gone, set())
        for third in self._apart[kept]:
            self._apart[third].add(kept)
        return kept, gone
