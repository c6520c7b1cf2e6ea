"""What was known of one person at an instant, as plain rows: for reading, not for computing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from features.catalogue import Catalogue
from features.event_sets import EventSet
from features.events import WITHDRAWN
from features.local_days import NEVER, zone
from features.versions import CONTENT
from features.windows import ALL, Window, edges

__all__ = ["Event", "Known"]

Event = Mapping[str, Any]
"""One row of :data:`features.events.EVENTS`, by column."""

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Known:
    """One person's events as known at an instant, each in its newest version.

    Attributes:
        t: The instant, UTC without zone.
        timezone: Zone of the local days.
        service_of: Service of each source; a source not named is a service of its own.
        events: Sorted by time, static ones first, then by entry date and value.
        services: Every service there is: those named, and those of the sources met.
    """

    t: datetime
    timezone: str
    service_of: Mapping[str, str]
    events: tuple[Event, ...] = field(repr=False)
    services: frozenset[str]

    @classmethod
    def of(cls, events: pa.Table, subject: int, t: datetime, catalogue: Catalogue) -> Known:
        """Read a table of events, all versions.

        Of rows of one event with one entry date, the first by time, code, value and the other
        columns counts, as everywhere.

        Example:
            >>> from datetime import datetime as at
            >>> from features.events import EVENTS
            >>> row = {"event_id": "a", "subject_id": 7, "source": "social", "code": "A//B//C"}
            >>> events = pa.Table.from_pylist([
            ...     row | {"time": at(2025, 3, 3), "recorded_at": at(2025, 3, 4)},
            ...     row | {"time": at(2025, 3, 5), "recorded_at": at(2025, 3, 9)},
            ... ], schema=EVENTS)
            >>> [Known.of(events, 7, at(2025, 3, day), Catalogue(())).events[0]["time"].day
            ...  for day in (6, 10)]
            [3, 5]
        """
        rows = events.to_pylist()
        newest: dict[str, datetime] = {}
        for row in rows:
            if row["recorded_at"] < t:
                entered = newest.setdefault(row["event_id"], row["recorded_at"])
                newest[row["event_id"]] = max(entered, row["recorded_at"])
        standing: dict[str, Event] = {}
        for row in sorted(rows, key=_content):
            current = row["recorded_at"] == newest.get(row["event_id"])
            if current and row["subject_id"] == subject:
                standing.setdefault(row["event_id"], row)
        left = [row for row in standing.values() if row["code"] != WITHDRAWN]
        left.sort(key=lambda e: (e["time"] or datetime.min, e["recorded_at"], _value(e)))
        named = {catalogue.service_of.get(row["source"], row["source"]) for row in rows}
        services = frozenset(catalogue.service_of.values()) | named
        return cls(t, catalogue.timezone, catalogue.service_of, tuple(left), services)

    def service(self, event: Event) -> str:
        """The service that recorded an event."""
        return self.service_of.get(event["source"], event["source"])

    def age(self, event: Event) -> int:
        """Local calendar days from an event to the instant."""
        return self._day(self.t) - self._day(event["time"])

    def _day(self, instant: datetime) -> int:
        local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(self.timezone))
        return local.date().toordinal()

    def window(self, window: Window | None) -> tuple[datetime | None, datetime]:
        """First instant of a window, None for no bound, and the instant it ends before."""
        micros = np.array([(self.t - _EPOCH) // _MICROSECOND], np.int64)
        since, until = edges(micros, [window or ALL], zone(self.timezone))
        first, last = int(since[0, 0]), int(until[0, 0])
        begin = None if first == NEVER else _EPOCH + first * _MICROSECOND
        return begin, _EPOCH + last * _MICROSECOND

    def within(
        self, one: EventSet, window: tuple[datetime | None, datetime], *, static: bool
    ) -> list[Event]:
        """Past events of a set in a window, by time.

        Args:
            one: The set.
            window: As :meth:`window` gives it.
            static: Whether events without a time count.
        """
        since, until = window
        found = []
        for event in self.events:
            time = event["time"]
            if time is None:
                inside = static
            else:
                inside = time < self.t and time < until and (since is None or time >= since)
            if inside and self._belongs(event, one):
                found.append(event)
        return found

    def ahead(self, one: EventSet) -> list[Event]:
        """Events of a set due at or after the instant, by time."""
        due = [e for e in self.events if e["time"] is not None and e["time"] >= self.t]
        return [event for event in due if self._belongs(event, one)]

    def _belongs(self, event: Event, one: EventSet) -> bool:
        if event["code"] not in one.codes:
            return False
        if one.services is not None and self.service(event) not in one.services:
            return False
        if one.about:
            past = [e for e in self.events if e["time"] is None or e["time"] < self.t]
            about = {e["reference"] for e in past if e["code"] in one.about} - {None}
            if event["reference"] not in about:
                return False
        if not one.ranged:
            return event["code"] not in one.minus
        inside = _in_range(event["numeric_value"], one)
        return not inside if event["code"] in one.minus else inside or bool(one.minus)


def _in_range(value: float | None, one: EventSet) -> bool:
    """Whether a value lies in a range, both as float32, as values are kept."""
    if value is None:
        return False
    kept = np.float32(value)
    return bool(
        (one.low is None or kept >= np.float32(one.low))
        and (one.high is None or kept < np.float32(one.high))
    )


def _value(event: Event) -> float:
    return float("-inf") if event["numeric_value"] is None else float(event["numeric_value"])


def _content(event: Event) -> tuple[tuple[bool, Any], ...]:
    """What tells rows of one version apart, nulls last."""
    found = [event[name] for name in (*CONTENT, "source")]
    return tuple((value is None, 0 if value is None else value) for value in found)
