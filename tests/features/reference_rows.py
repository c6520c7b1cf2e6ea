"""What was known of one person at one time, as a frame, and the masks that select from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue import Feature
from features.events import WITHDRAWN
from tests.features.reference_windows import (
    Window,
    calendar,
    day_number,
    days_before,
    local_days,
    wall_clock,
)

Event = Mapping[str, Any]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")
TYPES = {
    "event_id": "object",
    "subject_id": "int64",
    "time": "datetime64[us]",
    "recorded_at": "datetime64[us]",
    "end_time": "datetime64[us]",
    "code": "object",
    "numeric_value": "float32",
    "text_value": "object",
    "source": "object",
    "reference": "object",
}

TIMES = ("time", "end_time", "day", "end_day")
KEPT = (*TIMES, "code", "value", "text_value", "source", "reference")


class Versions:
    """Every version of every event as a frame, with the moment the next one replaced it."""

    def __init__(self, events: list[Event]) -> None:
        self.events = list(events)
        columns = {
            name: pd.Series([event[name] for event in events], dtype=dtype)
            for name, dtype in TYPES.items()
        }
        frame = pd.DataFrame(columns).drop_duplicates(["event_id", "recorded_at"])
        frame = frame.sort_values(["event_id", "recorded_at"])
        following = frame[["event_id", "recorded_at"]].shift(-1)
        replaced = following["event_id"] == frame["event_id"]
        frame["superseded_at"] = following["recorded_at"].where(replaced)
        frame["value"] = frame["numeric_value"].astype("float64")
        frame.columns = frame.columns.astype("object")  # quicker to look up than text of Arrow
        self.frame = frame.sort_values(["time", "recorded_at", "value"], na_position="first")
        self.kept: dict[Any, pd.DataFrame] = {}

    def local(self, zone: str) -> pd.DataFrame:
        """The same with the local days of a zone."""
        if zone not in self.kept:
            days = {"day": self.frame["time"], "end_day": self.frame["end_time"]}
            local = {name: local_days(times, zone) for name, times in days.items()}
            self.kept[zone] = self.frame.assign(**local)
        return self.kept[zone]

    def known(self, subject: int, t: datetime, zone: str) -> pd.DataFrame:
        """The newest version of each event recorded before t, if it is this person's and stands."""
        asked = subject, t, zone
        if asked not in self.kept:
            v = self.local(zone)
            newest = (v["recorded_at"] < t) & ~(v["superseded_at"] < t)
            standing = (v["code"] != WITHDRAWN) & (v["subject_id"] == subject)
            self.kept[asked] = v[newest & standing]
        return self.kept[asked]


_latest = Versions([])


def versions(events: list[Event]) -> Versions:
    """The versions of some events; the last ones asked for are kept."""
    global _latest
    if _latest.events != events:
        _latest = Versions(events)
    return _latest


def known(events: list[Event], subject: int, t: datetime) -> list[Event]:
    """The events known of a person at a time, each as the version known then."""
    return [events[place] for place in versions(events).known(subject, t, "UTC").index]


