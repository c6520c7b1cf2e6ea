"""Which events a feature is about: codes, services, values and references, as kinds and sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.catalogue import Feature
from features.measures import MEASURES, Op

__all__ = ["EventSet", "Kinds", "group_set", "other_set", "own_set"]


@dataclass(frozen=True)
class EventSet:
    """Events of some codes, by some services, with a value in a range; or those that are not.

    Attributes:
        codes: Full codes, sorted.
        services: None is every service.
        low: Least numeric value, included; None is no bound.
        high: Bound that numeric values stay below; None is no bound.
        about: Codes of the events whose references count; empty is every event.
        minus: Codes whose events in the range are left out; the range then applies to them alone.
    """

    codes: tuple[str, ...]
    services: frozenset[str] | None = None
    low: float | None = None
    high: float | None = None
    about: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()

    @property
    def ranged(self) -> bool:
        """Whether the numeric value decides."""
        return self.low is not None or self.high is not None


def own_set(feature: Feature) -> EventSet:
    """The events that a feature measures."""
    services = None if feature.services is None else frozenset(feature.services)
    return EventSet(feature.codes, services, feature.value_min, feature.value_max, feature.about)


def other_set(feature: Feature) -> EventSet | None:
    """The events it is compared with: the denominator, what breaks it, closes or answers it."""
    op, own = MEASURES[feature.measure].op, own_set(feature)
    if op == Op.SHARE:
        return EventSet(feature.among, own.services)
    if op in (Op.STREAK, Op.CURRENT):
        if own.ranged:
            return EventSet(feature.among, own.services, own.low, own.high, minus=feature.codes)
        own_codes = frozenset(feature.codes)
        rest = tuple(code for code in feature.among if code not in own_codes)
        return EventSet(rest, own.services)
    codes = feature.answered_by or feature.followed_by or feature.closed_by
    return EventSet(codes) if codes else None


def group_set(members: Sequence[Feature]) -> EventSet:
    """All events of a group of features."""
    codes = sorted({code for feature in members for code in feature.codes})
    services = members[0].services
    return EventSet(tuple(codes), None if services is None else frozenset(services))


@dataclass(frozen=True)
class Kinds:
    """Numbers for what decides the sets of an event: its code, source and band of values.

    The kind of an event is ``(code * sources + source) * bands + band``. Band 0 is no numeric
    value; the bounds of all ranges over a code cut its values into the bands 1, 2, ...

    Attributes:
        codes: Every code that a set holds, sorted; the number after the last is any other code.
        services: Service of each source, in the order of the sources' numbers.
        bounds: For each code that a range applies to, the bounds, ascending, float32.
        bands: How many bands there are.
    """

    codes: tuple[str, ...]
    services: tuple[str, ...]
    bounds: Mapping[str, np.ndarray]
    bands: int

    @classmethod
    def of(cls, sets: Iterable[EventSet], services: Sequence[str]) -> Kinds:
        """The kinds that tell some sets apart."""
        codes: set[str] = set()
        bounds: dict[str, set[float]] = {}
        for one in sets:
            codes.update(one.codes)
            if one.ranged:
                for code in one.minus or one.codes:
                    found = bounds.setdefault(code, set())
                    found.update(b for b in (one.low, one.high) if b is not None)
        cuts = {code: np.array(sorted(found), np.float32) for code, found in bounds.items()}
        bands = max((len(found) + 2 for found in cuts.values()), default=1)
        return cls(tuple(sorted(codes)), tuple(services), cuts, bands)

    @property
    def count(self) -> int:
        """How many kinds there are, those of other codes included."""
        return (len(self.codes) + 1) * len(self.services) * self.bands

    def of_set(self, one: EventSet, number: Mapping[str, int]) -> list[int]:
        """The kinds that belong to a set, leaving aside what its events are about."""
        sources = [
            place
            for place, service in enumerate(self.services)
            if one.services is None or service in one.services
        ]
        found, minus = [], frozenset(one.minus)
        for code in one.codes:
            inside = list(range(self.bands))
            if one.ranged and (not minus or code in minus):
                within = self._bands(code, one)
                inside = [b for b in inside if b not in within] if minus else within
            first = number[code] * len(self.services)
            found += [(first + source) * self.bands + band for source in sources for band in inside]
        return found

    def _bands(self, code: str, one: EventSet) -> list[int]:
        """The bands of a code that lie in the range of a set."""
        cuts = self.bounds[code].tolist()
        edges = [-np.inf, *cuts, np.inf]
        low = -np.inf if one.low is None else np.float32(one.low)
        high = np.inf if one.high is None else np.float32(one.high)
        return [b + 1 for b in range(len(edges) - 1) if edges[b] >= low and edges[b + 1] <= high]
