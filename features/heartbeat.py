"""The rhythm at which a source sends: a silent feed must never be mistaken for a silent person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.events import WITHDRAWN
from features.local_days import Zone, zone
from features.settings import FeaturesSettings
from features.timelines import Timelines

__all__ = ["Feed", "Silence", "active_days", "feeds", "heartbeat", "weeks"]

State = Literal["alive", "silent", "unknown", "never"]

FEWEST_DAYS = 8
"""Days with entries below which no rhythm is guessed."""

WEEK = 7
"""The shortest limit that is guessed: what is recorded daily is often exported weekly."""

LOOKED_AT = 730
"""Days before the last entry from which a rhythm is guessed: two summers, and not the first months
of a source, nor entries that a wrong year puts long before it."""

FAINT = 0.1
"""Share of a usual day's events below which a day is none of sending: a row with a wrong date, or
what trickles on when a feed has stopped."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Silence:
    """A time without any entry that was longer than the source's rhythm allows.

    Attributes:
        after: The last day with an entry before it.
        until: The first day with an entry after it.
    """

    after: date
    until: date


@dataclass(frozen=True)
class Feed:
    """Whether a source still sends.

    Attributes:
        state: `alive`; `silent`: nothing for longer than `limit`; `unknown`: too few days to tell
            a rhythm, and none declared; `never`: no event at all.
        last: The last local day on which something was recorded.
        days: Days from then to the day the question is asked of.
        usual: Days between two days with entries, the median; None when unknown.
        limit: Days without an entry beyond which the source counts as silent.
        declared: The limit is the territory's own `heartbeat`.
        past: Earlier silences of those two years, the ten longest, by date.
    """

    state: State
    last: date | None = None
    days: int | None = None
    usual: float | None = None
    limit: int | None = None
    declared: bool = False
    past: tuple[Silence, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        past = [{"after": str(one.after), "until": str(one.until)} for one in self.past]
        return {**asdict(self), "last": self.last and str(self.last), "past": past}


def heartbeat(active: Sequence[date], at: date, declared: int | None = None) -> Feed:
    """Whether a source that recorded something on some days still sends on a given day.

    Without a declared limit it is guessed from the gaps between days with entries, over the last
    two years: twice the usual gap, or half as long again as the longest gap that came at least
    twice, whichever is longer, and never less than a week. A gap that came twice (a summer closure,
    every weekend) is natural; one outage is not. The guess fails for a source whose rhythm changes
    for good: declare `heartbeat` then.

    Args:
        active: Local days with at least one entry, any order.
        at: The day the question is asked of; later days are not looked at.
        declared: Days the territory allows without an entry.

    Example:
        >>> start = date(2025, 1, 6)
        >>> workdays = [start + timedelta(7 * week + day) for week in range(9) for day in range(5)]
        >>> heartbeat(workdays, workdays[-1] + timedelta(4)).state
        'alive'
        >>> found = heartbeat(workdays, workdays[-1] + timedelta(14))
        >>> found.state, found.last, found.usual, found.limit
        ('silent', datetime.date(2025, 3, 7), 1.0, 7)
        >>> heartbeat([], start).state
        'never'
    """
    days = np.unique(np.array([day for day in active if day <= at], "datetime64[D]"))
    if not len(days):
        return Feed("never", limit=declared, declared=declared is not None)
    last: date = days[-1].item()
    silent = (at - last).days
    days = days[days >= days[-1] - np.timedelta64(LOOKED_AT, "D")]
    gaps = np.diff(days).astype(np.int64)
    usual = float(np.median(gaps)) if len(gaps) else None
    limit = declared
    if limit is None:
        if usual is None or len(days) < FEWEST_DAYS:
            return Feed("unknown", last, silent, usual)
        limit = int(np.ceil(max(WEEK, 2 * usual, 1.5 * np.sort(gaps)[-2])))
    long = np.flatnonzero(gaps > limit)
    longest = np.sort(long[np.argsort(-gaps[long], kind="stable")[:10]])
    past = tuple(Silence(days[one].item(), days[one + 1].item()) for one in longest)
    state: State = "silent" if silent > limit else "alive"
    return Feed(state, last, silent, usual, limit, declared is not None, past)


def active_days(entries: Mapping[date, int]) -> list[date]:
    """The days on which a source sent, of those on which anything was recorded.

    Args:
        entries: Local day to events.

    Example:
        >>> active_days({date(2025, 3, 3): 40, date(2025, 3, 4): 60, date(2025, 9, 1): 1})
        [datetime.date(2025, 3, 3), datetime.date(2025, 3, 4)]
    """
    least = FAINT * float(np.median([*entries.values()])) if entries else 0.0
    return sorted(day for day, events in entries.items() if events >= least)


def feeds(
    timelines: Timelines, settings: FeaturesSettings, now: datetime
) -> dict[str, tuple[Feed, dict[date, int]]]:
    """Every source's heartbeat, and how many events it recorded on each local day.

    They are counted in the timelines, so that exports that are gone still count and a row that
    comes in two exports counts once. The day asked of is the end of observation, or today where
    that is earlier.

    Args:
        timelines: Where the events are.
        settings: The sources, their declared limits, the time zone, the observed period.
        now: The present instant, with its zone.

    Returns:
        By source: its feed, and local day of entry to events (versions included).
    """
    clock = zone(settings.timezone)
    until = settings.observation.until - timedelta(days=1)
    instant = int(now.astimezone(UTC).timestamp()) * 1_000_000
    today = _EPOCH + timedelta(int(clock.days(np.array([instant], np.int64))[0]))
    found: dict[str, tuple[Feed, dict[date, int]]] = {}
    counted = _entries(timelines, clock)
    for name, source in settings.sources.items():
        entries = dict(sorted(counted.get(name, {}).items()))
        declared = int(source.heartbeat[:-1]) if source.heartbeat else None
        found[name] = heartbeat(active_days(entries), min(today, until), declared), entries
    return found


def weeks(entries: Mapping[date, int]) -> dict[date, int]:
    """Events by week, each named by its Monday; weeks in between without any are told as 0.

    Example:
        >>> found = weeks({date(2025, 1, 8): 2, date(2025, 1, 12): 1, date(2025, 1, 21): 4})
        >>> [(str(monday), count) for monday, count in found.items()]
        [('2025-01-06', 3), ('2025-01-13', 0), ('2025-01-20', 4)]
    """
    if not entries:
        return {}
    first, last = (day - timedelta(day.weekday()) for day in (min(entries), max(entries)))
    found = {first + timedelta(7 * n): 0 for n in range((last - first).days // 7 + 1)}
    for day, count in entries.items():
        found[day - timedelta(day.weekday())] += count
    return found


def _entries(timelines: Timelines, clock: Zone) -> dict[str, dict[date, int]]:
    """By source, local days of entry and events; one bucket of the table is held at a time."""
    found: dict[str, dict[date, int]] = {}
    for bucket in range(timelines.buckets):
        rows = timelines.scan(["source", "recorded_at", "code"], bucket)
        rows = rows.filter(pc.not_equal(rows["code"], pa.scalar(WITHDRAWN)))
        days = clock.days(np.asarray(rows["recorded_at"].cast(pa.int64())))
        columns: Any = {"source": rows["source"], "day": days}
        grouped: Any = pa.table(columns).group_by(["source", "day"])
        counted = grouped.aggregate([([], "count_all")])
        parts = [counted[name].to_pylist() for name in ("source", "day", "count_all")]
        for source, number, count in zip(*parts, strict=True):
            entries = found.setdefault(source, {})
            day = _EPOCH + timedelta(number)
            entries[day] = entries.get(day, 0) + count
    return found
