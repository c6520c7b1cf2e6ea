"""Whose peer a person is: the key of the latest event that decides, for every cohort row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from features.arrays import Int32s, Rows
from features.catalogue import Catalogue
from features.errors import ConfigurationError
from features.event_sets import EventSet, Kinds, own_set
from features.layout import Layout
from features.preparation import Prepared

__all__ = ["Comparison", "Keys", "comparisons", "peer_keys"]


@dataclass(frozen=True)
class Comparison:
    """What makes two people peers: the same key, taken from the latest event of a set.

    Attributes:
        peers: `code`, `service`, `reference` or `text_value` of that event.
        events: The set.
    """

    peers: str
    events: EventSet

    @property
    def text(self) -> str:
        """The comparison as JSON, by which a model finds its groups again."""
        one = self.events
        services = None if one.services is None else sorted(one.services)
        return json.dumps([self.peers, one.codes, services, one.low, one.high])


@lru_cache(maxsize=32)
def comparisons(catalogue: Catalogue) -> Mapping[Comparison, tuple[int, ...]]:
    """Every comparison of a catalogue with its columns, in the order of the first of each.

    Raises:
        ConfigurationError: a comparison that is not defined; all at once.
    """
    found: dict[Comparison, list[int]] = {}
    faults = []
    for place, feature in enumerate(catalogue.features):
        if not feature.among_peers:
            continue
        if feature.peers is None or feature.about:
            lack = "'about' has no meaning" if feature.about else "no 'peers'"
            faults.append(f"{feature.name}: {lack}")
        else:
            found.setdefault(Comparison(feature.peers, own_set(feature)), []).append(place)
    if faults:
        raise ConfigurationError(
            f"comparing peers: {'; '.join(faults)}",
            expected="what makes two people peers, and no 'about'",
            got=f"{len(faults)} feature(s)",
            hint="Add 'peers: service' to the group, and leave 'about' out of it.",
        )
    return {one: tuple(places) for one, places in found.items()}


class Keys(NamedTuple):
    """The key of each row in one comparison.

    names: Keys by number, each once.
    number: int32 [rows], -1 = no such event known, or none with a key.
    """

    names: tuple[str, ...]
    number: Int32s

    @classmethod
    def of(cls, keys: Iterable[str | None]) -> Keys:
        """Keys from one text a row.

        Example:
            >>> Keys.of(["north", None, "south", "north"]).number.tolist()
            [0, -1, 1, 0]
        """
        keys = list(keys)
        names = tuple(dict.fromkeys(key for key in keys if key is not None))
        places = {name: place for place, name in enumerate(names)}
        return cls(names, np.array([-1 if k is None else places[k] for k in keys], np.int32))

    @classmethod
    def joined(cls, parts: Sequence[Keys]) -> Keys:
        """The keys of several ranges of rows, one after another.

        Example:
            >>> Keys.joined([Keys.of(["a", None]), Keys.of(["b", "a"])]).number.tolist()
            [0, -1, 1, 0]
        """
        names = tuple(dict.fromkeys(name for part in parts for name in part.names))
        places = {name: place for place, name in enumerate(names)}
        numbers = [np.zeros(0, np.int32)]
        for part in parts:
            known = np.array([*(places[name] for name in part.names), -1], np.int32)
            numbers.append(known[part.number])
        return cls(names, np.concatenate(numbers))


def peer_keys(
    prepared: Prepared, rows: Rows, layout: Layout, count: int, base: int = 0
) -> list[Keys]:
    """The key of each cohort row in each comparison of the catalogue.

    Args:
        prepared: Events of the people of `rows`.
        rows: Cohort rows.
        layout: The compiled catalogue.
        count: Number of rows.
        base: The least of `rows.order`, where the rows are part of a longer cohort.

    Returns:
        One for each of `comparisons`, in that order.
    """
    from features.peers_kernel import latest_keys

    kinds = layout.kinds(prepared.services)
    place = {code: at for at, code in enumerate(kinds.codes)}
    found = []
    for one in comparisons(layout.catalogue):
        member = np.zeros(max(kinds.count, 1), np.bool_)
        member[kinds.of_set(one.events, place)] = True
        names, number, key = _numbered(one.peers, prepared, kinds)
        out = np.full(count, -1, np.int32)
        people = len(prepared.people)
        latest_keys(prepared.events, member, number, key, rows, 0, people, base, out)
        used = np.unique(out[out >= 0])
        shorter = np.full(len(names) + 1, -1, np.int32)
        shorter[used] = np.arange(len(used), dtype=np.int32)
        found.append(Keys(tuple(names[n] for n in used.tolist()), shorter[out]))
    return found


def _numbered(peers: str, prepared: Prepared, kinds: Kinds) -> tuple[list[str], Int32s, Int32s]:
    """The keys there can be, sorted; what each event's is looked up by; and the key of that."""
    if peers in ("reference", "text_value"):
        number, texts = prepared.texts[peers]
    else:
        # An event's kind holds its code and its source, also where the arrays of those are empty.
        number = prepared.events.kind
        sources, kind = len(kinds.services), np.arange(kinds.count) // kinds.bands
        which, spelled = kind % sources, kinds.services
        if peers == "code":
            which, spelled = kind // sources, (*kinds.codes, "")
        texts = [spelled[n] for n in which.tolist()]
    names = sorted(set(texts))
    place = {name: at for at, name in enumerate(names)}
    return names, number, np.array([place[text] for text in texts], np.int32)
