"""What a mapping would give on the first rows of each table; nothing is written."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.cells import Cells
from features.errors import DataError, JalonError
from features.identity import Vault
from features.jobs import Continued, Job, origins
from features.mapping import check_mapping, table_name
from features.optional import fitting
from features.quality import FileFigures
from features.redaction import WITHHELD
from features.report_pages import Words
from features.set_aside import Refusal
from features.settings import FeaturesSettings, PersonsTable, Source, Table
from features.sources import VALUES, Batch, Origin, missing_column, open_reader, readable
from features.taking import Taking
from features.territory import Territory
from features.vocabulary import Vocabulary

__all__ = ["DryRun", "PersonsTrial", "TableTrial", "dry_run"]

EXAMPLES = 3
"""Events of a table that are shown."""

SHOWN = ("time", "recorded_at", "end_time", "numeric_value", "text_value")


@dataclass
class PersonsTrial:
    """The first rows of one persons table: how many have which identifier."""

    source: str
    table: str
    file: str
    rows: int = 0
    keys: dict[str, int] = field(default_factory=dict)


@dataclass
class TableTrial:
    """What the first rows of one file of a table would give.

    Attributes:
        figures: Rows, events, rows set aside, by reason and column, as an ingest counts them.
        codes: Events by code.
        persons: Different identifiers of persons.
        repeated: Events that have the id of another: rows whose row key is not their own.
        examples: A few events, each with the place of its row and without who it is about.
        left_out: Optional rules whose columns the file lacks.
    """

    figures: FileFigures
    codes: Counter[str] = field(default_factory=Counter)
    persons: int = 0
    repeated: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        told = self.figures
        return {
            "source": told.source,
            "table": told.table,
            "file": told.file,
            "rows": told.rows,
            "rows_with_events": told.mapped,
            "rows_without_event": told.without_event,
            "rows_set_aside": sum(told.set_aside.values()),
            "events": dict(self.codes.most_common()),
            "set_aside": [
                dict(zip(("reason", "column", "rule"), where.split("|", 2), strict=True))
                | {"rows": rows}
                for where, rows in told.where.most_common()
            ],
            "unknown": dict(told.unknown.most_common()),
            "persons": self.persons,
            "repeated": self.repeated,
            "taken": told.taken,
            "examples": self.examples,
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class DryRun:
    """What an ingest would find at the beginning of every table.

    Attributes:
        rows: Looked at in each file, at most.
        persons: Tables of persons.
        tables: Tables of events.
        failures: What could not be read.
        left_out: Optional tables without a file.
    """

    rows: int
    persons: tuple[PersonsTrial, ...]
    tables: tuple[TableTrial, ...]
    failures: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "rows_at_most": self.rows,
            "persons": [dict(one.__dict__) for one in self.persons],
            "tables": [one.as_dict() for one in self.tables],
            "failures": list(self.failures),
            "left_out": list(self.left_out),
        }

    def text(self, lang: str = "fr") -> str:
        """For a terminal: table by table, the events, what is set aside and the remedy."""
        from features.connect.wording import Texts

        say, words = Texts.of(lang), Words.of(lang)
        told = [say("dry.title", rows=self.rows)]
        for persons in self.persons:
            keys = ", ".join(f"{system} {rows}" for system, rows in persons.keys.items())
            told += ["", f"{persons.source}, {persons.file}"]
            told.append("  " + say("dry.persons", rows=persons.rows, keys=keys))
        for trial in self.tables:
            told += ["", *_lines(trial, say, words)]
        told += ["", say("dry.failures"), *(f"  {one}" for one in self.failures)] * bool(
            self.failures
        )
        told += ["", *self.left_out] * bool(self.left_out)
        return "\n".join([*told, "", say("dry.nothing")])


def _lines(trial: TableTrial, say: Any, words: Words) -> Iterator[str]:
    told = trial.figures
    yield f"{told.source}, {told.file}" + (f" ({told.table})" if told.table != told.file else "")
    if told.taken:
        yield "  " + ", ".join(f"{name} {value!r}" for name, value in told.taken.items())
    aside = sum(told.set_aside.values())
    events = sum(trial.codes.values())
    yield "  " + say("dry.counts", rows=told.rows, mapped=told.mapped, events=events)
    yield "  " + say("dry.rest", without=told.without_event, aside=aside, persons=trial.persons)
    yield from (f"  {said}" for said in trial.left_out)
    if trial.repeated:
        yield "  " + say("dry.repeated", count=trial.repeated)
    for code, count in trial.codes.most_common():
        yield f"  {count:>7}  {code}"
    for where, count in told.where.most_common():
        reason, column, rule = where.split("|", 2)
        said = words.reason(reason) + (f" ({column})" if column else "")
        said += f", {words.rule(rule)}" if rule else ""
        yield f"  {count:>7}  {say('dry.aside', said=said)}"
        yield f"           {words.remedy(reason)}"
    for code, count in told.unknown.most_common(10):
        yield f"  {count:>7}  {say('dry.unknown', said=code)}"
    for example in trial.examples:
        rest = ", ".join(f"{name} {example[name]}" for name in SHOWN if name in example)
        yield "  " + say("dry.row", row=example["row"], said=f"{example['code']}, {rest}")


def dry_run(territory: Territory, *, rows: int = 1000) -> DryRun:
    """What each mapping of a territory gives on the first rows of each file, for who writes it.

    Rows go the very way of an ingest, but pseudonyms come from a vault that is made for this run
    in a temporary folder, with a key of its own, and goes with it: the work folder is neither
    read nor written. So three things are not seen: identifiers that persons tables unite,
    persons who were erased, and rows that contradict what the timelines know.

    Args:
        territory: The opened territory.
        rows: How many rows of each file, at most.

    Raises:
        ConfigurationError: a territory file or mapping that cannot be used.
        DataError: no table at all could be read.
    """
    settings = territory.section("features", FeaturesSettings)
    check_mapping(settings, Vocabulary.load(settings.vocabulary))
    failures: list[str] = []
    left_out: list[str] = []
    persons: list[PersonsTrial] = []
    tables: list[TableTrial] = []
    for name, source in settings.sources.items():
        for who in source.persons:
            files, errors = origins(territory.data, source, who)
            failures += [f"{name}: {error}" for error in errors]
            for file in files:
                try:
                    persons.append(_persons(name, source, who, file, rows))
                except JalonError as error:
                    failures.append(f"{name}: {error}")
    with _passing_vault() as vault:
        for name, source, table in _tables(settings):
            found, errors = origins(territory.data, source, table)
            if found or not table.optional:
                failures += [f"{name}: {error}" for error in errors]
            else:
                left_out.append(f"{name}: no file '{table.path}' (optional)")
            for file in found:
                try:
                    job = Job(name, source, table, file)
                    tables.append(_table(job, settings, vault, rows))
                except JalonError as error:
                    failures.append(f"{name}: {error}")
    failures = list(dict.fromkeys(failures))
    if not tables:
        raise DataError(
            f"trying the mappings of territory '{territory.name}' on '{territory.data}': "
            f"no table could be read\n  " + "\n  ".join(failures),
            hint="Correct the first of these, or give the exports' folder with --data.",
        )
    return DryRun(rows, tuple(persons), tuple(tables), tuple(failures), tuple(left_out))


def _tables(settings: FeaturesSettings) -> Iterator[tuple[str, Source, Table]]:
    for name, source in settings.sources.items():
        for table in source.tables:
            yield name, source, table


@contextmanager
def _passing_vault() -> Iterator[Vault]:
    with tempfile.TemporaryDirectory(prefix="jalon-dry-run-") as folder:
        vault = Vault.open(folder)
        try:
            yield vault
        finally:
            vault.close()


def _persons(
    name: str, source: Source, persons: PersonsTable, file: Origin, rows: int
) -> PersonsTrial:
    part = persons.table or persons.sheet
    kind = source.reader_for(persons)
    reader = open_reader(kind, file, source.options, part=part)
    attributes = [attribute.column for attribute in persons.attributes.values()]
    wanted = list(
        dict.fromkeys([*(c for keys in persons.keys.values() for c in keys), *attributes])
    )
    error = missing_column(file, reader.names, wanted)
    if error is not None:
        raise error
    found = PersonsTrial(name, persons.path, file.relative, keys=dict.fromkeys(persons.keys, 0))
    for batch in first_rows(reader.batches(wanted), rows):
        found.rows += batch.table.num_rows + len(batch.aside)
        with readable(file, kind, VALUES):
            cells = Cells(batch.table, source.options.nulls)
            for system, columns in persons.keys.items():
                found.keys[system] += batch.table.num_rows - cells.joined(columns).null_count
    return found


def _table(job: Job, settings: FeaturesSettings, vault: Vault, rows: int) -> TableTrial:
    file = job.file.since(None) if isinstance(job.file, Continued) else job.file
    reader = open_reader(job.kind, file, job.source.options, part=job.part)
    table, left_out = fitting(job.table, reader.names)
    taking = Taking(job.name, job.source, table, settings, vault)
    error = missing_column(file, reader.names, taking.columns)
    if error is not None:
        raise error
    trial = TableTrial(
        left_out=left_out, figures=FileFigures(job.name, table_name(job.table), file.relative)
    )
    figures = trial.figures
    zone = ZoneInfo(job.source.timezone or settings.timezone)
    subjects: set[int] = set()
    ids: set[str] = set()
    for batch in first_rows(reader.batches(taking.columns), rows):
        with readable(file, job.kind, VALUES):
            taken = taking.take(batch)
        figures.rows += batch.table.num_rows + len(batch.aside)
        figures.mapped += taken.mapped
        figures.without_event += taken.without_event
        figures.events += taken.events.num_rows
        figures.saw(taken.events)
        for one in (*map(Refusal.of, batch.aside), *taken.refused):
            figures.refused(one.reason, one.column, one.rule)
        counted: Any = pc.value_counts(taken.events["code"].combine_chunks())
        trial.codes.update({one["values"]: one["counts"] for one in counted.to_pylist()})
        subjects.update(np.unique(taken.issued).tolist())
        met: list[Any] = taken.events["event_id"].to_pylist()
        trial.repeated += len(met) - len(set(met) - ids)
        ids.update(met)
        numbers = batch.rows[taken.places]
        wanted = EXAMPLES - len(trial.examples)
        trial.examples += _examples(taken.events, numbers, table, zone, wanted)
    trial.persons = len(subjects)
    figures.taken = getattr(reader, "dialect", {})
    figures.unknown = taking.unknown()
    return trial


def first_rows(batches: Iterator[Batch], rows: int) -> Iterator[Batch]:
    """The first rows of what a reader gives, rows that could not be read counted in.

    Example:
        >>> one = Batch(pa.table({"a": [1, 2, 3]}), np.arange(1, 4))
        >>> [batch.table.num_rows for batch in first_rows(iter([one, one]), 5)]
        [3, 2]
    """
    left = rows
    for batch in batches:
        numbers = [*batch.rows.tolist(), *(one.row for one in batch.aside)]
        if len(numbers) > left:
            last = sorted(numbers)[left - 1] if left else 0
            kept = int(np.searchsorted(batch.rows, last, side="right"))
            aside = [one for one in batch.aside if one.row <= last]
            batch = Batch(batch.table.slice(0, kept), batch.rows[:kept], aside)
        left -= batch.table.num_rows + len(batch.aside)
        yield batch
        if left <= 0:
            return


def _examples(
    events: pa.Table, rows: np.ndarray, table: Table, zone: ZoneInfo, wanted: int
) -> Iterator[dict[str, Any]]:
    """Events of different codes first, without person, id, reference or the source's own code."""
    if wanted <= 0 or not events.num_rows:
        return
    codes: list[Any] = events["code"].to_pylist()
    firsts = list(dict(zip(reversed(codes), reversed(range(len(codes))), strict=True)).values())
    listed = _listed(table)
    for place in islice(sorted(firsts), wanted):
        event: dict[str, Any] = events.select(["code", *SHOWN]).slice(place, 1).to_pylist()[0]
        text = event["text_value"]
        if text is not None and text not in listed:
            # A controlled value that the mapping does not list may be anything of one word.
            event["text_value"] = WITHHELD
        told = {name: _plain(value, zone) for name, value in event.items() if value is not None}
        yield {"row": int(rows[place]), **told}


def _listed(table: Table) -> set[str]:
    rules: list[Mapping[str, str]] = [
        rule.text_value.values
        for rule in table.events
        if rule.text_value is not None and rule.text_value.values is not None
    ]
    return {value for values in rules for value in values.values()}


def _plain(value: Any, zone: ZoneInfo) -> Any:
    """An instant as the source's own clock shows it."""
    if isinstance(value, datetime):
        instant = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return value
