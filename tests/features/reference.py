"""Every measure once more, slow and plain: what the compiled kernels are compared with.

Each definition below is the rule of :data:`features.measures.MEASURES`, said again over lists of
events. Nothing here is shared with the kernels but the names of the fields.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from features.catalogue import Feature
from features.events import WITHDRAWN

Event = Mapping[str, Any]
NAN = math.nan
PERIODS = {"week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}


def wall_clock(instant: datetime, zone: str) -> datetime:
    """Local time of an instant in UTC."""
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def instant_of(local: datetime, zone: str) -> datetime:
    """Instant in UTC of a local time, the first of two."""
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


@lru_cache(maxsize=4096)
def local_day(instant: datetime, zone: str) -> date:
    return wall_clock(instant, zone).date()


class Window(NamedTuple):
    """From `since`, included, to `until`, excluded; without `since`, static events too."""

    since: datetime | None
    until: datetime


@lru_cache(maxsize=4096)
def days_before(t: datetime, days: int | None, zone: str) -> datetime | None:
    """The same wall-clock time that many calendar days earlier; None is the whole history."""
    if days is None:
        return None
    return instant_of(wall_clock(t, zone) - timedelta(days=days), zone)


@lru_cache(maxsize=4096)
def calendar(t: datetime, period: str, zone: str) -> Window:
    """The week, month, quarter or year that holds t, up to t; or with `last_`, the one before."""
    this = pd.Period(wall_clock(t, zone), PERIODS[period.removeprefix("last_")])

    def start(of: pd.Period) -> datetime:
        return instant_of(datetime.combine(of.start_time.date(), time.min), zone)

    if period.startswith("last_"):
        return Window(start(this - 1), start(this))
    return Window(start(this), t)


def known(events: list[Event], subject: int, t: datetime) -> list[Event]:
    """The newest version of each event recorded before t, if it is this person's and stands."""
    newest: dict[str, Event] = {}
    for event in events:
        if event["recorded_at"] < t:
            before = newest.get(event["event_id"])
            if before is None or event["recorded_at"] > before["recorded_at"]:
                newest[event["event_id"]] = event
    standing = [event for event in newest.values() if event["code"] != WITHDRAWN]
    return [event for event in standing if event["subject_id"] == subject]


class Row:
    """One person at one time: what a measure may look at."""

    def __init__(
        self,
        events: list[Event],
        subject: int,
        t: datetime,
        zone: str,
        service_of: Callable[[str], str],
        services: set[str],
    ) -> None:
        self.t, self.zone, self.service_of = t, zone, service_of
        self.services = services
        self.known = sorted(
            known(events, subject, t),
            key=lambda e: (e["time"] or datetime.min, e["recorded_at"], number(e, -math.inf)),
        )
        self.past = [e for e in self.known if e["time"] is None or e["time"] < t]
        self.ahead = [e for e in self.known if e["time"] is not None and e["time"] >= t]
        self.today = local_day(t, zone)
        self.selected: dict[Any, list[Event]] = {}

    def window(self, feature: Feature) -> Window | None:
        """When the events of a feature lie; None if its window never began."""
        if feature.period == "since":
            anchors = [e["time"] for e in dated(self.past) if e["code"] in feature.anchor]
            return Window(max(anchors), self.t) if anchors else None
        if feature.period is not None:
            return calendar(self.t, feature.period, self.zone)
        return Window(days_before(self.t, feature.window_days, self.zone), self.t)

    def by(self, events: list[Event], services: tuple[str, ...] | None) -> list[Event]:
        if services is None:
            return events
        return [e for e in events if self.service_of(e["source"]) in services]

    def measured(self, feature: Feature, events: list[Event]) -> list[Event]:
        """Those events that a feature is about: by code, service, value and reference."""
        found = [e for e in self.by(events, feature.services) if one_of(feature, e)]
        if feature.about:
            about = [e["reference"] for e in self.past if e["code"] in feature.about]
            found = [e for e in found if e["reference"] is not None and e["reference"] in about]
        return found

    def found(self, feature: Feature, window: Window) -> list[Event]:
        """Past events of a feature in a window; many features ask for the same."""
        f = feature
        asked = f.codes, f.services, f.value_min, f.value_max, f.about, window
        if asked not in self.selected:
            self.selected[asked] = inside(self.measured(f, self.past), window)
        return self.selected[asked]

    def age(self, event: Event) -> int:
        """Days since the day of an event; negative for one that is due."""
        return (self.today - self.day(event)).days

    def day(self, event: Event) -> date:
        return local_day(event["time"], self.zone)

    def between(self, event: Event, later: Event) -> int:
        return (self.day(later) - self.day(event)).days

    def days(self, events: list[Event]) -> list[date]:
        return sorted({self.day(e) for e in events})

    def gaps(self, events: list[Event]) -> list[int]:
        return [(b - a).days for a, b in pairwise(self.days(events))]


