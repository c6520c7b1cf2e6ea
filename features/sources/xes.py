"""Event logs in XES (IEEE 1849): one row an event, with the attributes of its trace."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import Batch, SourceFile
from features.sources.xml_records import records, tag

__all__ = ["XesReader"]

ROWS = 50_000

SAMPLE = 20_000
"""Events at the beginning of a log whose attributes are its columns."""

SIMPLE = frozenset({"string", "date", "int", "float", "boolean", "id"})
"""Attributes of one value; lists and containers are passed over."""

NUMBER = "event:number"
CASE = "case:"

Attributes = dict[str, str]


class XesReader:
    """Events of a XES log, as text columns; see :mod:`features.sources`.

    An event's attributes are columns under their own keys (`concept:name`, `time:timestamp`,
    `lifecycle:transition`, `org:resource`), those of its trace the same with `case:` before
    (`case:concept:name`). `event:number` is the place of the event in its trace, from 1. An
    attribute within an attribute is not read, nor is one that is neither declared in the log's
    globals nor met among its first 20,000 events.

    Assumed: a trace's own attributes stand before its events, as the standard has it. After it,
    they are not known of the events before: those are set aside for want of a person.

    Example:
        >>> text = b'''<log xmlns="http://www.xes-standard.org/">
        ... <trace><string key="concept:name" value="D12"/>
        ... <event><string key="concept:name" value="rdv"/>
        ... <date key="time:timestamp" value="2024-03-31T10:00:00+02:00"/></event></trace></log>'''
        >>> reader = XesReader(SourceFile.in_memory("log.xes", text), ReaderOptions())
        >>> reader.names
        ('case:concept:name', 'concept:name', 'event:number', 'time:timestamp')
        >>> next(reader.batches(reader.names)).table.to_pylist()
        [{'case:concept:name': 'D12', 'concept:name': 'rdv', 'event:number': '1', \
'time:timestamp': '2024-03-31T10:00:00+02:00'}]
    """

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        self._limit = options.max_line_bytes
        self.names = self._keys()

    def _keys(self) -> tuple[str, ...]:
        names = {NUMBER}
        events = 0
        with closing(self._parts()) as parts:
            for kind, found in parts:
                if kind == "event":
                    events += 1
                    if events > SAMPLE:
                        break
                names |= found.keys()
        if not events:
            raise DataError(
                f"reading '{self._file.name}' as xes",
                expected="a log with events",
                got="none",
                hint="Correct 'path', or export the log again.",
            )
        return tuple(sorted(names))

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The log's events; see :mod:`features.sources`. A row's number is that of its event."""
        values: list[list[str | None]] = [[] for _ in columns]
        done = 0
        for row, event in enumerate(self._events(), start=1):
            for held, name in zip(values, columns, strict=True):
                held.append(event.get(name))
            if row - done >= ROWS:
                yield _batch(columns, values, done, row)
                values, done = [[] for _ in columns], row
        if any(values):
            yield _batch(columns, values, done, done + len(values[0]))

    def _events(self) -> Iterator[Attributes]:
        case: Attributes = {}
        place = 0
        for kind, found in self._parts():
            if kind == "event":
                place += 1
                yield {**case, **found, NUMBER: str(place)}
            elif kind == "attribute":
                case |= found
            else:
                case, place = {}, 0

    def _parts(self) -> Generator[tuple[str, Attributes], None, None]:
        """What a log is made of, in order: `event`, `attribute` of a trace, `declared`, ends."""
        # Of globals, and of events outside of any trace, the attributes are met before themselves.
        loose: Attributes = {}
        with closing(records(self._file, "log", deepest=2, limit=self._limit)) as elements:
            for element, around in elements:
                kind = tag(element)
                if kind == "event" and around == "trace":
                    yield kind, _attributes(element)
                elif kind == "event":
                    yield "alone", {}
                    yield kind, loose
                    yield "alone", {}
                    loose = {}
                elif kind == "trace":
                    yield kind, {}
                elif kind == "global":
                    before = CASE if element.get("scope") == "trace" else ""
                    yield "declared", {before + key: value for key, value in loose.items()}
                    loose = {}
                elif around == "trace" and kind in SIMPLE:
                    yield "attribute", {CASE + key: value for key, value in _attribute(element)}
                elif around in ("event", "global") and kind in SIMPLE:
                    loose |= _attribute(element)


def _attributes(event: Element) -> Attributes:
    return {key: value for one in event if tag(one) in SIMPLE for key, value in _attribute(one)}


def _attribute(element: Element) -> Iterator[tuple[str, str]]:
    key, value = element.get("key"), element.get("value")
    if key and value is not None:
        yield key, value


def _batch(
    columns: Sequence[str], values: Sequence[Sequence[str | None]], done: int, last: int
) -> Batch:
    arrays = [pa.array(held, pa.string()) for held in values]
    table = pa.Table.from_arrays(arrays, names=list(columns))
    return Batch(table, np.arange(done + 1, last + 1, dtype=np.int64))
