"""What came in, what was set aside and why, how late, from when to when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from features.heartbeat import Feed

__all__ = ["REASONS", "FileFigures", "IngestReport", "SourceFigures"]

_LONG = frozenset({"source", "delays", "where", "filled", "left_out"})
"""Figures of a file that are told for its source, or not at all."""

SILENT = "Sources that send nothing, which is not the same as people who do nothing:"

LONGEST = 366
"""Delays are counted by whole day up to this many; longer ones count as this."""

REASONS = {
    "bad_date": "a date that fits none of the formats",
    "bad_encoding": "bytes that are not in the declared encoding",
    "bad_json": "a line that is no JSON object",
    "bad_number": "a number that cannot be read",
    "contract": "a value that breaks the table's contract",
    "contradiction": "another content than a known version with the same entry date",
    "date_out_of_range": "a date outside the period that is believed",
    "erased": "a person who was erased",
    "free_text": "free text where a controlled value is expected",
    "identity_in_field": "something shaped as a NIR, a telephone number or an e-mail",
    "line_too_long": "a line longer than max_line_bytes",
    "missing_person": "no person key",
    "missing_recorded_at": "no entry date",
    "missing_row_key": "no row key",
    "missing_time": "no date of the event",
    "nested_value": "an object or a list where a value is expected",
    "nul_byte": "a NUL byte in the line",
    "open_quote": "a quote that is opened and not closed",
    "recorded_after_observation": "an entry date after the end of observation",
    "stray_return": "a carriage return inside the line",
    "unknown_code": "a code that the mapping does not list",
    "unknown_value": "a value that the mapping does not list",
    "wrong_number_of_columns": "more or fewer columns than the header",
}
"""Every reason for which a row is set aside, in plain words."""


@dataclass
class FileFigures:
    """One file of one table: counts, kept beside the file's fingerprint.

    Every row read is an event-bearing row, a row without event, or a row set aside.

    Attributes:
        where: Rows set aside by `reason|column|rule`; the rule is told for contracts.
        filled: By column read, the rows that have a value and all rows.
        gone: The file is no longer among the exports; its events stay.
        taken: How a text file was taken: encoding, delimiter, quote.
        left_out: Optional rules of the mapping for which the file lacks a column.
    """

    source: str
    table: str
    file: str
    rows: int = 0
    mapped: int = 0
    without_event: int = 0
    events: int = 0
    duplicates: int = 0
    versions: int = 0
    persons_created: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    where: Counter[str] = field(default_factory=Counter)
    filled: dict[str, list[int]] = field(default_factory=dict)
    delays: list[int] = field(default_factory=lambda: [0] * (LONGEST + 1))
    first: str | None = None
    last: str | None = None
    gone: bool = False
    taken: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def saw(self, events: pa.Table) -> None:
        """Take the period and the entry delays of some events into account."""
        timed = events.filter(pc.is_valid(events["time"]))
        if not timed.num_rows:
            return
        bounds: Any = pc.min_max(timed["time"]).as_py()
        self.first = min(filter(None, (self.first, bounds["min"].isoformat())))
        self.last = max(filter(None, (self.last, bounds["max"].isoformat())))
        delay = np.asarray(timed["recorded_at"]).astype("datetime64[us]") - np.asarray(
            timed["time"]
        ).astype("datetime64[us]")
        days = delay[delay >= np.timedelta64(0)] // np.timedelta64(1, "D")
        counted = np.bincount(np.minimum(days.astype(np.int64), LONGEST), minlength=LONGEST + 1)
        self.delays = (np.array(self.delays) + counted).tolist()

    def refused(self, reason: str, column: str | None, rule: str | None = None) -> None:
        """Count a row set aside."""
        self.set_aside[reason] += 1
        self.where["|".join((reason, column or "", rule or ""))] += 1

    def read(self, table: pa.Table, nulls: Sequence[str]) -> None:
        """Take raw rows into account: how complete each of their columns is."""
        missing = pa.array(sorted({"", *nulls}), pa.string())
        for name in table.column_names:
            column = table[name]
            empty = column.null_count
            if pa.types.is_string(column.type):
                here: Any = pc.is_in(column, value_set=missing)
                empty += int(pc.sum(here).as_py() or 0)
            before = self.filled.get(name, [0, 0])
            self.filled[name] = [before[0] + len(column) - empty, before[1] + len(column)]

    def plus(self, earlier: FileFigures) -> FileFigures:
        """The sum with an earlier reading of the same table, for one that is read on."""
        counts = ("rows", "mapped", "without_event", "events", "duplicates", "versions")
        made = FileFigures(self.source, self.table, self.file)
        for name in (*counts, "persons_created"):
            setattr(made, name, getattr(self, name) + getattr(earlier, name))
        made.set_aside = self.set_aside + earlier.set_aside
        made.unknown = self.unknown + earlier.unknown
        made.where = self.where + earlier.where
        for name in dict.fromkeys([*earlier.filled, *self.filled]):
            pairs = [one.filled.get(name, [0, 0]) for one in (self, earlier)]
            made.filled[name] = [sum(pair[place] for pair in pairs) for place in (0, 1)]
        made.taken = {**earlier.taken, **self.taken}
        made.left_out = self.left_out
        made.delays = (np.array(self.delays) + np.array(earlier.delays)).tolist()
        firsts = [one.first for one in (self, earlier) if one.first]
        lasts = [one.last for one in (self, earlier) if one.last]
        made.first, made.last = min(firsts, default=None), max(lasts, default=None)
        return made

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        counters = {name: dict(getattr(self, name)) for name in ("set_aside", "unknown", "where")}
        return {**self.__dict__, **counters}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FileFigures:
        """The inverse of :meth:`as_dict`."""
        counters = {
            name: Counter(values.get(name, {})) for name in ("set_aside", "unknown", "where")
        }
        return cls(**{**values, **counters})


@dataclass(frozen=True)
class SourceFigures:
    """One source: the sum of its files.

    Attributes:
        name: The source's name.
        service: The service it belongs to.
        files: Figures of each of its files.
        feed: Whether it still sends.
        activity: Events by the week in which they were recorded, each named by its Monday.
    """

    name: str
    service: str
    files: tuple[FileFigures, ...]
    feed: Feed | None = None
    activity: Mapping[date, int] = field(default_factory=dict)

    def total(self, what: str) -> int:
        """The sum of a count over files."""
        return sum(getattr(file, what) for file in self.files)

    def counter(self, what: str) -> dict[str, int]:
        """The sum of a counter over files, largest first."""
        total: Counter[str] = Counter()
        for file in self.files:
            total.update(getattr(file, what))
        return dict(total.most_common())

    def completeness(self) -> dict[str, tuple[int, int]]:
        """By `table: column`, the rows that have a value and all rows read."""
        found: dict[str, tuple[int, int]] = {}
        for file in self.files:
            for column, (filled, rows) in file.filled.items():
                name = f"{file.table}: {column}"
                before = found.get(name, (0, 0))
                found[name] = before[0] + filled, before[1] + rows
        return found

    def delay(self, share: float) -> int | None:
        """The number of whole days from `time` to `recorded_at` that a share stays within."""
        counts = np.sum([file.delays for file in self.files], axis=0)
        total = counts.sum() if self.files else 0
        return int(np.searchsorted(np.cumsum(counts), share * total)) if total else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        firsts = [file.first for file in self.files if file.first]
        lasts = [file.last for file in self.files if file.last]
        return {
            "service": self.service,
            "rows": self.total("rows"),
            "events": self.total("events"),
            "duplicates": self.total("duplicates"),
            "versions": self.total("versions"),
            "rows_without_event": self.total("without_event"),
            "rows_set_aside": sum(self.counter("set_aside").values()),
            "set_aside": self.counter("set_aside"),
            "unknown_codes": self.counter("unknown"),
            "delay_days": {"median": self.delay(0.5), "p90": self.delay(0.9)},
            "set_aside_where": [
                {**_where(place), "rows": rows} for place, rows in self.counter("where").items()
            ],
            "completeness": {
                name: {"filled": filled, "rows": rows}
                for name, (filled, rows) in self.completeness().items()
            },
            "heartbeat": None if self.feed is None else self.feed.as_dict(),
            "activity": {day.isoformat(): events for day, events in self.activity.items()},
            "first": min(firsts) if firsts else None,
            "last": max(lasts) if lasts else None,
            "tables": [
                {k: v for k, v in file.as_dict().items() if k not in _LONG} for file in self.files
            ],
        }


@dataclass(frozen=True)
class IngestReport:
    """What an ingest found, for people and programs.

    Attributes:
        sources: Figures per source, over every file of the territory.
        added: Events that this run added (corrections included).
        read: Files that this run read.
        skipped: Files that were in the timelines already.
        failures: Files or tables that could not be read at all, with the error.
        identity: How identifiers were united.
        subjects: Persons in the timelines' vault.
        version: Delta version of the timelines.
        places: Where the results lie.
        seconds: Duration.
        absent: Optional tables of which there is no file.
    """

    sources: Sequence[SourceFigures]
    added: int
    read: int
    skipped: int
    failures: Sequence[str]
    identity: dict[str, int]
    subjects: int
    version: int
    places: dict[str, str]
    seconds: float
    when: datetime
    absent: Sequence[str] = ()

    @property
    def silent(self) -> list[SourceFigures]:
        """Sources that stopped sending, or never did."""
        quiet = ("silent", "never")
        return [one for one in self.sources if one.feed is not None and one.feed.state in quiet]

    @property
    def notes(self) -> list[str]:
        """What was read but needs a decision, and what is optional and is not there."""
        conflicts = self.identity.get("conflicts", 0)
        lacking = [
            f"{source.name}, {file.table}: {one}"
            for source in self.sources
            for file in source.files
            for one in file.left_out
        ]
        said = [*self.absent, *dict.fromkeys(lacking)]
        if not conflicts:
            return said
        return [
            *said,
            f"{conflicts} group(s) of identifiers stand for one person but were already known as "
            "several: they stay several, with their events apart, until they are merged: "
            "jalon identity review.",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "when": self.when.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 2),
            "files_read": self.read,
            "files_skipped": self.skipped,
            "events_added": self.added,
            "persons": self.subjects,
            "timelines_version": self.version,
            "identity": self.identity,
            "failures": list(self.failures),
            "notes": self.notes,
            "silent": [source.name for source in self.silent],
            "sources": {source.name: source.as_dict() for source in self.sources},
            "places": self.places,
        }

    def text(self) -> str:
        """A table of the sources, what was set aside and what failed, for a terminal."""
        head = ("", "rows", "new events", "corrections", "known", "no event", "set aside")
        counts = ("rows", "events", "versions", "duplicates", "without_event")
        lines: list[tuple[str, ...]] = [head]
        for source in self.sources:
            aside = sum(source.counter("set_aside").values())
            numbers = [*(source.total(what) for what in counts), aside]
            lines.append((source.name, *(f"{number:,}".replace(",", " ") for number in numbers)))
        widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
        table = [
            "  ".join(
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        reasons: Counter[str] = Counter()
        for source in self.sources:
            reasons.update(source.counter("set_aside"))
        silent = [f"  {source.name}: {_silence(source.feed)}" for source in self.silent]
        said = [f"  {count:>7}  {REASONS[reason]}" for reason, count in reasons.most_common()]
        return "\n".join(
            [
                f"{self.added} events added for {self.subjects} persons known; "
                f"{self.read} file(s) read, {self.skipped} unchanged, in {self.seconds:.1f} s",
                "",
                *table,
                *(
                    ["", "Sources that send nothing (not the same as people who do nothing):"]
                    * bool(silent)
                ),
                *silent,
                *(["", "Rows set aside, by reason:", *said] if said else []),
                *(["", "To know:", *(f"  {note}" for note in self.notes)] if self.notes else []),
                *(
                    ["", "Not read:", *(f"  {failure}" for failure in self.failures)]
                    if self.failures
                    else []
                ),
            ]
        )


def _silence(feed: Feed | None) -> str:
    if feed is None or feed.last is None:
        return "no event at all"
    usual = "" if feed.usual is None else f"; it used to every {feed.usual:g} day(s)"
    return f"nothing since {feed.last}, {feed.days} days{usual}"


def _where(place: str) -> dict[str, str]:
    """A key of :attr:`FileFigures.where` in its parts; a column's name may hold the mark."""
    reason, _, rest = place.partition("|")
    column, _, rule = rest.rpartition("|")
    return {"reason": reason, "column": column, "rule": rule}
