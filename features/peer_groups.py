"""The distributions of peer groups at each prediction time: what ranks are read from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.arrays import Floats, Int32s, Int64s

__all__ = ["KEPT", "Compared", "Groups", "PeerGroups", "ordered"]

KEPT = 1024
"""Most values kept of a group. Of more, that many evenly spaced order statistics stand for all: a
rank then differs from that among all values by at most 1 / 1024."""

UInt64s = npt.NDArray[np.uint64]


def ordered(group: Int64s, values: Floats) -> UInt64s:
    """Group and value as one number, ascending by group, then value; both zeros are the same.

    Args:
        group: int64 [n], not negative, below 2**32.
        values: float32 [n], none missing.

    Example:
        >>> found = ordered(np.array([1, 0, 0, 0]), np.array([-2, 1, -1, 0], np.float32))
        >>> np.argsort(found).tolist()
        [2, 3, 1, 0]
    """
    bits = (values + np.float32(0)).view(np.uint32)
    flip = np.where(bits >> np.uint32(31), np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    return (group.astype(np.uint64) << np.uint64(32)) | (bits ^ flip)


@dataclass(frozen=True, eq=False)
class Compared:
    """The values of one feature in every group.

    Attributes:
        least: Groups with fewer values keep none of them: nothing is ever said from those.
        number: int32 [groups] people with a value.
        mean: float32 [groups] their mean, NaN where none are kept.
        begin: int64 [groups + 1] range of each group in `kept`.
        kept: float32, ascending within a group, at most :data:`KEPT` each.
    """

    least: int
    number: Int32s
    mean: Floats
    begin: Int64s
    kept: Floats = field(repr=False)

    @classmethod
    def of(cls, group: Int64s, values: Floats, groups: int, least: int) -> Compared:
        """The distribution of some values.

        Args:
            group: int64 [n] group of each person, from 0 to `groups` - 1.
            values: float32 [n], NaN = missing.
            groups: How many groups there are.
            least: Fewest values that are worth keeping.

        Example:
            >>> found = Compared.of(np.array([0, 0, 0, 1]), np.float32([3, 1, np.nan, 8]), 2, 2)
            >>> found.kept.tolist(), found.number.tolist(), found.mean.tolist()
            ([1.0, 3.0], [2, 1], [2.0, nan])
        """
        there = np.flatnonzero(~np.isnan(values))
        codes = np.sort(ordered(group[there], values[there]))
        of_code = (codes >> np.uint64(32)).astype(np.int64)
        number = np.bincount(of_code, minlength=groups)
        bits = codes.astype(np.uint32)
        flip = np.where(bits >> np.uint32(31), np.uint32(0x80000000), np.uint32(0xFFFFFFFF))
        found = (bits ^ flip).view(np.float32)
        # Added in ascending order in 64 bits: the same whatever the order of the people.
        total = np.bincount(of_code, weights=found, minlength=groups)
        said = number >= least
        mean = np.full(groups, np.nan, np.float32)
        mean[said] = (total[said] / number[said]).astype(np.float32)
        length = np.where(said, np.minimum(number, KEPT), 0)
        begin = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        start = np.cumsum(number) - number
        owner = np.repeat(np.arange(groups), length)
        step = np.arange(begin[-1]) - begin[owner]
        chosen = start[owner] + (2 * step + 1) * number[owner] // (2 * length[owner])
        return cls(least, number.astype(np.int32), mean, begin, found[chosen])

    @cached_property
    def codes(self) -> UInt64s:
        """`ordered` of `kept`, to look values up in."""
        owner = np.repeat(np.arange(len(self.number)), np.diff(self.begin))
        return ordered(owner, self.kept)

    def ranks(self, group: Int64s, values: Floats, least: int) -> Floats:
        """Share of a group's values that are lower, plus half the share that are the same.

        Args:
            group: int64 [rows], -1 = none.
            values: float32 [rows], NaN = missing.
            least: Values under which nothing is said.

        Returns:
            float32 [rows], NaN without a group, a value, or enough values in the group.
        """
        found = np.full(len(group), np.nan, np.float32)
        rows = np.flatnonzero(self._said(group, least) & ~np.isnan(values))
        if not len(rows):
            return found
        asked = ordered(group[rows], values[rows])
        if len(rows) > 1000:
            # Looking up in order goes once through the memory.
            order = np.argsort(asked)
            rows, asked = rows[order], asked[order]
        begin = self.begin[group[rows]]
        lower = np.searchsorted(self.codes, asked, "left") - begin
        upper = np.searchsorted(self.codes, asked, "right") - begin
        share = 0.5 * (lower + upper) / (self.begin[group[rows] + 1] - begin)
        found[rows] = share.astype(np.float32)
        return found

    def means(self, group: Int64s, least: int) -> Floats:
        """Mean of the group of each row; float32 [rows], NaN without enough values in it."""
        mean = np.append(self.mean, np.float32(np.nan))[group]
        return np.where(self._said(group, least), mean, np.float32(np.nan))

    def _said(self, group: Int64s, least: int) -> npt.NDArray[np.bool_]:
        return (group >= 0) & (np.append(self.number, 0)[group] >= least)


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of one comparison, by key, then prediction time.

    Attributes:
        names: The keys, sorted.
        key: int32 [groups] number of each group's key.
        instant: int64 [groups] prediction time, microseconds UTC.
        people: int32 [groups].
        of: The values of each feature compared.
    """

    names: tuple[str, ...]
    key: Int32s
    instant: Int64s
    people: Int32s
    of: Mapping[str, Compared]

    @cached_property
    def _times(self) -> Int64s:
        return np.unique(self.instant)

    @cached_property
    def _codes(self) -> Int64s:
        place = np.searchsorted(self._times, self.instant)
        return self.key.astype(np.int64) * max(len(self._times), 1) + place

    def find(self, names: tuple[str, ...], number: Int32s, instant: Int64s) -> Int64s:
        """The group of each row: that of its key at the latest instant at or before its own.

        Args:
            names: Keys by number.
            number: int32 [rows] number of each row's key, -1 = none.
            instant: int64 [rows] prediction times.

        Returns:
            int64 [rows], -1 = none.
        """
        if not len(self.key):
            return np.full(len(number), -1, np.int64)
        own = {name: place for place, name in enumerate(self.names)}
        known = np.array([*(own.get(name, -1) for name in names), -1], np.int64)
        key = known[number]
        before = np.searchsorted(self._times, instant, "right") - 1
        asked = key * len(self._times) + before
        found = np.searchsorted(self._codes, asked, "right") - 1
        fits = (key >= 0) & (before >= 0) & (found >= 0) & (self.key[found] == key)
        return np.where(fits, found, -1)


