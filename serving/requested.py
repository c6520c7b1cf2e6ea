"""Timelines that come with a request, as a table of events like any other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, time
from typing import Any

import pyarrow as pa

from features.events import EVENTS
from features.settings import FeaturesSettings
from serving.schemas import EventIn, TimelineIn

__all__ = ["events_table", "faults_of", "invented"]

CARRIED = ("code", "numeric_value", "text_value", "source", "source_code", "reference")


def events_table(timelines: Sequence[TimelineIn]) -> pa.Table:
    """The events of a request; the person at index *i* is subject *i + 1*.

    Returns:
        Schema `features.events.EVENTS`, sorted by subject, time and entry. An event without
        `event_id` is an event of its own; those that share one are versions of one event.

    Example:
        >>> event = EventIn(code="CONTACT//APPOINTMENT//SEEN", source="social",
        ...                 time=datetime(2025, 3, 3, 9, tzinfo=UTC),
        ...                 recorded_at=datetime(2025, 3, 4, tzinfo=UTC))
        >>> table = events_table([TimelineIn(events=[]), TimelineIn(events=[event, event])])
        >>> table["subject_id"].to_pylist(), table["event_id"].to_pylist()
        ([2, 2], ['2:#0', '2:#1'])
    """
    columns: dict[str, list[Any]] = {name: [] for name in EVENTS.names}
    for number, timeline in enumerate(timelines, start=1):
        for position, event in enumerate(timeline.events):
            columns["subject_id"].append(number)
            columns["event_id"].append(f"{number}:{event.event_id or f'#{position}'}")
            for name in ("time", "recorded_at", "end_time"):
                columns[name].append(_utc(getattr(event, name)))
            for name in CARRIED:
                columns[name].append(getattr(event, name))
    return pa.table(columns, schema=EVENTS).sort_by(
        [("subject_id", "ascending"), ("time", "ascending"), ("recorded_at", "ascending")]
    )


def faults_of(
    timelines: Sequence[TimelineIn], codes: Collection[str], sources: Sequence[str]
) -> list[dict[str, str]]:
    """Fields that name a code or a source which the territory does not have.

    Args:
        timelines: Of the request.
        codes: The vocabulary's.
        sources: Names of the territory's sources.
    """
    rules = {
        "code": "should be a code of the territory's vocabulary",
        "source": "should be one of " + ", ".join(sources),
    }
    known: dict[str, Collection[str]] = {"code": codes, "source": sources}
    return [
        {"field": f"timelines[{i}].events[{j}].{name}", "rule": rule}
        for i, timeline in enumerate(timelines)
        for j, event in enumerate(timeline.events)
        for name, rule in rules.items()
        if getattr(event, name) not in known[name]
    ]


def invented(features: FeaturesSettings) -> TimelineIn:
    """A timeline of one event, to run the whole way once before a request comes."""
    since = datetime.combine(features.observation.since, time(), tzinfo=UTC)
    return TimelineIn(
        events=[
            EventIn(
                time=since,
                code="ORIENTATION//DECISION//SOCIAL",
                recorded_at=since,
                source=next(iter(features.sources)),
            )
        ]
    )


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC).replace(tzinfo=None)