def number(event: Event, missing: float = NAN) -> float:
    """The numeric value, as narrow as it is stored."""
    value = event["numeric_value"]
    return missing if value is None else float(np.float32(value))


def numbers(found: list[Event]) -> list[float]:
    return [number(e) for e in found if e["numeric_value"] is not None]


def dated(events: list[Event]) -> list[Event]:
    return [e for e in events if e["time"] is not None]


def inside(events: list[Event], window: Window) -> list[Event]:
    """Events of a window; static ones only in the whole history."""
    return [
        e
        for e in events
        if (
            window.since is None
            if e["time"] is None
            else (window.since is None or e["time"] >= window.since) and e["time"] < window.until
        )
    ]


def one_of(feature: Feature, event: Event) -> bool:
    """Whether an event has a code of the feature and a value in its range."""
    if event["code"] not in feature.codes:
        return False
    value, low, high = number(event), feature.value_min, feature.value_max
    if (low is not None or high is not None) and math.isnan(value):
        return False
    if low is not None and value < np.float32(low):
        return False
    return not (high is not None and value >= np.float32(high))


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values) if values else NAN


def may_answer(row: Row, feature: Feature, event: Event, other: Event) -> bool:
    """Whether another event can answer one, but for its time."""
    if feature.match == "reference":
        return bool(event["reference"] == other["reference"])
    own, service = row.service_of(event["source"]), row.service_of(other["source"])
    if feature.answered_by_service == "any":
        return True
    if feature.answered_by_service == "receiving" and event["text_value"] in row.services:
        return service == event["text_value"]
    return service != own


def answered(row: Row, feature: Feature, event: Event, answers: list[Event]) -> bool:
    """By reference, whatever the time; else, or where there is none, by one that is not earlier."""
    anyhow = feature.match == "reference" and event["reference"] is not None
    return any(
        may_answer(row, feature, event, answer) and (anyhow or answer["time"] >= event["time"])
        for answer in answers
    )


def closed(event: Event, closing: list[Event]) -> bool:
    if event["reference"] is not None:
        return any(c["reference"] == event["reference"] for c in closing)
    return any(c["reference"] is None and c["time"] >= event["time"] for c in closing)


def is_open(row: Row, event: Event) -> bool:
    """Whether a spell that nothing closed is still to end."""
    return event["end_time"] is None or event["end_time"] >= row.t


def first_after(event: Event, others: list[Event]) -> Event | None:
    later = [other for other in others if other["time"] >= event["time"]]
    return min(later, key=lambda e: e["time"]) if later else None


