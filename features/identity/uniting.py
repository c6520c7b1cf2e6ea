"""Which identifiers are one person's: by the rows they share, and by rules in a declared order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.identity import erased, records

if TYPE_CHECKING:
    from features.identity.vault import Vault

__all__ = ["Linked", "link"]

Longs = npt.NDArray[np.int64]


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
        against_rules: Groups of rows that a rule would unite and an earlier rule tells apart.
        erased: Identifiers not taken, because they, or one on their row, are an erased person's.
    """

    rows: int
    persons: int
    created: int
    without_key: int
    invalid_nir: int
    conflicts: int
    against_rules: int = 0
    erased: int = 0


@dataclass
class _Identifiers:
    """The distinct identifiers of some tables, numbered as they are met.

    Attributes:
        index: Hash to number.
        systems: Of each number.
        issued: Pseudonym of each number.
        erased: Numbers of identifiers of erased persons.
        invalid: NIRs that were not used.
    """

    index: dict[bytes, int] = field(default_factory=dict)
    systems: list[str] = field(default_factory=list)
    issued: list[int] = field(default_factory=list)
    erased: set[int] = field(default_factory=set)
    invalid: int = 0


def link(vault: Vault, tables: Sequence[pa.Table], rules: Sequence[Sequence[str]] | None) -> Linked:
    """Unite identifiers; see :meth:`features.identity.Vault.link`."""
    from features.identity.vault import unique

    found = _Identifiers()
    nodes: dict[str, list[Longs]] = {}
    rows = 0
    parts: list[tuple[pa.Table, int]] = []
    for table in tables:
        for system in table.column_names:
            if records.is_attribute(system):
                continue
            values, places = unique(table[system])
            numbers = _numbers(vault, system, values, places, found)
            column = nodes.setdefault(system, [])
            column.append(np.full(rows - sum(map(len, column)), -1, np.int64))
            column.append(numbers[places])
        parts.append((table, rows))
        rows += table.num_rows
    columns = {
        system: np.concatenate([*held, np.full(rows - sum(map(len, held)), -1, np.int64)])
        for system, held in nodes.items()
    }
    head = _heads([table for table, _ in parts], columns, rows)
    without = int((head < 0).sum())
    if not found.index:
        return Linked(rows, 0, 0, without, found.invalid, 0)
    if rules is None:
        component, persons = _all_alike(columns, rows, len(found.index))
        against: list[tuple[int, int]] = []
    else:
        component, persons, against = _by_rules(columns, rows, rules, list(found.index))
    created, conflicts, dropped = _unite(vault, found, component, persons)
    _note_against(vault, list(found.index), against)
    digests = list(found.index)
    told = _told_by(parts, columns, rows, component, found.erased.union(dropped))
    for table, start in parts:
        mine = told[start : start + table.num_rows].tolist()
        records.keep(vault, table, [digests[i] if i >= 0 else None for i in mine])
    return Linked(
        rows, persons, created, without, found.invalid, conflicts, len(against), len(dropped)
    )


def _told_by(
    parts: Sequence[tuple[pa.Table, int]],
    columns: dict[str, Longs],
    rows: int,
    component: Longs,
    gone: set[int],
) -> Longs:
    """Of each row the identifier its attributes are kept by; -1 where an erased person is named.

    Identifiers that the vault did not take keep nothing: nobody could find it, to erase it.
    """
    taken = np.append(component >= 0, False)
    refused = np.zeros(len(taken), bool)
    refused[list(gone)] = True
    named = np.zeros(rows, bool)
    for column in columns.values():
        named |= refused[column]
    owned = {name: np.where(taken[column], column, -1) for name, column in columns.items()}
    return np.where(named, -1, _heads([table for table, _ in parts], owned, rows))


def _numbers(
    vault: Vault, system: str, values: list[str], places: Longs, found: _Identifiers
) -> Longs:
    """The number of each distinct value, -1 for none; one place more, for null."""
    numbers = np.full(len(values) + 1, -1, np.int64)
    wrong = np.zeros(len(values) + 1, bool)
    texts = vault.texts(system, values)
    gone = erased.met(vault, [text or b"" for text in texts])
    for i, text in enumerate(texts):
        if text is None:
            wrong[i] = system == "nir" and bool(values[i].strip())
            continue
        digest, issued = vault.keys.of(text)
        if digest not in found.index:
            found.systems.append(system)
            found.issued.append(issued)
        numbers[i] = found.index.setdefault(digest, len(found.index))
        if gone[i]:
            found.erased.add(int(numbers[i]))
    found.invalid += int(wrong[places].sum())
    return numbers


