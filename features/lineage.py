"""The very events behind one value of one person: read plainly, for a person to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features.catalogue import Catalogue, Feature
from features.errors import DataError
from features.event_sets import EventSet, other_set, own_set
from features.known_events import Event, Known
from features.measures import MEASURES, Op

if TYPE_CHECKING:
    from features.peer_standing import Against, Standing
    from features.peers import PeerGroups

__all__ = ["Lineage", "Trace", "behind", "explain"]

_SPELLS = (Op.OPEN_SPELLS, Op.OPEN_SPELL_AGE, Op.DAYS_TO_SPELL_END, Op.OVERLAP)
_UNANSWERED = (Op.UNANSWERED, Op.DAYS_UNANSWERED)
_FOLLOWED = (Op.SEQUENCES, Op.SEQUENCE_DELAY)
_VALUED = (Op.SUM, Op.MEAN, Op.MAX, Op.MIN, Op.STD, Op.SLOPE, Op.LAST)
_STATIC = frozenset(
    {Op.COUNT, Op.ANY, Op.SHARE, Op.ACTIVE_SERVICES, Op.DISTINCT_CODES, Op.DISTINCT_REFERENCES}
    | {Op.DOMINANT_SHARE, *_VALUED} - {Op.SLOPE}
)
"""Measures that events without a time count in, over the whole history."""


@dataclass(frozen=True)
class Trace:
    """One event behind a value, and what it has to do with it.

    Attributes:
        role: `measured`; `closes`, `answers` or `follows` a measured one; `among` which they are
            counted, or which breaks a streak; `before`, in the window a trend compares with;
            `alongside`, a spell of the second kind; `anchor`, where the window begins; `peers`,
            which says whom the person is compared with.
        counts: Whether the value rests on it. A measured event may not: one without a numeric
            value in a mean, one that was answered among the unanswered.
        time: When it happened or is due, UTC without zone; None for a static fact.
        recorded_at: When it was known.
        code: Its code.
        service: The service that recorded it.
        value: Its numeric value.
        reference: What it is about.
        end_time: The planned end of a spell.
    """

    role: str
    counts: bool
    time: datetime | None
    recorded_at: datetime
    code: str
    service: str
    value: float | None
    reference: str | None
    end_time: datetime | None


@dataclass(frozen=True)
class Lineage:
    """A value, and the events it rests on.

    Attributes:
        feature: What was computed.
        at: The prediction time, UTC without zone.
        value: The value, as the engine computes it; NaN where it is missing.
        last_day: Local day of the latest event of the feature's group; None for never.
        traces: The events, by time.
        compared: For a feature that compares peers: the one compared, and the person's value.
        alone: The feature compares peers, and no groups were given: the value is not known.
        standing: For a feature that compares peers, the group that the person was compared with;
            None when no groups were given. Where nothing may be told of it, the value is NaN.
    """

    feature: Feature
    at: datetime
    value: float
    last_day: int | None
    traces: tuple[Trace, ...] = field(repr=False)
    compared: tuple[Feature, float] | None = None
    alone: bool = False
    standing: Standing | None = None

    def counted(self, role: str = "measured") -> tuple[Trace, ...]:
        """The events of a role that the value rests on."""
        return tuple(one for one in self.traces if one.role == role and one.counts)


def explain(
    events: pa.Table,
    subject: int,
    t: datetime,
    feature: Feature,
    catalogue: Catalogue,
    *,
    peers: PeerGroups | Against | None = None,
    smallest: int | None = None,
) -> Lineage:
    """One value of one person, with the events it rests on, as known at a prediction time.

    The value comes from the engine; the events are found again here, without it, so that the two
    can be held against each other.

    Args:
        events: The person's events, all versions, as `Timelines.person` gives them.
        subject: The pseudonym.
        t: The prediction time, UTC without zone.
        feature: One of the catalogue's.
        catalogue: For the time zone, the services and, among peers, the feature compared.
        peers: The groups to compare with; without them a rank is not known.
        smallest: People under which nothing is told of a group of peers; by default
            :data:`features.peer_standing.SMALLEST`.

    Raises:
        DataError: columns of events are missing, or `peers` are those of another catalogue.

    Example:
        >>> from datetime import datetime as at
        >>> from features.events import EVENTS
        >>> missed = {"code": "CONTACT//APPOINTMENT//NOSHOW", "subject_id": 7, "source": "social"}
        >>> events = pa.Table.from_pylist([
        ...     missed | {"event_id": "a", "time": at(2025, 3, 3), "recorded_at": at(2025, 3, 4)},
        ...     missed | {"event_id": "b", "time": at(2025, 3, 12), "recorded_at": at(2025, 4, 2)},
        ... ], schema=EVENTS)
        >>> absences = Feature("noshow.count.90d", "noshow", "count", 90, "contact",
        ...                    {"fr": "Absences", "en": "Absences"}, "count", (missed["code"],))
        >>> found = explain(events, 7, at(2025, 4, 1), absences, Catalogue((absences,)))
        >>> found.value, [(one.role, one.time.day) for one in found.traces]
        (1.0, [('measured', 3)])
        >>> explain(events.drop(["code"]), 7, at(2025, 4, 1), absences, Catalogue((absences,)))
        Traceback (most recent call last):
        features.errors.DataError: explaining a feature: 1 column(s) missing: code. Expected the \
