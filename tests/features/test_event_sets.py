"""The kinds of events tell exactly the sets apart that features are about."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.event_sets import EventSet, Kinds, group_set, other_set, own_set
from tests.features.timelines_at_random import feature

CODES = ("A", "B", "C")
SERVICES = ("north", "south", "south", "east")
"""Service of each source: two sources share one."""
BOUNDS = (-1.0, 0.0, 0.1, 2.5)
VALUES = (math.nan, -math.inf, -2.0, -1.0, -0.5, 0.0, 0.05, 0.1, 1.0, 2.5, 9.0, math.inf)

codes = st.sets(st.sampled_from(CODES)).map(lambda found: tuple(sorted(found)))
ranges = st.lists(st.sampled_from(BOUNDS), unique=True, max_size=2).map(sorted)


@st.composite
def event_sets(draw: st.DrawFn) -> EventSet:
    """A set, with or without services, with a range over all its codes or over some left out."""
    bounds = draw(ranges)
    low = bounds[0] if bounds else None
    high = bounds[1] if len(bounds) == 2 else None
    if bounds and draw(st.booleans()):
        low, high = (None, low) if high is None else (low, high)
    services = draw(st.none() | st.sets(st.sampled_from(SERVICES)).map(frozenset))
    minus = draw(codes) if bounds else ()
    return EventSet(draw(codes), services, low, high, minus=minus)


def holds(one: EventSet, code: str, service: str, value: float) -> bool:
    """Whether an event belongs to a set, by the words of its docstring."""
    if code not in one.codes or (one.services is not None and service not in one.services):
        return False
    inside = not math.isnan(value)
    inside = inside and (one.low is None or np.float32(value) >= np.float32(one.low))
    inside = inside and (one.high is None or np.float32(value) < np.float32(one.high))
    if one.minus:
        return code not in one.minus or not inside
    return inside or not one.ranged


def kind(kinds: Kinds, code: str, source: int, value: float) -> int:
    """The kind of an event, by the words of the docstring of `Kinds`."""
    number = kinds.codes.index(code) if code in kinds.codes else len(kinds.codes)
    bounds = kinds.bounds.get(code, np.zeros(0, np.float32))
    band = 0 if math.isnan(value) or not len(bounds) else 1 + int((bounds <= value).sum())
    return (number * len(kinds.services) + source) * kinds.bands + band


@given(st.lists(event_sets(), min_size=1, max_size=6))
def test_kinds_hold_the_events_of_each_set(sets: list[EventSet]) -> None:
    kinds = Kinds.of(sets, SERVICES)
    number = {code: place for place, code in enumerate(kinds.codes)}
    for one in sets:
        members = set(kinds.of_set(one, number))
        assert all(0 <= member < kinds.count for member in members)
        for code in (*CODES, "D"):
            for source, service in enumerate(SERVICES):
                for value in np.array(VALUES, np.float32).tolist():
                    found = kind(kinds, code, source, value) in members
                    assert found == holds(one, code, service, value), (one, code, source, value)


@given(st.lists(event_sets(), min_size=1, max_size=6))
def test_a_set_has_each_of_its_kinds_once(sets: list[EventSet]) -> None:
    kinds = Kinds.of(sets, SERVICES)
    number = {code: place for place, code in enumerate(kinds.codes)}
    for one in sets:
        members = kinds.of_set(one, number)
        assert len(members) == len(set(members))


def test_bands_are_only_cut_where_a_range_asks() -> None:
    plain, ranged = EventSet(("A", "B")), EventSet(("A",), low=0.0)
    assert Kinds.of([plain], SERVICES).bands == 1
    both = Kinds.of([plain, ranged], SERVICES)
    assert (both.bands, sorted(both.bounds)) == (3, ["A"])
    assert both.count == 3 * len(SERVICES) * 3


def test_what_a_feature_measures() -> None:
    one = feature("max", 30, services=("south",), value_min=0.5, value_max=2.0, about=("B",))
    assert own_set(one) == EventSet(("A",), frozenset({"south"}), 0.5, 2.0, ("B",))
    assert other_set(one) is None


def test_what_a_feature_is_compared_with() -> None:
    def other(measure: str, **more: Any) -> EventSet | None:
        return other_set(feature(measure, None, **more))

    south = {"services": ("south",)}
    assert other("share", value_min=1.0, **south) == EventSet(("A", "B", "C"), frozenset({"south"}))
    assert other("streak", **south) == EventSet(("B", "C"), frozenset({"south"}))
    assert other("current", value_min=1.0) == EventSet(
        ("A", "B", "C"), None, 1.0, None, minus=("A",)
    )
    # Whoever answers, follows or closes may belong to any service.
    assert other("unanswered", **south) == EventSet(("B", "C"))
    assert other("sequences", **south) == EventSet(("B",))
    assert other("open_spells", **south) == EventSet(("C",))
    assert other("open_spells", closed_by=()) is None
    assert other("count") is None


def test_a_group_is_all_its_features_read() -> None:
    members = [feature("count", 30), feature("max", 30, codes=("B", "C"), value_min=1.0)]
    assert group_set(members) == EventSet(("A", "B", "C"))
