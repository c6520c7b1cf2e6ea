"""Every measure once more, slow and plain: what the compiled kernels are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from features.catalogue import Feature
from features.events import WITHDRAWN

Event = Mapping[str, Any]
NAN = math.nan


def local_day(instant: datetime, zone: str) -> date:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def window_start(t: datetime, days: int | None, zone: str) -> datetime | None:
    """The same wall-clock time that many calendar days earlier; None is the whole history."""
    if days is None:
        return None
    local = t.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    there = (local - timedelta(days=days)).replace(tzinfo=ZoneInfo(zone))
    return there.astimezone(UTC).replace(tzinfo=None)


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
        self.all = known(events, subject, t)
        self.past = [e for e in self.all if e["time"] is None or e["time"] < t]
        self.today = local_day(t, zone)

    def of(
        self,
        codes: tuple[str, ...],
        services: tuple[str, ...] | None,
        days: int | None,
        *,
        dated: bool,
        before: int = 0,
    ) -> list[Event]:
        """Past events of codes and services in a window, by time; `before` windows earlier."""
        until = window_start(self.t, days * before if days and before else 0, self.zone)
        since = window_start(self.t, None if days is None else days * (before + 1), self.zone)
        found = []
        for event in self.past:
            if event["code"] not in codes:
                continue
            if services is not None and self.service_of(event["source"]) not in services:
                continue
            time = event["time"]
            if time is None:
                if days is None and not dated:
                    found.append(event)
            elif (since is None or time >= since) and (before == 0 or time < until):
                found.append(event)
        return sorted(
            found, key=lambda e: (e["time"] or datetime.min, e["recorded_at"], number(e, -math.inf))
        )

    def age(self, event: Event) -> int:
        return (self.today - local_day(event["time"], self.zone)).days


def number(event: Event, missing: float = NAN) -> float:
    value = event["numeric_value"]
    return missing if value is None else float(value)


def numbers(found: list[Event]) -> list[float]:
    return [number(e) for e in found if e["numeric_value"] is not None]


def usual_gap(row: Row, found: list[Event]) -> float:
    days = sorted({local_day(e["time"], row.zone) for e in found})
    if len(days) < 2:
        return NAN
    gaps = [(b - a).days for a, b in pairwise(days)]
    return sum(gaps) / len(gaps)


def matched(row: Row, event: Event, others: list[Event]) -> bool:
    """By reference, whatever the time; without a reference, by one that has none, not earlier."""
    if event["reference"] is not None:
        return any(o["reference"] == event["reference"] for o in others)
    return any(o["reference"] is None and o["time"] >= event["time"] for o in others)


def answered(row: Row, feature: Feature, event: Event, answers: list[Event]) -> bool:
    if feature.match == "reference":
        return matched(row, event, answers)
    own = row.service_of(event["source"])
    for answer in answers:
        service = row.service_of(answer["source"])
        if answer["time"] < event["time"]:
            continue
        if feature.answered_by_service == "any":
            return True
        receiver = event["text_value"] if feature.answered_by_service == "receiving" else None
        if receiver in row.services:
            if service == receiver:
                return True
        elif service != own:
            return True
    return False


def value(row: Row, feature: Feature) -> float:
    """One feature of one row."""
    f, days = feature, feature.window_days
    timed = row.of(f.codes, f.services, days, dated=True)
    found = row.of(f.codes, f.services, days, dated=False)
    rest = tuple(code for code in f.among if code not in f.codes)
    name = f.measure
    if name == "count":
        return len(found)
    if name == "any":
        return 1 if found else 0
    if name == "sum":
        return sum(numbers(found))
    if name == "mean":
        return sum(numbers(found)) / len(numbers(found)) if numbers(found) else NAN
    if name == "max":
        return max(numbers(found), default=NAN)
    if name == "last":
        return numbers(found)[-1] if numbers(found) else NAN
    if name == "days_since_last":
        return min((row.age(e) for e in timed), default=NAN)
    if name in ("days_since_first", "tenure"):
        return max((row.age(e) for e in timed), default=NAN)
    if name == "days_to_next":
        ahead = [
            e
            for e in row.all
            if e["code"] in f.codes
            and e["time"] is not None
            and e["time"] >= row.t
            and (f.services is None or row.service_of(e["source"]) in f.services)
        ]
        return min((-row.age(e) for e in ahead), default=NAN)
    if name == "mean_gap":
        return usual_gap(row, timed)
    if name == "current_over_usual_gap":
        return min(row.age(e) for e in timed) / usual_gap(row, timed) if timed else NAN
    if name == "trend":
        return len(found) - len(row.of(f.codes, f.services, days, dated=True, before=1))
    if name == "share":
        resolved = row.of(f.among, f.services, days, dated=False)
        return len(found) / len(resolved) if resolved else NAN
    if name == "streak":
        breaks = [e["time"] for e in row.of(rest, f.services, None, dated=True)]
        return sum(1 for e in timed if not breaks or e["time"] > max(breaks))
    if name == "current":
        others = row.of(rest, f.services, days, dated=True)
        if not timed and not others:
            return NAN
        latest = max((e["time"] for e in others), default=datetime.min)
        return 1 if timed and timed[-1]["time"] >= latest else 0
    if name in ("open_spells", "open_spell_age", "days_to_spell_end"):
        return spells(row, feature, timed)
    if name == "active_services":
        return len({row.service_of(e["source"]) for e in found})
    if name in ("unanswered", "days_unanswered"):
        answers = row.of(f.answered_by, None, None, dated=True)
        open_ = [
            e
            for e in timed
            if row.age(e) >= (f.within or 0) and not answered(row, feature, e, answers)
        ]
        if name == "unanswered":
            return len(open_)
        return max((row.age(e) for e in open_), default=NAN)
    angle = 2 * math.pi * (row.today.month - 1) / 12
    return {"month_sin": math.sin, "month_cos": math.cos}[name](angle)


def spells(row: Row, feature: Feature, timed: list[Event]) -> float:
    closing = row.of(feature.closed_by, None, None, dated=True)
    alive = [e for e in timed if not matched(row, e, closing)]
    open_ = [e for e in alive if e["end_time"] is None or e["end_time"] >= row.t]
    if feature.measure == "open_spells":
        return len(open_)
    if feature.measure == "open_spell_age":
        return max((row.age(e) for e in open_), default=NAN)

    def ends(which: list[Event]) -> list[int]:
        known_ends = [e["end_time"] for e in which if e["end_time"] is not None]
        return [(local_day(end, row.zone) - row.today).days for end in known_ends]

    if open_:
        return min(ends(open_), default=NAN)
    lapsed = max(ends(alive), default=NAN)
    if feature.within is not None and lapsed < -feature.within:
        return NAN
    return lapsed
