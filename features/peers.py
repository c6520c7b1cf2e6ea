"""People compared with their peers at the same prediction time: whose peers, ranks and means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from features.arrays import Floats, Int64s
from features.catalogue import Catalogue, Feature
from features.errors import ConfigurationError, DataError
from features.measures import MEASURES, Op
from features.peer_groups import Compared, Groups, PeerGroups
from features.peer_keys import Comparison, Keys, comparisons, peer_keys

__all__ = [
    "Comparison",
    "Keys",
    "PeerGroups",
    "compare",
    "comparisons",
    "fewest",
    "least_of",
    "narrow",
    "peer_keys",
    "spread",
]


def narrow(catalogue: Catalogue) -> Catalogue:
    """The columns that compare peers and those they compare: all that `compare` looks at."""
    wanted = {place for places in comparisons(catalogue).values() for place in places}
    wanted |= {catalogue.places[name] for name in _compared(catalogue)}
    return catalogue.only(catalogue.names[place] for place in sorted(wanted))


def compare(
    catalogue: Catalogue,
    values: Floats,
    keys: Sequence[Keys],
    instants: Int64s,
    subjects: Int64s,
    groups: PeerGroups | None = None,
) -> PeerGroups:
    """Write the columns that compare peers; the other columns must be there.

    Without `groups`, the peers of a row are the rows given with the same key and instant, each
    person once. With `groups`, those of the latest instant at or before the row's at which the key
    had any. A row is therefore never compared with later knowledge. Whoever was not among the rows
    that the groups were made from is compared with them all the same, and is not counted.

    Args:
        catalogue: The columns of `values`.
        values: float32 [rows, columns], changed in place.
        keys: From `peer_keys`, one for each of `comparisons(catalogue)`.
        instants: int64 [rows] prediction times, microseconds UTC.
        subjects: int64 [rows].
        groups: Those that a model was trained with; None makes them from these rows.

    Returns:
        The groups used.

    Raises:
        DataError: `groups` were made with another catalogue.
        ConfigurationError: a feature to be compared is not in the catalogue.

    Example:
        >>> from dataclasses import replace
        >>> of = Feature("missed.count.90d", "missed", "count", 90, "contact",
        ...              {"fr": "Absences", "en": "Absences"}, "count", ("A",))
        >>> rank = replace(of, name="peers.rank.missed.count.90d", group="peers", measure="rank",
        ...                peers="service", of=of.name, least=2)
        >>> size = replace(rank, name="peers.group_size.all", measure="group_size", of=None)
        >>> catalogue = Catalogue((of, rank, size))
        >>> values = np.array([[0, 0, 0], [2, 0, 0], [2, 0, 0], [9, 0, 0]], np.float32)
        >>> keys = [Keys.of(["north", "north", "north", None])]
        >>> groups = compare(catalogue, values, keys, np.zeros(4, np.int64), np.arange(4))
        >>> values.astype(float).round(3).tolist()
        [[0.0, 0.167, 3.0], [2.0, 0.667, 3.0], [2.0, 0.667, 3.0], [9.0, nan, nan]]
        >>> later = np.array([[1, 0, 0]], np.float32)
        >>> key, time, person = [Keys.of(["north"])], np.array([7]), np.array([8])
        >>> groups is compare(catalogue, later, key, time, person, groups)
        True
        >>> later.astype(float).round(3).tolist()
        [[1.0, 0.333, 3.0]]
        >>> compare(catalogue, later, key, time, person, PeerGroups({}))
        Traceback (most recent call last):
        features.errors.DataError: comparing peers: 1 of 1 comparison(s) have no groups. Expected \