class Row:
    """One person at one time: what a measure may look at.

    `events` is the frame of what was known before t, by time (static ones first), entry and value.
    Besides the columns `KEPT` it has the `service`, the local `day` counted from that of t, the
    `age` in days (the same, backwards), and `to_end`, the days from t to the planned end.
    Selections are masks over its rows.
    """

    def __init__(
        self,
        events: list[Event],
        subject: int,
        t: datetime,
        zone: str,
        service_of: Callable[[str], str],
        services: set[str],
    ) -> None:
        self.t, self.zone, self.services = t, zone, services
        self.clock = wall_clock(t, zone)
        today = day_number(self.clock)
        frame = versions(events).known(subject, t, zone)[list(KEPT)].copy()
        frame["service"] = pd.Series(map(service_of, frame["source"]), frame.index, "object")
        frame["day"] -= today
        frame["to_end"] = frame["end_day"] - today
        frame["age"] = -frame["day"]
        self.events = frame.copy()  # one block for each type: quicker to select from
        self.kept: dict[Any, Any] = {}
        self.all = np.ones(len(frame), bool)
        self.static = frame["time"].isna().to_numpy()
        self.unreferenced = frame["reference"].isna().to_numpy()
        self.past = self.static | self.before(t)
        self.dated = self.past & ~self.static

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives, made once for this row: many features ask for the same."""
        if key not in self.kept:
            self.kept[key] = make()
        made: T = self.kept[key]
        return made

    def pick(self, mask: Mask) -> pd.DataFrame:
        """The events of a mask."""
        return self.once(("pick", mask.tobytes()), lambda: self.events[mask])

    def before(self, instant: datetime) -> Mask:
        """Which events lie before an instant; no static one does."""

        def make() -> Mask:
            return (self.events["time"] < instant).to_numpy(bool)

        return self.once(("before", instant), make)

    def not_before(self, instant: datetime) -> Mask:
        """Which past events do not lie before an instant; no static one does."""
        return self.dated & ~self.before(instant)

    def inside(self, window: Window) -> Mask:
        """Which past events lie in a window; static ones only in the whole history."""

        def make() -> Mask:
            if window.since is None:
                return self.static | self.before(window.until)
            return self.not_before(window.since) & self.before(window.until)

        return self.once(("inside", window), make)

    def window(self, f: Feature) -> Window | None:
        """When the events of a feature lie; None if its window never began."""

        def make() -> Window | None:
            if f.period == "since":
                anchors = self.pick(self.coded(f.anchor) & self.dated)["time"]
                return None if anchors.empty else Window(anchors.max(), self.t)
            if f.period is not None:
                return calendar(self.t, f.period, self.zone)
            return Window(days_before(self.t, f.window_days, self.zone), self.t)

        return self.once(("window", f.period, f.window_days, f.anchor), make)

    def is_one(self, column: str, of: tuple[str, ...]) -> Mask:
        """Which events have one of some values in a column."""
        return self.once((column, of), lambda: self.events[column].isin(of).to_numpy(bool))

    def coded(self, codes: tuple[str, ...]) -> Mask:
        """Which events have one of some codes."""
        return self.is_one("code", codes)

    def by(self, services: tuple[str, ...] | None) -> Mask:
        """Which events come from some services; None is all of them."""
        return self.all if services is None else self.is_one("service", services)

    def one_of(self, f: Feature) -> Mask:
        """Which events have a code of the feature, and a value in its range if it has one."""

        def make() -> Mask:
            value, mask = self.events["value"], self.coded(f.codes)
            if f.value_min is not None:
                mask = mask & (value >= np.float32(f.value_min)).to_numpy()
            if f.value_max is not None:
                mask = mask & (value < np.float32(f.value_max)).to_numpy()
            return mask

        return self.once(("one of", f.codes, f.value_min, f.value_max), make)

    def about(self, codes: tuple[str, ...]) -> Mask:
        """Which events have a reference that a past event of some codes has, too."""
        references = self.pick(self.coded(codes) & self.past)["reference"].dropna()
        return self.events["reference"].isin(references).to_numpy(bool)

    def measured(self, f: Feature) -> Mask:
        """Which events a feature is about: by code, value, service and reference."""

        def make() -> Mask:
            mask = self.one_of(f) & self.by(f.services)
            return mask & self.about(f.about) if f.about else mask

        own = f.codes, f.services, f.value_min, f.value_max, f.about
        return self.once(("measured", own), make)

    def among(self, f: Feature, window: Window) -> Mask:
        """Which events of `among` lie in a window, from the services of the feature."""
        return self.coded(f.among) & self.by(f.services) & self.inside(window)

    def each(self, mask: Mask) -> list[Any]:
        """The events of a mask one by one, their columns as attributes, `Index` their place."""
        events = self.once("each", lambda: list(self.events.reset_index(drop=True).itertuples()))
        return [events[place] for place in np.flatnonzero(mask)]
