"""A catalogue as arrays: its sets of events, its windows and its plans for the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeVar

import numpy as np

from features.arrays import BY_OTHER, BY_PERSON, BY_RECEIVER, BY_REFERENCE, Int32s, Plan
from features.catalogue import Catalogue, Feature
from features.event_sets import EventSet, Kinds, group_set, other_set, own_set
from features.measures import MEASURES, PEER_OPS, Op
from features.windows import ALL, Window, closed

__all__ = ["SLIDING", "Layout", "compile_catalogue", "groups_of", "slides"]

Thing = TypeVar("Thing")

SLIDING = frozenset(
    {Op.COUNT, Op.ANY, Op.SUM, Op.MEAN, Op.DAYS_SINCE_LAST, Op.DAYS_SINCE_FIRST}
    | {Op.TREND, Op.SHARE}
)
"""Measures that follow from what enters and leaves a window, without reading it again."""

_ANSWERING = {"any": BY_PERSON, "other": BY_OTHER, "receiving": BY_RECEIVER}
_SPELLS = (Op.OPEN_SPELLS, Op.OPEN_SPELL_AGE, Op.DAYS_TO_SPELL_END, Op.OVERLAP)
_BY_REFERENCE = (
    *_SPELLS,
    Op.UNANSWERED,
    Op.DAYS_UNANSWERED,
    Op.SEQUENCES,
    Op.SEQUENCE_DELAY,
    Op.ANSWER_DELAY,
    Op.DISTINCT_REFERENCES,
)
_VALUED = (Op.SUM, Op.MEAN, Op.MAX, Op.MIN, Op.STD, Op.SLOPE, Op.LAST)


class _Numbered(dict[Thing, int]):
    """Numbers things from 0 in the order they are first asked for."""

    def __missing__(self, key: Thing) -> int:
        self[key] = len(self)
        return self[key]


@dataclass(frozen=True, eq=False)
class Layout:
    """What a catalogue compiles to before any event is seen.

    Attributes:
        catalogue: What it was made from.
        windows: Every window in use; the first is the whole history.
        sliding: Columns computed from what enters and leaves windows.
        general: Columns computed row by row; with sums of values that do not add up exactly in
            64 bits, those sums and means too: `inexact`.
        peers: Columns that compare people, computed after all others.
        sets: Sets of the general columns.
        arrays: The fields of a :class:`features.arrays.Plan` that no source changes.
        groups: The set of all events of each group, in the order of the groups.
        kept: Plans made before, by what they were made for.
    """

    catalogue: Catalogue
    windows: Mapping[Window, int]
    sliding: tuple[int, ...]
    general: Int32s
    inexact: Int32s
    peers: tuple[int, ...]
    sets: Mapping[EventSet, int]
    arrays: Mapping[str, np.ndarray]
    groups: tuple[EventSet, ...]
    kept: dict[object, object] = field(default_factory=dict, repr=False)

    @cached_property
    def adds(self) -> bool:
        """Whether any sliding column adds values up."""
        return len(self.inexact) > len(self.general)

    @cached_property
    def all_sets(self) -> tuple[EventSet, ...]:
        """Every set that decides a kind: of general, sliding and peer columns, and of groups."""
        found = dict.fromkeys(self.sets)
        for place in (*self.sliding, *self.peers):
            feature = self.catalogue.features[place]
            found[own_set(feature)] = None
            other = other_set(feature)
            if other is not None:
                found[other] = None
        found |= dict.fromkeys(self.groups)
        return tuple(found)

    @cached_property
    def needs(self) -> frozenset[str]:
        """What is read of events besides person, times and code: names of fields of `Events`."""
        found = set()
        for feature in self.catalogue.features:
            op = MEASURES[feature.measure].op
            if op in _VALUED or feature.value_min is not None or feature.value_max is not None:
                found.add("value")
            if op in _SPELLS:
                found.add("ends")
            if op in _BY_REFERENCE or feature.about or feature.peers == "reference":
                found.add("reference")
            if op in (Op.ACTIVE_SERVICES, Op.DOMINANT_SHARE) or feature.services is not None:
                found.add("service")
            if feature.answered_by_service != "any" or feature.peers == "service":
                found.add("service")
            if feature.answered_by_service == "receiving":
                found.add("receiver")
            if feature.peers == "text_value":
                found.add("text_value")
            if op == Op.DISTINCT_CODES:
                found.add("code")
        return frozenset(found)

    def kinds(self, services: Sequence[str]) -> Kinds:
        """The kinds of events, for sources of these services."""
        key = ("kinds", tuple(services))
        if key not in self.kept:
            self.kept[key] = Kinds.of(self.all_sets, services)
        return self.kept[key]  # type: ignore[return-value]

    def plan(self, services: Sequence[str], numbered: int, *, exact: bool) -> Plan:
        """The plan of the columns computed row by row.

        Args:
            services: Service of each source, in the order of their numbers.
            numbered: How many services are numbered.
            exact: Whether sums of values add up exactly, so that only `general` is computed.
        """
        key = ("plan", tuple(services), numbered, exact)
        if key not in self.kept:
            kinds = self.kinds(services)
            number = {code: place for place, code in enumerate(kinds.codes)}
            held: dict[int, list[int]] = {}
            used = self._used(self.general if exact else self.inexact)
            for one, place in self.sets.items():
                if place not in used:
                    continue
                for kind in kinds.of_set(one, number):
                    held.setdefault(kind, []).append(place)
            begin = np.zeros(kinds.count + 1, np.int32)
            for kind, places in held.items():
                begin[kind + 1] = len(places)
            flat = [place for kind in sorted(held) for place in held[kind]]
            self.kept[key] = Plan(
                np.cumsum(begin, dtype=np.int32),
                np.array(flat, np.int32),
                services=numbered,
                codes=len(kinds.codes),
                **self.arrays,
            )
        return self.kept[key]  # type: ignore[return-value]

    def _used(self, columns: Int32s) -> set[int]:
        """The sets that some columns look at."""
        arrays = self.arrays
        found = {int(n) for name in ("main", "other", "third") for n in arrays[name][columns]}
        spans = [n for name in ("span", "before") for n in arrays[name][columns] if n >= 0]
        found |= {int(n) for name in ("span_set", "span_anchor") for n in arrays[name][spans]}
        return found | {int(arrays["about"][n]) for n in found if n >= 0}


def slides(feature: Feature) -> bool:
    """Whether a feature is computed from what enters and leaves its window."""
    if MEASURES[feature.measure].op not in SLIDING or feature.about:
        return False
    return feature.period is None or not (feature.period == "since" or closed(feature.period))


def _window(feature: Feature) -> Window:
    if feature.period is not None and feature.period != "since":
        return feature.period
    return feature.window_days or ALL


def groups_of(catalogue: Catalogue) -> dict[str, EventSet]:
    """The set of all events of each group of features, by its name."""
    members: dict[str, list[Feature]] = {}
    for feature in catalogue.features:
        members.setdefault(feature.group, []).append(feature)
    return {name: group_set(found) for name, found in members.items()}


@lru_cache(maxsize=32)
def compile_catalogue(catalogue: Catalogue, groups: tuple[EventSet, ...] | None = None) -> Layout:
    """The arrays of a catalogue, kept for the next call.

    Args:
        catalogue: Any catalogue; equal ones share the result.
        groups: Sets whose latest event is kept; by default those of the catalogue's groups.
    """
    features = catalogue.features
    windows: _Numbered[Window] = _Numbered({ALL: 0})
    sets: _Numbered[EventSet] = _Numbered()
    spans: _Numbered[tuple[int, int, int]] = _Numbered()
    names = ("main", "other", "third", "span", "before", "within", "answering")
    columns = {name: np.full(len(features), -1, np.int32) for name in names}
    op = np.array([MEASURES[feature.measure].op for feature in features], np.int32)
    empty = np.array([MEASURES[feature.measure].empty for feature in features], np.float32)
    ahead: set[int] = set()
    sliding, general, inexact, peers = [], [], [], []
    for place, feature in enumerate(features):
        number = windows[_window(feature)]
        if op[place] in PEER_OPS:
            peers.append(place)
            continue
        if slides(feature):
            sliding.append(place)
            if op[place] == Op.TREND:
                windows[2 * (feature.window_days or 0)]
            if op[place] not in (Op.SUM, Op.MEAN):
                continue
        else:
            general.append(place)
        inexact.append(place)
        anchor = -1
        if feature.period == "since":
            anchor = sets[EventSet(feature.anchor)]
            empty[place] = np.nan
        found = dict.fromkeys(names, -1)
        if feature.codes:
            found["main"] = main = sets[own_set(feature)]
            found["span"] = spans[(main, number, anchor)]
            if op[place] in (Op.DAYS_TO_NEXT, Op.AHEAD):
                ahead.add(main)
            if op[place] in (Op.TREND, Op.TREND_RATIO):
                twice = windows[2 * (feature.window_days or 0)]
                found["before"] = spans[(main, twice, -1)]
        second = other_set(feature)
        if second is not None:
            found["other"] = other = sets[second]
            if op[place] in (Op.SHARE, Op.STREAK, Op.CURRENT):
                found["before"] = spans[(other, number, anchor)]
        if op[place] == Op.OVERLAP:
            found["third"] = third = sets[EventSet(feature.alongside)]
            found["before"] = spans[(third, number, anchor)]
        by_person = feature.match == "person"
        found["answering"] = _ANSWERING[feature.answered_by_service] if by_person else BY_REFERENCE
        found["within"] = -1 if feature.within is None else feature.within
        for name in names:
            columns[name][place] = found[name]
    about = [sets[EventSet(one.about)] if one.about else -1 for one in list(sets)]
    about += [-1] * (len(sets) - len(about))
    arrays: dict[str, np.ndarray] = {**columns, "op": op, "empty": empty}
    arrays["about"] = np.array(about, np.int32)
    arrays["span_set"] = np.array([s for s, _, _ in spans], np.int32)
    arrays["span_window"] = np.array([w for _, w, _ in spans], np.int32)
    arrays["span_anchor"] = np.array([a for _, _, a in spans], np.int32)
    arrays["ahead"] = np.array([number in ahead for number in range(len(sets))], np.bool_)
    arrays["window_closed"] = np.array([closed(window) for window in windows], np.bool_)
    return Layout(
        catalogue,
        dict(windows),
        tuple(sliding),
        np.array(general, np.int32),
        np.array(inexact, np.int32),
        tuple(peers),
        dict(sets),
        arrays,
        tuple(groups_of(catalogue).values()) if groups is None else groups,
    )
