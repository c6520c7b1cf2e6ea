"""Measures of what ends, follows or answers the events found: read each beside its rule.

The rules are those of :data:`features.measures.MEASURES`. Every function is given the dated events
found, as a mask over the events of the row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from features.catalogue import Feature
from tests.features.reference_rows import Mask, Row
from tests.features.reference_windows import Window

NAN = math.nan


def closed(row: Row, closed_by: tuple[str, ...]) -> Mask:
    """Which spells were closed: by reference, or by a later event where both have none."""
    closing = row.coded(closed_by) & row.dated
    by_reference = row.events["reference"].isin(row.pick(closing)["reference"].dropna())
    latest = row.pick(closing & row.unreferenced)["time"].max()
    later = row.events["time"] <= latest
    return by_reference.to_numpy(bool) | (row.unreferenced & later.to_numpy(bool))


def not_closed(row: Row, f: Feature, begun: Mask) -> Mask:
    """Spells that nothing closed, whether their planned end is over or not."""
    return begun & ~row.once(("closed", f.closed_by), lambda: closed(row, f.closed_by))


def still_open(row: Row, f: Feature, begun: Mask) -> pd.DataFrame:
    def not_over() -> Mask:
        end = row.events["end_time"]
        return (end.isna() | (end >= row.t)).to_numpy()

    return row.pick(not_closed(row, f, begun) & row.once("not over", not_over))


def days_to_spell_end(row: Row, f: Feature, begun: Mask) -> float:
    spells = still_open(row, f, begun)
    if len(spells):
        return spells["to_end"].min()
    latest = row.pick(not_closed(row, f, begun))["to_end"].max()
    forgotten = f.within is not None and latest < -f.within
    return NAN if forgotten else latest


def overlap(row: Row, f: Feature, window: Window, begun: Mask) -> float:
    first = still_open(row, f, begun & row.dated)
    second = still_open(row, f, row.coded(f.alongside) & row.dated & row.inside(window))
    if first.empty or second.empty:
        return 0
    return min(first["age"].max(), second["age"].max())


def same_reference(row: Row, event: Any) -> Mask:
    """Which events have the same reference as one; without it, which have none either."""
    if event.reference is None:
        return row.unreferenced
    return (row.events["reference"] == event.reference).to_numpy(bool)


def days_until(row: Row, event: Any, others: Mask) -> float:
    """Days from an event to the first of others, at the same time or later."""
    later = row.pick(others & row.not_before(event.time))
    return NAN if later.empty else later["day"].iloc[0] - event.day


def follower(row: Row, f: Feature, event: Any) -> float:
    """Days from an event to the first other one that follows it."""
    others = row.coded(f.followed_by) & (np.arange(len(row.events)) != event.Index)
    if f.match == "reference":
        others = others & same_reference(row, event)
    return days_until(row, event, others)


def sequences(row: Row, f: Feature, found: Mask) -> pd.Series:
    """Days to the follower of each event that has one soon enough."""

    def make() -> pd.Series:
        asked = "follower", f.followed_by, f.match
        days = [
            row.once((asked, e.Index), lambda e=e: follower(row, f, e)) for e in row.each(found)
        ]
        return pd.Series([n for n in days if n <= (f.within or 0)], dtype="float64")

    asked = "sequences", f.followed_by, f.match, f.within
    return row.once((asked, found.tobytes()), make)


def may_answer(row: Row, f: Feature, event: Any) -> Mask:
    """Which events can answer one, but for their time."""
    others, service = row.coded(f.answered_by) & row.dated, row.events["service"]
    if f.match == "reference":
        return others & same_reference(row, event)
    if f.answered_by_service == "any":
        return others
    if f.answered_by_service == "receiving" and event.text_value in row.services:
        return others & (service == event.text_value).to_numpy(bool)
    return others & (service != event.service).to_numpy(bool)


class Answer(NamedTuple):
    """Whether an event is answered, and in how many days by one that is not earlier."""

    given: bool
    days: float


def answer(row: Row, f: Feature, event: Any) -> Answer:
    """By reference, whatever the time; else, or where there is none, by one that is not earlier."""
    others = may_answer(row, f, event)
    days = days_until(row, event, others)
    anyhow = f.match == "reference" and event.reference is not None
    return Answer(bool(others.any()) if anyhow else not math.isnan(days), days)


def answers(row: Row, f: Feature, found: Mask) -> list[tuple[Any, Answer]]:
    asked = "answer", f.answered_by, f.match, f.answered_by_service
    return [
        (event, row.once((asked, event.Index), lambda event=event: answer(row, f, event)))
        for event in row.each(found)
    ]


def answer_delay(row: Row, f: Feature, found: Mask) -> float:
    def make() -> float:
        days = [answer.days for _, answer in answers(row, f, found)]
        return pd.Series(days, dtype="float64").median()

    asked = "answer delay", f.answered_by, f.match, f.answered_by_service
    return row.once((asked, found.tobytes()), make)


def unanswered(row: Row, f: Feature, found: Mask) -> pd.Series:
    """Ages of the events that nothing answers, those old enough."""

    def make() -> pd.Series:
        ages = [event.age for event, answer in answers(row, f, found) if not answer.given]
        return pd.Series([age for age in ages if age >= (f.within or 0)], dtype="float64")

    asked = "unanswered", f.answered_by, f.match, f.answered_by_service, f.within
    return row.once((asked, found.tobytes()), make)


LINKED: dict[str, Callable[[Row, Feature, Mask], float]] = {
    "open_spells": lambda row, f, found: len(still_open(row, f, found)),
    "open_spell_age": lambda row, f, found: still_open(row, f, found)["age"].max(),
    "days_to_spell_end": days_to_spell_end,
    "sequences": lambda row, f, found: len(sequences(row, f, found)),
    "sequence_delay": lambda row, f, found: sequences(row, f, found).mean(),
    "answer_delay": answer_delay,
    "unanswered": lambda row, f, found: len(unanswered(row, f, found)),
    "days_unanswered": lambda row, f, found: unanswered(row, f, found).max(),
}
"""Measures of the dated events found and of what is linked to them."""