groups made with the same catalogue; got those of another. Hint: Train again: jalon train.
    """
    wanted = comparisons(catalogue)
    _compared(catalogue)
    if groups is None:
        groups = _made(catalogue, values, keys, instants, subjects)
    _check(catalogue, groups)
    for (one, places), known in zip(wanted.items(), keys, strict=True):
        found = groups.by[one.text]
        group = found.find(known.names, known.number, instants)
        for place in places:
            values[:, place] = _column(catalogue, catalogue.features[place], values, found, group)
    return groups


def _compared(catalogue: Catalogue) -> set[str]:
    """The features that are compared; they must be in the same catalogue."""
    compared = {one.of for one in catalogue.features if one.among_peers and one.of is not None}
    missing = sorted(compared - set(catalogue.places))
    if missing:
        raise ConfigurationError(
            f"comparing peers: no feature {', '.join(missing)}",
            expected="every feature named by 'of' in the same catalogue",
            got=f"{len(missing)} missing",
            hint="Add them, or leave out the features that compare them.",
        )
    return compared


def _column(
    catalogue: Catalogue, feature: Feature, values: Floats, groups: Groups, group: Int64s
) -> Floats:
    op = MEASURES[feature.measure].op
    if op == Op.GROUP_SIZE or feature.of is None:
        people = np.append(groups.people, 0).astype(np.float32)
        return np.where(people[group] > 0, people[group], np.float32(np.nan))
    compared = groups.of[feature.of]
    if op == Op.GROUP_MEAN:
        return compared.means(group, feature.least)
    return compared.ranks(group, values[:, catalogue.places[feature.of]], feature.least)


def _least(catalogue: Catalogue, places: Sequence[int]) -> dict[str, int]:
    """The features that a comparison compares, each with the fewest values any column needs."""
    least: dict[str, int] = {}
    for place in places:
        feature = catalogue.features[place]
        if feature.of is not None and MEASURES[feature.measure].op != Op.GROUP_SIZE:
            least[feature.of] = min(least.get(feature.of, feature.least), feature.least)
    return least


def _check(catalogue: Catalogue, groups: PeerGroups) -> None:
    wanted = comparisons(catalogue)
    unlike = 0
    for one, places in wanted.items():
        found = groups.by.get(one.text)
        least = _least(catalogue, places)
        unlike += found is None or any(
            name not in found.of or found.of[name].least > few for name, few in least.items()
        )
    if unlike:
        raise DataError(
            f"comparing peers: {unlike} of {len(wanted)} comparison(s) have no groups",
            expected="groups made with the same catalogue",
            got="those of another",
            hint="Train again: jalon train.",
        )


def _made(
    catalogue: Catalogue,
    values: Floats,
    keys: Sequence[Keys],
    instants: Int64s,
    subjects: Int64s,
) -> PeerGroups:
    once = _once(subjects, instants)
    by = {}
    for (one, places), known in zip(comparisons(catalogue).items(), keys, strict=True):
        few = fewest(catalogue, one)
        rows = once[known.number[once] >= 0]
        # A key that never had enough people is not kept at all: it might tell of one of them.
        _, times = np.unique(instants[rows], return_inverse=True)
        code = known.number[rows].astype(np.int64) * max(len(rows), 1) + times.reshape(-1)
        present, people = np.unique(code, return_counts=True)
        large = np.unique(present[people >= few] // max(len(rows), 1))
        rows = rows[np.isin(known.number[rows], large)]
        least = _least(catalogue, places)
        columns = {name: values[rows, catalogue.places[name]] for name in least}
        found = _spread(Keys(known.names, known.number[rows]), instants[rows], columns, least)
        by[one.text] = replace(found, people=np.where(found.people < few, 0, found.people))
    return PeerGroups(by)


def spread(
    known: Keys,
    instants: Int64s,
    subjects: Int64s,
    values: Mapping[str, Floats],
    least: Mapping[str, int],
) -> Groups:
    """The groups of one comparison from its rows, the small ones among them.

    Nothing is left out here, for a part of the rows cannot tell whether a key has enough people at
    another time: whoever puts the parts together must set `people` under the fewest to 0, and drop
    the keys that never had enough.

    Args:
        known: The key of each row.
        instants: int64 [rows] prediction times, microseconds UTC.
        subjects: int64 [rows].
        values: The features compared, float32 [rows] each.
        least: Fewest values that are worth keeping, of each feature compared.
    """
    once = _once(subjects, instants)
    rows = once[known.number[once] >= 0]
    columns = {name: column[rows] for name, column in values.items()}
    return _spread(Keys(known.names, known.number[rows]), instants[rows], columns, least)


def fewest(catalogue: Catalogue, one: Comparison) -> int:
    """People under which a group of a comparison is not kept: the least of its columns."""
    return min(catalogue.features[place].least for place in comparisons(catalogue)[one])


def least_of(catalogue: Catalogue, one: Comparison) -> dict[str, int]:
    """The features that a comparison compares, each with the fewest values any column needs."""
    return _least(catalogue, comparisons(catalogue)[one])


def _spread(
    known: Keys, instants: Int64s, values: Mapping[str, Floats], least: Mapping[str, int]
) -> Groups:
    """The groups of rows that all have a key, each person once at an instant."""
    names = sorted({known.names[n] for n in np.unique(known.number).tolist()})
    own = {name: place for place, name in enumerate(names)}
    sorted_key = np.array([own.get(name, -1) for name in known.names], np.int64)
    times, instant = np.unique(instants, return_inverse=True)
    many = max(len(times), 1)
    code = sorted_key[known.number] * many + instant.reshape(-1)
    present, group, people = np.unique(code, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    return Groups(
        tuple(names),
        (present // many).astype(np.int32),
        times[present % many] if len(present) else np.zeros(0, np.int64),
        people.astype(np.int32),
        {name: Compared.of(group, values[name], len(present), few) for name, few in least.items()},
    )


def _once(subjects: Int64s, instants: Int64s) -> Int64s:
    """Positions of rows, each person and instant once."""
    order = np.lexsort((instants, subjects))
    subject, instant = subjects[order], instants[order]
    same = (subject[1:] == subject[:-1]) & (instant[1:] == instant[:-1])
    return np.sort(order[np.concatenate([[True], ~same])]) if len(order) else order