@dataclass(frozen=True, eq=False)
class PeerGroups:
    """The peer groups that the rows of a matrix were compared with; it travels with a model.

    A group of more than :data:`KEPT` people with a value is kept as evenly spaced order statistics,
    in training as in serving, so that both give the same rank. A group with fewer values than any
    feature needs keeps none: small groups could tell of a person.

    Attributes:
        by: The groups of each comparison, under :attr:`features.peers.Comparison.text`.
    """

    by: Mapping[str, Groups]

    @cached_property
    def hash(self) -> str:
        """Sha256 of all groups: the same, bit for bit."""
        digest = hashlib.sha256()
        for text, groups in sorted(self.by.items()):
            digest.update(json.dumps([text, groups.names]).encode())
            for array in (groups.key, groups.instant, groups.people):
                digest.update(np.ascontiguousarray(array).tobytes())
            for name, one in sorted(groups.of.items()):
                digest.update(json.dumps([name, one.least]).encode())
                for values in (one.number, one.mean, one.begin, one.kept):
                    digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def to_table(self) -> pa.Table:
        """One row for each comparison, feature, key and instant; `from_table` reads it."""
        from features.peer_table import write_table

        return write_table(self)

    @classmethod
    def from_table(cls, table: pa.Table) -> PeerGroups:
        """Read what `to_table` wrote, and check it against its hash.

        Raises:
            DataError: another table, or one that changed since it was written.

        Example:
            >>> PeerGroups.from_table(PeerGroups({}).to_table()).by
            {}
            >>> PeerGroups.from_table(pa.table({"a": [1]}))
            Traceback (most recent call last):
            features.errors.DataError: reading peer groups. Expected a table written by \
PeerGroups.to_table; got 1 column(s). Hint: Train again: jalon train.
        """
        from features.peer_table import read_table

        return read_table(table)

    def save(self, file: Path) -> None:
        """Write a Parquet file; it is there whole or not at all."""
        from features.peer_table import save

        save(self, file)

    @classmethod
    def load(cls, file: Path) -> PeerGroups:
        """Read what `save` wrote.

        Raises:
            DataError: no such file, not peer groups, or content changed since it was written.
        """
        from features.peer_table import load

        return load(file)
