"""Where a person stands among peers: whose peers, how many, and how their values are spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa

from features.catalogue import Catalogue, Feature
from features.event_sets import own_set
from features.peers import Comparison, PeerGroups, peer_keys

__all__ = ["SHARES", "SMALLEST", "Against", "Standing", "holds", "peer_key", "standing"]

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The order statistics told of a group, by the share of its values at or below each."""
SMALLEST = 11
"""People under which nothing is told of a group, unless the territory says another number."""

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Against:
    """Groups to compare a person with, and where they come from.

    Attributes:
        groups: The peer groups.
        source: `champion`, the groups kept with the model in service; `matrix`, those of the built
            matrix; `computed`, made on the spot from the timelines.
        detail: Which version, which file.
    """

    groups: PeerGroups = field(repr=False)
    source: Literal["champion", "matrix", "computed", "given"] = "given"
    detail: str = ""


@dataclass(frozen=True)
class Standing:
    """A peer group as it may be told: nothing of a group that is too small.

    Attributes:
        peers: What makes the people peers: `code`, `service`, `reference` or `text_value`.
        key: Which service, code, file or category; None where the person has none.
        since: Prediction time of the group, UTC without zone: the latest kept at or before the one
            asked for; None without a group.
        people: People in the group; None where that is not told.
        number: Those of them with a value of the feature compared; None where that is not told.
        mean: Their mean; None where that is not told.
        marks: Order statistics of the values by :data:`SHARES`. Never that of the person at either
            end of the group.
        hidden: Why something is not told: `no_key`, `no_group`, `small` or `few_values`.
        fewest: People under which nothing is told.
        source: As in :class:`Against`.
        detail: As in :class:`Against`.
    """

    peers: str
    key: str | None
    since: datetime | None = None
    people: int | None = None
    number: int | None = None
    mean: float | None = None
    marks: Mapping[float, float] = field(default_factory=dict)
    hidden: Literal["no_key", "no_group", "small", "few_values"] | None = None
    fewest: int = SMALLEST
    source: str = "given"
    detail: str = ""


def holds(groups: PeerGroups | None, feature: Feature) -> bool:
    """Whether groups hold what a feature compares, with no stricter limit than its own."""
    if groups is None or feature.peers is None:
        return False
    found = groups.by.get(Comparison(feature.peers, own_set(feature)).text)
    if found is None or feature.of is None:
        return found is not None
    return feature.of in found.of and found.of[feature.of].least <= feature.least


def peer_key(
    events: pa.Table, subject: int, t: datetime, feature: Feature, catalogue: Catalogue
) -> str | None:
    """The person's own service, code, file or category in a comparison, as known at a time.

    Args:
        events: The person's events, all versions.
        subject: The pseudonym.
        t: The prediction time, UTC without zone.
        feature: One that compares peers.
        catalogue: The one it is of.

    Raises:
        DataError: columns of events are missing.
    """
    from features.engine import Engine

    names = [name for name in (feature.of, feature.name) if name is not None]
    engine = Engine(catalogue.only(names), last_seen=False)
    people = np.array([subject], np.int64)
    micros = np.array([(t - _EPOCH) // _MICROSECOND], np.int64)
    prepared = engine.prepare(events, people)
    (keys,) = peer_keys(prepared, engine.rows(people, micros, people), engine.layout, 1)
    return None if keys.number[0] < 0 else keys.names[int(keys.number[0])]


def standing(
    feature: Feature,
    key: str | None,
    t: datetime,
    against: Against,
    *,
    smallest: int = SMALLEST,
) -> Standing:
    """The group that a key has at a time, as it may be told.

    Args:
        feature: One that compares peers, and that `against` holds.
        key: From :func:`peer_key`.
        t: The prediction time, UTC without zone.
        against: The groups.
        smallest: People under which nothing is told of a group. The feature's own `least` counts
            where it is larger.

    Example:
        >>> from features.peers import Keys, compare
        >>> of = Feature("missed.count.90d", "missed", "count", 90, "contact", {}, "count", ("A",))
        >>> rank = Feature("peers.rank.missed.count.90d", "peers", "rank", None, "contact", {},
        ...                "share", ("A",), peers="service", of=of.name, least=2)
        >>> values = np.array([[n, 0] for n in range(20)], np.float32)
        >>> keys = [Keys.of(["north"] * 15 + ["south"] * 5)]
        >>> when = datetime(2025, 4, 1)
        >>> micros = np.full(20, (when - _EPOCH) // _MICROSECOND)
        >>> groups = compare(Catalogue((of, rank)), values, keys, micros, np.arange(20))
        >>> found = standing(rank, "north", when, Against(groups))
        >>> found.people, found.mean, found.marks[0.5], found.marks[0.9]
        (15, 7.0, 7.0, 13.0)
        >>> small = standing(rank, "south", when, Against(groups))
        >>> small.people, small.marks, small.hidden, small.fewest
        (None, {}, 'small', 11)
        >>> standing(rank, "south", datetime(2025, 3, 1), Against(groups)).hidden
        'no_group'
    """
    said = Standing(
        feature.peers or "",
        key,
        fewest=max(smallest, feature.least),
        source=against.source,
        detail=against.detail,
    )
    if key is None:
        return replace(said, hidden="no_key")
    groups = against.groups.by[Comparison(feature.peers or "", own_set(feature)).text]
    micros = np.array([(t - _EPOCH) // _MICROSECOND], np.int64)
    place = int(groups.find((key,), np.zeros(1, np.int32), micros)[0])
    if place < 0:
        # A key that never had enough people is not kept: who they were could be guessed.
        return replace(said, hidden="no_group")
    said = replace(said, since=_EPOCH + int(groups.instant[place]) * _MICROSECOND)
    people = int(groups.people[place])
    if people < said.fewest:
        return replace(said, hidden="small")
    said = replace(said, people=people)
    if feature.of is None:
        return said
    compared = groups.of[feature.of]
    if int(compared.number[place]) < said.fewest:
        return replace(said, hidden="few_values")
    kept = compared.kept[compared.begin[place] : compared.begin[place + 1]]
    return replace(
        said,
        number=int(compared.number[place]),
        mean=float(compared.mean[place]),
        marks={share: float(kept[_place(share, len(kept))]) for share in SHARES},
    )


def _place(share: float, number: int) -> int:
    """Place of an order statistic, by the nearest rank, apart from the two ends."""
    nearest = int(np.ceil(share * number)) - 1
    return min(max(nearest, min(1, number - 1)), max(number - 2, 0))