def value(row: Row, feature: Feature) -> float:
    """One feature of one row."""
    f, name = feature, feature.measure
    if name == "day_of_month":
        return row.today.day
    if name in ("month_sin", "month_cos"):
        angle = 2 * math.pi * (row.today.month - 1) / 12
        return math.sin(angle) if name == "month_sin" else math.cos(angle)
    window = row.window(f)
    if window is None:
        return NAN
    found = row.found(f, window)
    if name in PLAIN:
        return PLAIN[name](row, f, found)
    if name in DATED:
        return DATED[name](row, f, dated(found))
    if name in COMPARED:
        among = inside([e for e in row.by(row.past, f.services) if e["code"] in f.among], window)
        return COMPARED[name](row, f, found, among)
    assert name in ("trend", "trend_ratio")
    assert window.since is not None
    twice = days_before(row.t, 2 * (f.window_days or 0), row.zone)
    before = row.found(f, Window(twice, window.since))
    if name == "trend":
        return len(found) - len(before)
    return len(found) / len(before) if before else NAN


def deviation(found: list[float]) -> float:
    return statistics.pstdev(found) if len(found) > 1 else NAN


def dominant_share(row: Row, found: list[Event]) -> float:
    services = Counter(row.service_of(e["source"]) for e in found)
    return max(services.values()) / len(found) if found else NAN


PLAIN: dict[str, Callable[[Row, Feature, list[Event]], float]] = {
    "count": lambda row, f, found: len(found),
    "any": lambda row, f, found: 1 if found else 0,
    "sum": lambda row, f, found: math.fsum(numbers(found)),
    "mean": lambda row, f, found: mean(numbers(found)),
    "max": lambda row, f, found: max(numbers(found), default=NAN),
    "min": lambda row, f, found: min(numbers(found), default=NAN),
    "std": lambda row, f, found: deviation(numbers(found)),
    "last": lambda row, f, found: numbers(found)[-1] if numbers(found) else NAN,
    "active_services": lambda row, f, found: len({row.service_of(e["source"]) for e in found}),
    "distinct_codes": lambda row, f, found: len({e["code"] for e in found}),
    "distinct_references": lambda row, f, found: len({e["reference"] for e in found} - {None}),
    "dominant_share": lambda row, f, found: dominant_share(row, found),
}
"""Measures that static events count in: over the events found, by time, entry and value."""


def slope(row: Row, found: list[Event]) -> float:
    points = [(-row.age(e), number(e)) for e in found if e["numeric_value"] is not None]
    if len({day for day, _ in points}) < 2:
        return NAN
    return 30 * statistics.linear_regression(*zip(*points, strict=True)).slope


def over_usual(row: Row, found: list[Event]) -> float:
    gaps = row.gaps(found)
    return min(row.age(e) for e in found) / mean(gaps) if gaps else NAN


def closing(row: Row, feature: Feature) -> list[Event]:
    return [e for e in dated(row.past) if e["code"] in feature.closed_by]


def still_open(row: Row, feature: Feature, begun: list[Event]) -> list[Event]:
    closed_by = closing(row, feature)
    return [e for e in begun if is_open(row, e) and not closed(e, closed_by)]


def days_to_spell_end(row: Row, feature: Feature, begun: list[Event]) -> float:
    def ends(spells: list[Event]) -> list[int]:
        planned = [e["end_time"] for e in spells if e["end_time"] is not None]
        return [(local_day(end, row.zone) - row.today).days for end in planned]

    open_ = still_open(row, feature, begun)
    if open_:
        return min(ends(open_), default=NAN)
    lapsed = [e for e in begun if not closed(e, closing(row, feature))]
    latest = max(ends(lapsed), default=NAN)
    forgotten = feature.within is not None and latest < -feature.within
    return NAN if forgotten else latest


def overlap(row: Row, feature: Feature, begun: list[Event]) -> float:
    window = row.window(feature)
    assert window is not None
    second = inside([e for e in dated(row.past) if e["code"] in feature.alongside], window)
    ages = [
        max((row.age(e) for e in still_open(row, feature, spells)), default=None)
        for spells in (begun, second)
    ]
    return 0 if ages[0] is None or ages[1] is None else min(ages[0], ages[1])


