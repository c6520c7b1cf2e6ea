"""What an ingest has to read: one job for each file, or database table, of a table of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from features.errors import DataError
from features.settings import FeaturesSettings, PersonsTable, Source, Table
from features.sources import Origin, arranged
from features.sources.files import Limits
from features.sources.finding import find_files

__all__ = ["Continued", "Job", "find_jobs", "origins"]


@runtime_checkable
class Continued(Protocol):
    """An origin that is read on from where the last reading of it ended, as a table that grows.

    Its `digest` says which table it is, not what is in it; it is opened at every ingest. The reader
    opened on it offers `reached`, once its rows are read, which the ledger keeps after they are
    committed. Rows that it gives again are passed over by the timelines.
    """

    @property
    def on(self) -> bool:
        """Whether it is read on: where it starts over, what was counted before is forgotten."""
        ...

    def since(self, reached: Any | None, secret: bytes | None = None) -> ContinuedOrigin:
        """The same, from where it was reached; all of it for None, or where it must start over.

        Args:
            reached: What the last reading offered.
            secret: Keys what is kept of its rows.
        """
        ...


class ContinuedOrigin(Continued, Origin, Protocol):
    """An origin of this kind."""


@dataclass(frozen=True)
class Job:
    """One file, or database table, of one table of events.

    Attributes:
        name: The source's name.
        source: How it is written.
        table: The mapping.
        file: What is read.
    """

    name: str
    source: Source
    table: Table
    file: Origin

    @property
    def part(self) -> str | None:
        """The table of a database file, or the sheet of a workbook."""
        return self.table.table or self.table.sheet

    @property
    def kind(self) -> str:
        """Which reader."""
        return self.source.reader_for(self.table)


def origins(
    folder: Path, source: Source, table: Table | PersonsTable
) -> tuple[list[Origin], list[DataError]]:
    """What one table of a source is read from, and what was left out.

    Args:
        folder: The folder of the exports.
        source: Its options bound what a compressed file may become.
        table: Of events or of persons.
    """
    if source.in_database(table) and source.url is not None:
        # The drivers' library is wanted by territories with a database only.
        from features.sources.addresses import Address
        from features.sources.sql import DatabaseTable

        mark = getattr(table, "watermark", None)
        return [DatabaseTable(table.path, Address(source.url), folder, mark)], []
    limits = Limits(source.options.max_bytes, source.options.max_ratio)
    found, errors = find_files(folder, table.path, limits)
    return list(arranged(source.reader_for(table), found, source.options)), errors


def find_jobs(
    folder: Path, settings: FeaturesSettings
) -> Iterator[tuple[str, list[Job], list[DataError]]]:
    """Table by table: the source's name, the jobs, and what was left out.

    That an optional table has no file is no error; :func:`features.optional.absent_tables` says it.
    """
    for name, source in settings.sources.items():
        for table in source.tables:
            found, errors = origins(folder, source, table)
            if table.optional:
                errors = [one for one in errors if one.what != f"reading '{table.path}'"]
            yield name, [Job(name, source, table, file) for file in found], errors