columns of features.events.EVENTS; got 10 column(s). Hint: Give events as Timelines.person \
returns them.
    """
    against = _against(peers)
    groups = None if against is None else against.groups
    values, last_day = _computed(events, subject, t, feature, catalogue, groups)
    known = Known.of(events, subject, t, catalogue)
    compared = None
    if feature.among_peers:
        latest = known.within(own_set(feature), (None, t), static=False)[-1:]
        traces = [_trace(known, event, "peers") for event in latest]
        if feature.of is not None:
            compared = catalogue.feature(feature.of), values[feature.of]
            traces += behind(known, compared[0])
    else:
        traces = behind(known, feature)
    traces.sort(key=lambda one: (one.time or datetime.min, one.recorded_at, one.role))
    alone = feature.among_peers and against is None
    value = float("nan") if alone else values[feature.name]
    found = None
    if feature.among_peers and against is not None:
        from features.peer_standing import SMALLEST, peer_key, standing

        key = peer_key(events, subject, t, feature, catalogue)
        found = standing(feature, key, t, against, smallest=smallest or SMALLEST)
        if found.hidden is not None:
            value = float("nan")
    return Lineage(feature, t, value, last_day, tuple(traces), compared, alone, found)


def _against(peers: PeerGroups | Against | None) -> Against | None:
    from features.peer_standing import Against

    return peers if peers is None or isinstance(peers, Against) else Against(peers)


def _computed(
    events: pa.Table,
    subject: int,
    t: datetime,
    feature: Feature,
    catalogue: Catalogue,
    peers: PeerGroups | None,
) -> tuple[Mapping[str, float], int | None]:
    """Values by name and the latest day of the group, from the engine."""
    from features.events import COLUMNS
    from features.matrix import compute_matrix

    missing = [name for name in COLUMNS if name not in events.column_names]
    if missing:
        raise DataError(
            f"explaining a feature: {len(missing)} column(s) missing: {', '.join(missing)}",
            expected="the columns of features.events.EVENTS",
            got=f"{events.num_columns} column(s)",
            hint="Give events as Timelines.person returns them.",
        )
    wanted = [one.name for one in catalogue.features if one.group == feature.group]
    if feature.among_peers:
        # Groups hold what their own catalogue compares; the rest of the group may be newer.
        wanted = [name for name in (feature.of, feature.name) if name is not None]
    if peers is None:
        wanted = [name for name in wanted if not catalogue.feature(name).among_peers]
    few = catalogue.only(dict.fromkeys(wanted))
    if not len(few):
        return {}, None
    cohort = pa.table(
        {
            "subject_id": pa.array([subject], pa.int64()),
            "prediction_time": pa.array([t], pa.timestamp("us")),
        }
    )
    matrix = compute_matrix(events, cohort, few, peers=peers)
    day = None
    if feature.group in few.groups:
        found = int(matrix.last_seen[0, few.groups.index(feature.group)])
        day = None if found == np.iinfo(np.int32).min else found
    return dict(zip(few.names, matrix.values[0].tolist(), strict=True)), day


def _trace(known: Known, event: Event, role: str, counts: bool = True) -> Trace:
    return Trace(
        role,
        counts,
        event["time"],
        event["recorded_at"],
        event["code"],
        known.service(event),
        event["numeric_value"],
        event["reference"],
        event["end_time"],
    )


def behind(known: Known, feature: Feature) -> list[Trace]:
    """The events behind a feature of a person's own events, found without the engine.

    Args:
        known: What was known of the person.
        feature: Any feature but one that compares peers.

    Returns:
        Anchor first, then the measured events by time, then those related to them.
    """
    op, own, other = MEASURES[feature.measure].op, own_set(feature), other_set(feature)
    if not feature.codes:
        return []
    found: list[Trace] = []
    if feature.period == "since":
        anchors = known.within(EventSet(feature.anchor), (None, known.t), static=False)
        if not anchors:
            return []
        found.append(_trace(known, anchors[-1], "anchor"))
        window = (anchors[-1]["time"], known.t)
    else:
        window = known.window(feature.period or feature.window_days)
    if op in (Op.DAYS_TO_NEXT, Op.AHEAD):
        return [_trace(known, event, "measured") for event in known.ahead(own)]
    static = op in _STATIC and feature.window == "all"
    measured = known.within(own, window, static=static)
    related = _related(known, feature, other, measured, window, static)
    found += [_trace(known, e, "measured", related.counts(e)) for e in measured]
    return found + [_trace(known, event, related.role, c) for event, c in related.events]


@dataclass(frozen=True)
class _Related:
    """What the events of a second set have to do with the measured ones."""

    role: str
    events: Sequence[tuple[Event, bool]]
    kept: frozenset[int] | None = None

    def counts(self, event: Event) -> bool:
        """Whether the value rests on a measured event."""
        return self.kept is None or id(event) in self.kept


def _related(
    known: Known,
    feature: Feature,
    other: EventSet | None,
    measured: Sequence[Event],
    window: tuple[datetime | None, datetime],
    static: bool,
) -> _Related:
    op = MEASURES[feature.measure].op
    if op in _VALUED or op == Op.DISTINCT_REFERENCES:
        column = "numeric_value" if op in _VALUED else "reference"
        having = [e for e in measured if e[column] is not None]
        return _Related("", [], _ids(having[-1:] if op == Op.LAST else having))
    if op in (Op.TREND, Op.TREND_RATIO):
        days = feature.window_days or 0
        before = (known.window(2 * days)[0], window[0] or known.t)
        return _Related("before", _all(known.within(own_set(feature), before, static=False)))
    if op in _SPELLS:
        return _spells(known, feature, other, measured, window)
    if other is None:
        return _Related("", [])
    if op == Op.SHARE:
        mine = _ids(measured)
        among = known.within(other, window, static=static)
        return _Related("among", _all([e for e in among if id(e) not in mine]))
    if op == Op.CURRENT:
        return _Related("among", _all(known.within(other, window, static=False)))
    if op == Op.STREAK:
        breaks = known.within(other, window, static=False)[-1:]
        since = [e for e in measured if not breaks or e["time"] > breaks[0]["time"]]
        return _Related("among", _all(breaks), _ids(since))
    others = known.within(other, (None, known.t), static=False)
    return _answers(known, feature, measured, others)


def _spells(
    known: Known,
    feature: Feature,
    other: EventSet | None,
    measured: Sequence[Event],
    window: tuple[datetime | None, datetime],
) -> _Related:
    """Spells still open, what closed the others, and those of a second kind."""
    closing = [] if other is None else known.within(other, (None, known.t), static=False)
    alongside: list[Event] = []
    if feature.alongside:
        alongside = known.within(EventSet(feature.alongside), window, static=False)
    alive = [e for e in [*measured, *alongside] if not any(_settles(e, c) for c in closing)]
    open_ = [e for e in alive if e["end_time"] is None or e["end_time"] >= known.t]
    if feature.measure == "days_to_spell_end" and not open_:
        open_ = alive
    if alongside:
        kept = _ids(open_)
        return _Related("alongside", [(e, id(e) in kept) for e in alongside], kept)
    closers = [c for c in closing if any(_settles(e, c) for e in measured)]
    return _Related("closes", _all(closers), _ids(open_))


def _settles(event: Event, later: Event) -> bool:
    """Whether an event closes or answers another by reference: one without, by its time."""
    if event["reference"] is not None:
        return bool(event["reference"] == later["reference"])
    return later["reference"] is None and later["time"] >= event["time"]


def _answers(
    known: Known, feature: Feature, measured: Sequence[Event], others: Sequence[Event]
) -> _Related:
    """What answered or followed each measured event, and which of these the value rests on."""
    op = MEASURES[feature.measure].op
    kept: list[Event] = []
    answers: dict[int, Event] = {}
    for event in measured:
        # What a sequence is followed by is another event; an answer may be the event itself.
        possible = [o for o in others if o is not event or op not in _FOLLOWED]
        fitting = [o for o in possible if _fits(known, feature, event, o)]
        if op in _UNANSWERED:
            if not fitting and known.age(event) >= (feature.within or 0):
                kept.append(event)
        else:
            fitting = [o for o in fitting if o["time"] >= event["time"]][:1]
            delays = [known.age(event) - known.age(o) for o in fitting]
            if op in _FOLLOWED and feature.within is not None:
                fitting = [o for o, d in zip(fitting, delays, strict=True) if d <= feature.within]
            if fitting:
                kept.append(event)
        answers |= {id(o): o for o in fitting}
    role = "follows" if op in _FOLLOWED else "answers"
    return _Related(role, _all(list(answers.values())), _ids(kept))


def _fits(known: Known, feature: Feature, event: Event, other: Event) -> bool:
    if feature.match == "reference":
        return _settles(event, other)
    if other["time"] < event["time"]:
        return False
    if feature.answered_by_service == "any":
        return True
    receiver: Any = event["text_value"] if feature.answered_by_service == "receiving" else None
    if receiver in known.services:
        return known.service(other) == receiver
    return known.service(other) != known.service(event)


def _ids(events: Sequence[Event]) -> frozenset[int]:
    return frozenset(id(event) for event in events)


def _all(events: Sequence[Event]) -> list[tuple[Event, bool]]:
    return [(event, True) for event in events]
