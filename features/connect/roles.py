"""Which columns of a table seem to be its person, its row key, its dates, its codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa

from features.cells import Cells
from features.connect.columns import ColumnLook
from features.connect.names import meaning, tokens
from features.instants import read_instants
from features.settings import Instant

__all__ = ["Roles", "roles_of"]

ATTRIBUTES = ("first_name", "last_name", "birth_date", "place", "phone", "email")
KEYS = 3
"""Columns that a row key is made of at most."""

NEARLY = 0.95
"""Share of the rows in which the key of a row is another."""


@dataclass(frozen=True)
class Roles:
    """What the columns of a table seem to be.

    Attributes:
        persons: The table says who is who: one row a person, with identifiers and no event.
        person: The column of the person's identifier.
        nir: The column of NIRs.
        attributes: Columns that tell persons apart, by what they are.
        row_key: The columns that together are another in every row of the sample; empty if none.
        times: Dates of events, the likeliest first.
        recorded: The date of entry.
        decided: The date that goes with the likeliest code, as `date_statut` with `statut`.
        end: The planned or real end.
        codes: Columns of codes, the likeliest first.
        amount: A number that goes with the event.
        early: The share of rows entered before the event, where both dates are known.
    """

    persons: bool = False
    person: str | None = None
    nir: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    row_key: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    recorded: str | None = None
    decided: str | None = None
    end: str | None = None
    codes: tuple[str, ...] = ()
    amount: str | None = None
    early: float | None = None


def roles_of(table: pa.Table, looks: Sequence[ColumnLook], nulls: Sequence[str]) -> Roles:
    """What the columns of a table seem to be, for a draft that a person completes.

    Args:
        table: The sample.
        looks: One for each of its columns.
        nulls: Texts that mean a missing value.

    Example:
        >>> from features.connect.columns import look_at
        >>> table = pa.table({"id": [f"r{n}" for n in range(20)], "dossier": ["D1", "D2"] * 10,
        ...     "le": ["2024-03-01"] * 20, "saisi": ["2024-03-02"] * 20, "statut": ["ABS"] * 20})
        >>> found = roles_of(table, [look_at(table, name) for name in table.column_names], [])
        >>> found.row_key, found.person, found.times, found.recorded, found.codes, found.early
        (('id',), 'dossier', ('le',), 'saisi', ('statut',), 0.0)
    """
    nir = next((one.name for one in looks if one.identity and one.identity[0] == "nir"), None)
    if nir is None:
        nir = next((one.name for one in looks if one.meaning == "nir"), None)
    person = _person(looks) or nir
    attributes = {
        one.meaning: one.name
        for one in reversed(looks)
        if one.meaning in ATTRIBUTES and one.name not in (person, nir) and one.type != "empty"
    }
    dates = [one for one in looks if one.dates is not None and one.meaning != "birth_date"]
    recorded = _dated(dates, "recorded")
    codes = [
        one
        for one in looks
        if one.type == "code" and one.name != person and "{" not in one.name and "}" not in one.name
    ]
    codes.sort(key=lambda one: (one.meaning != "code", not one.codes, one.distinct < 2))
    said = set(tokens(codes[0].name)) - {"code"} if codes else set()
    rest = [one for one in dates if one.name != recorded]
    decided = next((one.name for one in rest if said and said < set(tokens(one.name))), None)
    if len(rest) < 2:
        decided = None
    rest = [one for one in rest if one.name != decided]
    end = _dated(rest, "end") if len(rest) > 1 else None
    times = [one for one in rest if one.name != end]
    times.sort(key=lambda one: (one.missing > 0.5, meaning(one.name, among=("time",)) is None))
    by_name = {one.name: one for one in looks}
    once = person is not None and by_name[person].distinct >= 0.98 * by_name[person].rows
    named = len(attributes) + (nir is not None and nir != person)
    # Codes beside names describe the person, as a family situation does.
    persons = once and (named >= 3 or (named == 2 and not codes))
    amounts = [
        one
        for one in looks
        if one.type == "number" or (one.type in ("integer", "code") and one.meaning == "amount")
    ]
    amounts.sort(key=lambda one: one.meaning != "amount")
    early = None
    if recorded and times:
        early = _early(table, by_name[times[0].name], by_name[recorded], nulls)
    return Roles(
        persons,
        person,
        nir,
        tuple((name, attributes[name]) for name in ATTRIBUTES if name in attributes),
        _row_key(table, looks, person, nulls),
        tuple(one.name for one in times),
        recorded,
        decided,
        end,
        tuple(one.name for one in codes),
        next((one.name for one in amounts if one.name != person), None),
        early,
    )


def _person(looks: Sequence[ColumnLook]) -> str | None:
    """The column that is most like the identifier of a person, other than a NIR."""

    def score(one: ColumnLook) -> float:
        if one.dates is not None or one.personal or one.type in ("empty", "number", "nested"):
            return -1
        words = set(tokens(one.name))
        likely = 3.0 * (one.meaning == "person")
        likely += bool(words & {"id", "num", "numero", "no", "n", "identifiant"})
        likely += one.missing < 0.02
        likely += one.distinct < 0.9 * one.filled
        likely -= 2 * (one.meaning in ("code", "recorded", "end", "amount"))
        likely -= 2 * (one.distinct <= 3 and one.filled > 20)
        return likely

    best = max(looks, key=score, default=None)
    return best.name if best is not None and score(best) >= 3 else None


def _dated(dates: Sequence[ColumnLook], wanted: str) -> str | None:
    named = [one for one in dates if meaning(one.name, among=("recorded", "end")) == wanted]
    named.sort(key=lambda one: one.missing)
    return named[0].name if named else None


def _row_key(
    table: pa.Table, looks: Sequence[ColumnLook], person: str | None, nulls: Sequence[str]
) -> tuple[str, ...]:
    rows = table.num_rows
    usable = [
        one
        for one in looks
        if one.filled == rows and one.type != "nested" and not one.personal and rows
    ]
    alone = [
        one
        for one in usable
        if one.dates is None
        and one.type in ("text", "integer")
        # The same row may stand twice in an export, as it was and as it was corrected.
        and (one.unique or (one.distinct >= NEARLY * rows and _keyed(one)))
    ]
    alone.sort(key=lambda one: (one.name == person, not one.unique, not _keyed(one)))
    if alone:
        return (alone[0].name,)
    cells = Cells(table, nulls)
    usable.sort(key=lambda one: (one.name != person, -one.distinct))
    for size in range(2, KEYS + 1):
        for chosen in combinations([one.name for one in usable[:8]], size):
            if len(cells.joined(chosen).unique()) == rows:
                return chosen
    return ()


def _keyed(one: ColumnLook) -> bool:
    return meaning(one.name, among=("key",)) is not None


def _early(
    table: pa.Table, time: ColumnLook, recorded: ColumnLook, nulls: Sequence[str]
) -> float | None:
    assert time.dates is not None
    assert recorded.dates is not None
    happened, entered = (
        read_instants(
            table[one.name],
            Instant(column=one.name),
            one.dates.formats,
            "UTC",
            table.num_rows,
            nulls=nulls,
        ).astype("datetime64[D]")
        for one in (time, recorded)
        if one.dates is not None
    )
    both = ~np.isnat(happened) & ~np.isnat(entered)
    return float((entered < happened)[both].mean()) if both.any() else None