def delays(row: Row, feature: Feature, found: list[Event]) -> list[int]:
    """Days from each event to the first other event that follows it in time."""
    followers = [e for e in dated(row.past) if e["code"] in feature.followed_by]
    days = []
    for event in found:
        same = feature.match == "person"
        mine = [e for e in followers if same or e["reference"] == event["reference"]]
        after = first_after(event, [e for e in mine if e is not event])
        if after is not None and row.between(event, after) <= (feature.within or 0):
            days.append(row.between(event, after))
    return days


def answers(row: Row, feature: Feature) -> list[Event]:
    return [e for e in dated(row.past) if e["code"] in feature.answered_by]


def answer_delay(row: Row, feature: Feature, found: list[Event]) -> float:
    days = []
    for event in found:
        mine = [a for a in answers(row, feature) if may_answer(row, feature, event, a)]
        first = first_after(event, mine)
        if first is not None:
            days.append(row.between(event, first))
    return statistics.median(days) if days else NAN


def unanswered(row: Row, feature: Feature, found: list[Event]) -> list[Event]:
    old = [e for e in found if row.age(e) >= (feature.within or 0)]
    return [e for e in old if not answered(row, feature, e, answers(row, feature))]


def due(row: Row, feature: Feature) -> list[Event]:
    return row.measured(feature, row.ahead)


DATED: dict[str, Callable[[Row, Feature, list[Event]], float]] = {
    "slope": lambda row, f, found: slope(row, found),
    "days_since_last": lambda row, f, found: min((row.age(e) for e in found), default=NAN),
    "days_since_first": lambda row, f, found: max((row.age(e) for e in found), default=NAN),
    "tenure": lambda row, f, found: max((row.age(e) for e in found), default=NAN),
    "days_to_next": lambda row, f, found: min((-row.age(e) for e in due(row, f)), default=NAN),
    "ahead": lambda row, f, found: len(due(row, f)),
    "active_days": lambda row, f, found: len(row.days(found)),
    "longest_gap": lambda row, f, found: max(row.gaps(found), default=NAN),
    "mean_gap": lambda row, f, found: mean(row.gaps(found)),
    "current_over_usual_gap": lambda row, f, found: over_usual(row, found),
    "open_spells": lambda row, f, found: len(still_open(row, f, found)),
    "open_spell_age": lambda row, f, found: max(
        (row.age(e) for e in still_open(row, f, found)), default=NAN
    ),
    "days_to_spell_end": days_to_spell_end,
    "overlap": overlap,
    "sequences": lambda row, f, found: len(delays(row, f, found)),
    "sequence_delay": lambda row, f, found: mean(delays(row, f, found)),
    "answer_delay": answer_delay,
    "unanswered": lambda row, f, found: len(unanswered(row, f, found)),
    "days_unanswered": lambda row, f, found: max(
        (row.age(e) for e in unanswered(row, f, found)), default=NAN
    ),
}
"""Measures that leave static events out: over the dated events found, by time."""


def breaks(feature: Feature, among: list[Event]) -> list[Event]:
    """Events of `among` that are not of the feature; those about another matter are neither."""
    return [e for e in dated(among) if not one_of(feature, e)]


def share(row: Row, feature: Feature, found: list[Event], among: list[Event]) -> float:
    return len(found) / len(among) if among else NAN


def streak(row: Row, feature: Feature, found: list[Event], among: list[Event]) -> float:
    broken = max((e["time"] for e in breaks(feature, among)), default=datetime.min)
    return sum(1 for e in dated(found) if e["time"] > broken)


def current(row: Row, feature: Feature, found: list[Event], among: list[Event]) -> float:
    own = [e["time"] for e in dated(found)]
    others = [e["time"] for e in breaks(feature, among)]
    if not own and not others:
        return NAN
    return 1 if max(own, default=datetime.min) >= max(others, default=datetime.min) else 0


COMPARED: dict[str, Callable[[Row, Feature, list[Event], list[Event]], float]] = {
    "share": share,
    "streak": streak,
    "current": current,
}
"""Measures that compare the events found with those of `among` in the same window."""
