"""A catalogue as arrays: its sets of events, its windows and its plan for the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from features.arrays import BY_OTHER, BY_PERSON, BY_RECEIVER, BY_REFERENCE, Int32s, Plan
from features.catalogue import Catalogue, Feature
from features.measures import MEASURES, Op

__all__ = ["Layout", "compile_catalogue", "plan_for"]

Thing = TypeVar("Thing")
Services = frozenset[str] | None
EventSet = tuple[tuple[str, ...], Services]

_ANSWERING = {"any": BY_PERSON, "other": BY_OTHER, "receiving": BY_RECEIVER}


@dataclass(frozen=True)
class Layout:
    """What a catalogue compiles to before any event is seen.

    Attributes:
        sets_of: For each code, the sets that hold it: number, and services (None = all).
        windows: Days of each window; the first, 0, is the whole history.
        receiving: Whether any feature asks who receives.
        arrays: The fields of a :class:`features.arrays.Plan` that no event changes.
    """

    sets_of: Mapping[str, tuple[tuple[int, Services], ...]]
    windows: tuple[int, ...]
    receiving: bool
    arrays: Mapping[str, np.ndarray]


class _Numbered(dict[Thing, int]):
    """Numbers things from 0 in the order they are first asked for."""

    def __missing__(self, key: Thing) -> int:
        self[key] = len(self)
        return self[key]


@lru_cache(maxsize=32)
def compile_catalogue(catalogue: Catalogue) -> Layout:
    """The arrays of a catalogue, kept for the next call.

    Args:
        catalogue: Any catalogue; equal ones share the result.
    """
    sets: _Numbered[EventSet] = _Numbered()
    windows: _Numbered[int] = _Numbered({0: 0})
    spans: _Numbered[tuple[int, int]] = _Numbered()
    columns: dict[str, list[int]] = {
        name: [] for name in ("op", "main", "other", "span", "before", "within", "answering")
    }
    ahead: set[int] = set()
    for feature in catalogue.features:
        op = MEASURES[feature.measure].op
        days = feature.window_days or 0
        main = other = span = before = -1
        if feature.codes:
            main = sets[_key(feature.codes, feature.services)]
            span = spans[(main, windows[days])]
        if op == Op.DAYS_TO_NEXT:
            ahead.add(main)
        elif op == Op.TREND:
            before = spans[(main, windows[2 * days])]
        elif op == Op.SHARE:
            other = sets[_key(feature.among, feature.services)]
            before = spans[(other, windows[days])]
        elif op in (Op.STREAK, Op.CURRENT):
            rest = tuple(code for code in feature.among if code not in feature.codes)
            other = sets[_key(rest, feature.services)]
            before = spans[(other, windows[days])]
        elif feature.closed_by or feature.answered_by:
            other = sets[_key(feature.closed_by or feature.answered_by, None)]
        by_person = feature.match == "person"
        answering = _ANSWERING[feature.answered_by_service] if by_person else BY_REFERENCE
        within = -1 if feature.within is None else feature.within
        for name, number in zip(
            columns, (op, main, other, span, before, within, answering), strict=True
        ):
            columns[name].append(number)
    groups = [_group_set(catalogue, group, sets) for group in catalogue.groups]
    arrays = {name: np.array(numbers, np.int32) for name, numbers in columns.items()}
    arrays["group_set"] = np.array(groups, np.int32)
    arrays["span_set"] = np.array([s for s, _ in spans], np.int32)
    arrays["span_window"] = np.array([w for _, w in spans], np.int32)
    arrays["ahead"] = np.array([number in ahead for number in range(len(sets))], np.bool_)
    sets_of: dict[str, list[tuple[int, Services]]] = {}
    for (codes, services), number in sets.items():
        for code in codes:
            sets_of.setdefault(code, []).append((number, services))
    receiving = any(f.answered_by_service == "receiving" for f in catalogue.features)
    return Layout(
        {code: tuple(found) for code, found in sets_of.items()},
        tuple(windows),
        receiving,
        arrays,
    )


def _key(codes: Sequence[str], services: Sequence[str] | None) -> EventSet:
    return tuple(sorted(codes)), None if services is None else frozenset(services)


def _group_set(catalogue: Catalogue, group: str, sets: _Numbered[EventSet]) -> int:
    """The set of all events of a group; -1 for a group of the prediction time alone."""
    members: list[Feature] = [f for f in catalogue.features if f.group == group]
    codes = {code for feature in members for code in feature.codes}
    return sets[_key(tuple(codes), members[0].services)] if codes else -1


def plan_for(
    layout: Layout, codes: Sequence[str], source_services: Sequence[str], services: int
) -> Plan:
    """The plan for events whose kind is ``code number * len(source_services) + source number``.

    Args:
        layout: The compiled catalogue.
        codes: Codes of the events, in the order of their numbers.
        source_services: Service of each source, in the order of their numbers.
        services: How many services are numbered.
    """
    begin: Int32s = np.zeros(len(codes) * len(source_services) + 1, np.int32)
    held: list[int] = []
    kind = 0
    for code in codes:
        found = layout.sets_of.get(code, ())
        for service in source_services:
            held += [number for number, only in found if only is None or service in only]
            kind += 1
            begin[kind] = len(held)
    return Plan(begin, np.array(held, np.int32), services=services, **layout.arrays)