def _heads(tables: Sequence[pa.Table], columns: dict[str, Longs], rows: int) -> Longs:
    """Of each row its first identifier, in the order of its table's columns."""
    head = np.full(rows, -1, np.int64)
    start = 0
    for table in tables:
        span = slice(start, start + table.num_rows)
        for system in table.column_names:
            if system in columns:
                mine = head[span]
                head[span] = np.where(mine >= 0, mine, columns[system][span])
        start += table.num_rows
    return head


def _all_alike(columns: dict[str, Longs], rows: int, size: int) -> tuple[Longs, int]:
    """Identifiers on one row are one person's, whatever their system."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    head = np.full(rows, -1, np.int64)
    heads, tails = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for column in columns.values():
        both = (head >= 0) & (column >= 0)
        heads.append(head[both])
        tails.append(column[both])
        head = np.where(head >= 0, head, column)
    one, other = np.concatenate(heads), np.concatenate(tails)
    links = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(size, size))
    persons, component = connected_components(links, directed=False)
    return np.asarray(component, np.int64), int(persons)


def _by_rules(
    columns: dict[str, Longs], rows: int, rules: Sequence[Sequence[str]], digests: list[bytes]
) -> tuple[Longs, int, list[tuple[int, int]]]:
    """Rows united rule after rule; the identifiers then go with their rows.

    A group of rows that share a rule's values, and that an earlier rule tells apart, is left as it
    is: which of them the others belong to cannot be told. What a rule of several systems names is
    no identifier by itself.

    Returns:
        Component of each identifier, how many there are, and for each group left apart two
        identifiers of it.
    """
    declared = [tuple(rule) for rule in rules if all(system in columns for system in rule)]
    alone = {rule[0] for rule in declared if len(rule) == 1}
    partial = {system for rule in rules if len(rule) > 1 for system in rule} - alone
    order = [*declared, *((system,) for system in columns if system not in alone | partial)]
    groups = _Groups(rows, len(order))
    against: list[tuple[int, int]] = []
    for place, rule in enumerate(order):
        keys = _keys([columns[system] for system in rule])
        rank = np.array([digests[i] for i in columns[rule[0]].tolist()] if rows else [], object)
        groups.seen(place, keys)
        for members in _alike(keys, rank):
            told = groups.unite(members, place)
            if told is not None:
                against.append(told)
    root = np.array([groups.root(row) for row in range(rows)], np.int64)
    return _components(columns, partial, root, digests, against)


def _components(
    columns: dict[str, Longs],
    partial: set[str],
    root: Longs,
    digests: list[bytes],
    against: list[tuple[int, int]],
) -> tuple[Longs, int, list[tuple[int, int]]]:
    least: dict[int, bytes] = {}
    for column in columns.values():
        for row in np.flatnonzero(column >= 0).tolist():
            digest = digests[column[row]]
            one = int(root[row])
            least[one] = min(least.get(one, digest), digest)
    owner: dict[int, int] = {}
    for system, column in columns.items():
        for row in np.flatnonzero(column >= 0).tolist():
            number, one = int(column[row]), int(root[row])
            if system in partial:
                owner.setdefault(number, -1)
                continue
            before = owner.get(number, -1)
            # Rows left apart may share an identifier: it goes with one of them, always the same.
            if before < 0 or least[one] < least[before]:
                owner[number] = one
    component = np.array([owner.get(number, -1) for number in range(len(digests))], np.int64)

    def own(row: int) -> int:
        """An identifier of the row that goes with it, -1 where others took them all."""
        mine = [int(column[row]) for column in columns.values() if column[row] >= 0]
        return next((one for one in mine if component[one] == root[row]), -1)

    known, numbered = np.unique(component, return_inverse=True)
    missing = int(known[0] < 0) if len(known) else 0
    told = [(own(one), own(other)) for one, other in against]
    return numbered - missing, len(known) - missing, told


class _Groups:
    """Rows in groups that grow, each remembering which values of each rule it has."""

    def __init__(self, rows: int, rules: int) -> None:
        self._parent = list(range(rows))
        self._values: list[dict[int, set[int]]] = [{} for _ in range(rules)]

    def seen(self, place: int, keys: Longs) -> None:
        values = self._values[place]
        for row in np.flatnonzero(keys >= 0).tolist():
            values.setdefault(self.root(row), set()).add(int(keys[row]))

    def root(self, row: int) -> int:
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def unite(self, members: list[int], place: int) -> tuple[int, int] | None:
        """Make rows one group, or say which two rows an earlier rule tells apart."""
        roots = sorted({self.root(row) for row in members})
        if len(roots) == 1:
            return None
        for earlier in range(place):
            held = self._values[earlier]
            apart: list[int] = []
            met: set[int] = set()
            for root in roots:
                mine = held.get(root, set())
                if mine and not (mine & met):
                    apart.append(root)
                met |= mine
            if len(apart) > 1:
                return apart[0], apart[1]
        first, *others = roots
        for other in others:
            self._parent[other] = first
            for values in self._values:
                if other in values:
                    values.setdefault(first, set()).update(values.pop(other))
        return None


def _keys(columns: list[Longs]) -> Longs:
    """One number for each distinct combination; -1 where a part is missing."""
    if len(columns) == 1:
        return columns[0]
    whole = np.stack(columns, axis=1)
    _, keys = np.unique(whole, axis=0, return_inverse=True)
    return np.where((whole >= 0).all(axis=1), keys.reshape(-1), -1)


def _alike(keys: Longs, rank: npt.NDArray[np.object_]) -> list[list[int]]:
    """Rows of equal keys, in an order that depends on the identifiers alone."""
    order = np.argsort(keys, kind="stable")
    order = order[keys[order] >= 0]
    if not len(order):
        return []
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    groups = [part.tolist() for part in np.split(order, cuts) if len(part) > 1]
    return sorted(groups, key=lambda rows: rank[rows[0]])


def _unite(
    vault: Vault, found: _Identifiers, component: Longs, persons: int
) -> tuple[int, int, list[int]]:
    """Give each component its person; returns created, conflicts, identifiers not taken."""
    digests = list(found.index)
    known, _ = vault.look_up(digests)
    smallest: list[tuple[bytes, int] | None] = [None] * persons
    existing: list[dict[int, bytes]] = [{} for _ in range(persons)]
    gone = {int(component[number]) for number in found.erased if component[number] >= 0}
    for digest, issued, part, subject in zip(digests, found.issued, component, known, strict=True):
        if part < 0:
            continue
        least = smallest[part]
        if least is None or digest < least[0]:
            smallest[part] = (digest, issued)
        if subject:
            held = existing[part].get(int(subject), digest)
            existing[part][int(subject)] = min(held, digest)
    given = [
        min(known_as) if known_as else (least or (b"", 0))[1]
        for known_as, least in zip(existing, smallest, strict=True)
    ]
    new = [i for i in range(len(digests)) if not known[i] and component[i] >= 0]
    kept = [i for i in new if int(component[i]) not in gone]
    vault.store(
        [(digests[i], found.systems[i], given[component[i]], found.issued[i]) for i in kept]
    )
    dropped = [i for i in new if int(component[i]) in gone]
    with vault.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO erased VALUES (?)",
            [(vault.keys.tombstone(digests[i]),) for i in dropped if i not in found.erased],
        )
    conflicts = [sorted(one.items()) for one in existing if len(one) > 1]
    _note_conflicts(vault, conflicts)
    created = sum(not known_as and place not in gone for place, known_as in enumerate(existing))
    return created, len(conflicts), dropped


def _note_conflicts(vault: Vault, conflicts: list[list[tuple[int, bytes]]]) -> None:
    """Persons whose identifiers came on one row: for someone to decide."""
    # Decided already, or on the list, by whichever of their identifiers.
    joined = "JOIN identifiers a ON a.digest = one JOIN identifiers b ON b.digest = other"
    apart = {
        frozenset(pair)
        for table in ("apart", "reviews")
        for pair in vault.rows(f"SELECT a.subject_id, b.subject_id FROM {table} {joined}")  # noqa: S608
    }
    with vault.transaction() as connection:
        for (first, one), *others in conflicts:
            for second, other in others:
                if frozenset((first, second)) not in apart:
                    connection.execute(
                        "INSERT OR IGNORE INTO reviews (one, other, reason) VALUES (?, ?, ?)",
                        (*sorted((one, other)), "shared_identifier"),
                    )


def _note_against(vault: Vault, digests: list[bytes], against: list[tuple[int, int]]) -> None:
    with vault.transaction() as connection:
        for first, second in against:
            if first >= 0 and second >= 0 and first != second:
                pair = sorted((digests[first], digests[second]))
                connection.execute(
                    "INSERT OR IGNORE INTO reviews (one, other, reason) VALUES (?, ?, ?)",
                    (*pair, "rules_disagree"),
                )
