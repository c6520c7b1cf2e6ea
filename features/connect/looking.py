"""A source that nobody has mapped yet: what it holds, and a mapping to complete."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from features.cells import Cells
from features.connect.columns import look_at, nulls_of
from features.connect.draft import TableLook, draft, source_name, whole_file
from features.connect.names import slug
from features.connect.opening import Found, Place, look_around
from features.connect.roles import roles_of
from features.connect.wording import Texts
from features.dry_run import first_rows
from features.errors import DataError, JalonError
from features.redaction import looks_like_identity
from features.sources import VALUES, open_reader, readable

__all__ = ["Connected", "connect"]

ROWS = 5000
"""Rows of each table that are looked at."""


@dataclass(frozen=True)
class Connected:
    """What a place holds, and the draft of its mapping.

    Attributes:
        place: What was looked at.
        tables: What each holds.
        sources: The draft, as the `sources:` of a territory.
        territory: The draft, as a whole territory file.
        passed: What could not be looked at, and why.
        lang: The language of the texts.
    """

    place: Place
    tables: tuple[TableLook, ...]
    sources: str
    territory: str
    passed: tuple[str, ...]
    lang: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; none is a person's."""
        return {
            "place": self.place.name,
            "preset": self.place.preset,
            "tables": [
                {
                    "path": one.found.path,
                    "part": one.found.part,
                    "reader": one.found.kind,
                    "options": one.found.options,
                    "rows_looked_at": one.rows,
                    "rows_unreadable": one.aside,
                    "nulls": list(one.nulls),
                    "columns": [column.as_dict() for column in one.columns],
                    "persons_table": one.roles.persons,
                    "person": one.roles.person,
                    "nir": one.roles.nir,
                    "row_key": list(one.roles.row_key),
                    "times": list(one.roles.times),
                    "recorded_at": one.roles.recorded,
                    "end_time": one.roles.end,
                    "codes": list(one.roles.codes),
                    "entered_before_event": one.roles.early,
                }
                for one in self.tables
            ],
            "draft": self.sources,
            "passed": list(self.passed),
        }

    def text(self) -> str:
        """For a terminal: each table with its columns and what they seem to be."""
        from features.connect.showing import shown

        return shown(self.tables, self.passed, Texts.of(self.lang))


def connect(
    where: str, *, rows: int = ROWS, service: str | None = None, lang: str = "fr"
) -> Connected:
    """Look at a source, for the one who will write its mapping.

    Only the first rows of each table are looked at: a value, a form of date or a missing value
    that comes later is met by the dry run and the ingest. Values are counted and their form told;
    none is shown, but codes: of a column with few different values, those that are one short word
    met in three rows or more, where they make up most of the column.

    Args:
        where: A file, an archive, a folder, or the address of a database.
        rows: How many rows of each table, at most.
        service: The name of the source in the draft; by default after the file.
        lang: Of the texts and comments, `fr` or `en`.

    Raises:
        ConfigurationError: nothing there.
        DataError: nothing that can be read.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "rdv.csv"
        >>> lines = [f"r{n};D{n % 7};{n % 28 + 1}/03/2024;HON" for n in range(60)]
        >>> _ = file.write_text("\\n".join(["id;dossier;date_rdv;statut", *lines]))
        >>> found = connect(str(file), lang="en")
        >>> found.tables[0].roles.person, found.tables[0].roles.row_key
        ('dossier', ('id',))
        >>> print("\\n".join(found.sources.splitlines()[:4]))  # doctest: +ELLIPSIS
        sources:
          rdv:
            service: rdv  # TODO ...
            reader: csv
        >>> connect("nothing-here.csv")
        Traceback (most recent call last):
        features.errors.ConfigurationError: looking at 'nothing-here.csv'. Expected a file, ...
    """
    texts = Texts.of(lang)
    place = look_around(where)
    tables: list[TableLook] = []
    passed = list(place.passed)
    for found in place.tables:
        try:
            tables.append(_look(found, rows))
        except JalonError as error:
            passed.append(str(error))
    if not tables:
        raise DataError(
            f"looking at '{where}': nothing could be read\n  " + "\n  ".join(passed),
            hint="Give the file of an export, or ask the service for it again.",
        )
    tables = _without_persons(tables)
    name = slug(service) if service else source_name(place)
    sources = draft(place, tables, name, texts)
    territory = whole_file(sources, _years(tables), texts)
    return Connected(place, tuple(tables), sources, territory, tuple(passed), lang)


def _look(found: Found, rows: int) -> TableLook:
    reader = open_reader(found.kind, found.file, found.reader_options, part=found.part)
    names = list(reader.names)
    if looks_like_identity(pa.array(names, pa.string())).any():
        raise DataError(
            f"looking at '{found.file.relative}'",
            expected="a first row with the names of the columns",
            got="something shaped as a person's number or address",
            hint="Ask for the export with a header.",
        )
    batches = list(first_rows(reader.batches(names), rows))
    if not sum(batch.table.num_rows for batch in batches):
        raise DataError(
            f"looking at '{found.file.relative}'" + (f" ({found.part})" if found.part else ""),
            expected="rows",
            got="none that can be read",
            hint="Ask the service for the export again.",
        )
    sample = pa.concat_tables([batch.table for batch in batches]).combine_chunks()
    with readable(found.file, found.kind, VALUES):
        nulls = nulls_of(sample)
        columns = tuple(look_at(sample, name, nulls) for name in names)
        roles = roles_of(sample, columns, nulls)
    aside = sum(len(batch.aside) for batch in batches)
    return TableLook(found, sample, columns, nulls, roles, aside)


def _without_persons(tables: list[TableLook]) -> list[TableLook]:
    """The same without codes that are a person's: identifiers, names found in another column."""
    keys = {name for one in tables for name in (one.roles.person, one.roles.nir) if name}
    names: set[str] = set()
    for one in tables:
        for column in one.columns:
            if column.meaning in ("first_name", "last_name", "staff"):
                names |= {str(text) for text in Cells(one.sample, one.nulls).text(column.name)}
    made = []
    for one in tables:
        columns = []
        for column in one.columns:
            same = _same(one, column.name) if column.codes else set()
            kept = tuple(
                (value, rows)
                for value, rows in column.codes
                if column.name not in keys and value not in names and value not in same
            )
            hidden = column.hidden + len(column.codes) - len(kept)
            columns.append(replace(column, codes=kept, hidden=hidden))
        made.append(replace(one, columns=tuple(columns)))
    return made


def _same(one: TableLook, name: str) -> set[str]:
    """Values of a column that are the very identifier of their row's person."""
    if one.roles.person is None:
        return set()
    cells = Cells(one.sample, one.nulls)
    pairs = zip(cells.text(name).to_pylist(), cells.text(one.roles.person).to_pylist(), strict=True)
    return {str(value) for value, person in pairs if value == person}


def _years(tables: list[TableLook]) -> tuple[int, int] | None:
    spans = [
        column.dates.years
        for one in tables
        for column in one.columns
        if column.dates is not None and column.meaning != "birth_date"
    ]
    return (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None
