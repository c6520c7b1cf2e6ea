"""The persons tables of an ingest: identifiers that stand on one row are one person's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from features.cells import Cells
from features.errors import JalonError
from features.identity import Vault
from features.identity.people import unite
from features.identity.records import birth_dates, column
from features.jobs import origins
from features.set_aside import SetAside
from features.settings import FeaturesSettings, PersonsTable, Source
from features.sources import VALUES, Origin, missing_column, open_reader, readable

__all__ = ["unite_persons"]


def unite_persons(
    folder: Path, aside: Path, settings: FeaturesSettings, vault: Vault
) -> tuple[dict[str, int], set[str], list[str]]:
    """Unite the identifiers of every persons table, for the events that follow.

    Args:
        folder: The folder of the exports.
        aside: The folder of rows set aside.
        settings: The territory's.
        vault: Keeps what is united.

    Returns:
        What was found, the sources that wait for a persons table, and what could not be read.
    """
    tables: dict[str, list[pa.Table]] = {name: [] for name in settings.sources}
    unread: dict[str, set[str]] = {}
    failures: list[str] = []
    refused = 0
    for name, source in settings.sources.items():
        for persons in source.persons:
            files, errors = origins(folder, source, persons)
            failures += [f"{name}: {error}" for error in errors]
            whole = not errors
            for file in files:
                try:
                    found, more = _identifiers(aside, name, source, persons, file)
                except JalonError as error:
                    failures.append(f"{name}: {error}")
                    whole = False
                    continue
                tables[name] += found
                refused += more
            if not whole:
                unread.setdefault(name, set()).update(persons.keys)
    waiting = _waiting(settings.sources, unread)
    for name in sorted(waiting):
        others = ", ".join(sorted(waiting[name] - {name}))
        whose = "its persons table" if name in unread else f"the persons table of {others}"
        why = "" if name in unread else ": they share identifiers of persons"
        failures.append(f"{name}: its events wait until {whose} can be read{why}")
    # What is united once stays so: a table of a source that waits must not be taken alone.
    taken = [one for name, found in tables.items() if name not in waiting for one in found]
    figures = {**unite(vault, taken, settings.identity), "rows_set_aside": refused}
    return figures, set(waiting), failures


def _identifiers(
    folder: Path, name: str, source: Source, persons: PersonsTable, file: Origin
) -> tuple[list[pa.Table], int]:
    part = persons.table or persons.sheet
    kind = source.reader_for(persons)
    reader = open_reader(kind, file, source.options, part=part)
    attributes = [attribute.column for attribute in persons.attributes.values()]
    keys = [column for columns in persons.keys.values() for column in columns]
    wanted = list(dict.fromkeys([*keys, *attributes]))
    error = missing_column(file, reader.names, wanted)
    if error is not None:
        raise error
    said = f"{persons.path}/{part}" if part else persons.path
    aside = SetAside(folder, name, f"persons: {said}", file.relative)
    found, refused = [], 0
    try:
        for batch in reader.batches(wanted):
            cells = Cells(batch.table, source.options.nulls)
            with readable(file, kind, VALUES):
                held = {system: cells.joined(said) for system, said in persons.keys.items()}
                held |= {
                    column(name): birth_dates(cells.text(one.column), one.formats or source.formats)
                    if name == "birth_date"
                    else cells.text(one.column)
                    for name, one in persons.attributes.items()
                }
            found.append(pa.table(held))
            aside.add(batch.aside)
            refused += len(batch.aside)
    except BaseException:
        aside.discard()
        raise
    aside.finish()
    return found, refused


def _waiting(sources: Mapping[str, Source], unread: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Sources that may speak of the same persons as a persons table that cannot be read.

    Args:
        sources: Every source.
        unread: By source, the systems of its persons tables that cannot be read.

    Returns:
        The sources that wait, and for whose persons tables.
    """
    systems = {
        name: {
            source.person.system,
            *(table.person.system for table in source.tables if table.person is not None),
            *(system for persons in source.persons for system in persons.keys),
        }
        for name, source in sources.items()
    }
    waiting: dict[str, set[str]] = {}
    for owner, keys in unread.items():
        met, reached = {owner}, keys | systems[owner]
        while more := {name for name in systems if name not in met and systems[name] & reached}:
            met |= more
            reached = reached.union(*(systems[name] for name in more))
        for name in met:
            waiting.setdefault(name, set()).add(owner)
    return waiting
