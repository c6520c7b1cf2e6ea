"""What a source holds, laid out for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from features.connect.columns import ColumnLook
from features.connect.draft import TableLook
from features.connect.wording import Texts

__all__ = ["shown"]

WIDE = 32
CODES = 8


def shown(tables: Sequence[TableLook], passed: Sequence[str], texts: Texts) -> str:
    """Each table with its columns, what they seem to be, and what was passed over.

    Args:
        tables: What was looked at.
        passed: Why something was not.
        texts: The language.
    """
    lines: list[str] = []
    for one in tables:
        lines += [*_table(one, texts), ""]
    if passed:
        lines += [texts("show.passed"), *(f"  {line}" for line in passed), ""]
    return "\n".join(lines).rstrip()


def _table(one: TableLook, texts: Texts) -> Iterator[str]:
    part = f" ({one.found.part})" if one.found.part else ""
    options = ", ".join(f"{key} {value!r}" for key, value in one.found.options.items())
    yield f"{one.found.path}{part}: {one.found.kind}" + (f", {options}" if options else "")
    yield "  " + texts("show.rows", rows=one.rows, columns=len(one.columns))
    if one.aside:
        yield "  " + texts("show.unreadable", rows=one.aside)
    if one.nulls:
        yield "  " + texts("show.nulls", words=", ".join(one.nulls))
    width = min(WIDE, max(len(column.name) for column in one.columns))
    for column in one.columns:
        missing = "" if not column.missing else f"{max(1, round(100 * column.missing))} %"
        said = texts(f"type.{column.type}")
        start = f"  {column.name:<{width}}  {said:<12} {missing:>5}"
        yield f"{start}  {_notes(column, one, texts)}".rstrip()
    yield "  " + texts(
        "show.roles_persons" if one.roles.persons else "show.roles",
        person=one.roles.person or "?",
        key=" + ".join(one.roles.row_key) or "?",
        time=one.roles.times[0] if one.roles.times else "?",
        recorded=one.roles.recorded or "?",
        code=one.roles.codes[0] if one.roles.codes else "?",
    )


def _notes(column: ColumnLook, one: TableLook, texts: Texts) -> str:
    notes = []
    if column.identity is not None:
        kind, share = column.identity
        notes.append(texts("note.identity", kind=texts(f"identity.{kind}"), share=share))
    elif column.personal:
        notes.append(texts("note.personal", what=texts(f"meaning.{column.meaning}")))
    if column.name == one.roles.person:
        notes.append(texts("note.person"))
    if column.unique:
        notes.append(texts("note.unique"))
    elif column.distinct and column.type != "code":
        notes.append(texts("note.distinct", count=column.distinct))
    if column.dates is not None:
        notes.append(", ".join(column.dates.formats))
        if column.dates.ambiguous:
            notes.append(texts("note.ambiguous"))
        if column.dates.mixed:
            notes.append(texts("note.mixed"))
        if column.meaning != "birth_date":
            first, last = column.dates.years
            notes.append(str(first) if first == last else f"{first}-{last}")
    if column.decimal == ",":
        notes.append(texts("note.comma"))
    if column.shape is not None:
        notes.append(texts("note.shape", shape=column.shape))
    if column.type == "code":
        codes = ", ".join(f"{value} {rows}" for value, rows in column.codes[:CODES])
        rest = column.hidden + max(0, len(column.codes) - CODES)
        more = texts("note.others", count=rest) if rest else ""
        notes.append(", ".join(filter(None, (codes, more))))
    return "; ".join(notes)
