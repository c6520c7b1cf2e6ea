"""Local calendar days of a time zone, vectorised: what a "day" is in every feature."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

__all__ = ["DAY", "NEVER", "Zone", "zone"]

Int64s = npt.NDArray[np.int64]

DAY = 86_400_000_000
"""Microseconds in 24 hours."""
NEVER = int(np.iinfo(np.int64).min)
"""An instant that does not exist: the integer behind NaT."""

_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = -2_208_988_800, 4_102_444_800  # 1900 and 2100, in seconds


@dataclass(frozen=True, eq=False)
class Zone:
    """The offsets of a time zone between 1900 and 2100; constant before and after.

    Instants are integers: microseconds since 1970-01-01 UTC. Local times are the same count read
    on the wall clock. A local time that a clock change skips is read with the offset before the
    change, one that comes twice is its first occurrence: `fold=0` of the standard library.

    Attributes:
        transitions: int64 [n] instants at which the offset changes, ascending.
        offsets: int64 [n + 1] microseconds east of UTC before, between and after them.

    Example:
        >>> paris = zone("Europe/Paris")
        >>> instants = np.array(["2025-03-29T23:00", "2025-03-30T22:00"], "datetime64[us]")
        >>> (paris.days(instants.view(np.int64)) - 20_000).tolist()   # 30 and 31 March, 23 h apart
        [177, 178]
    """

    transitions: Int64s
    offsets: Int64s

    def to_local(self, instants: Int64s) -> Int64s:
        """Wall-clock microseconds of instants."""
        return instants + self.offsets[np.searchsorted(self.transitions, instants, side="right")]

    def to_utc(self, local: Int64s) -> Int64s:
        """Instants of wall-clock microseconds."""
        starts = self.transitions + np.maximum(self.offsets[:-1], self.offsets[1:])
        return local - self.offsets[np.searchsorted(starts, local, side="right")]

    def days(self, instants: Int64s) -> npt.NDArray[np.int32]:
        """Local calendar days since 1970-01-01 of instants."""
        return (self.to_local(instants) // DAY).astype(np.int32)

    def back(self, instants: Int64s, days: int) -> Int64s:
        """Instants at the same wall-clock time, that many local calendar days earlier."""
        return self.to_utc(self.to_local(instants) - days * DAY)


@lru_cache(maxsize=32)
def zone(name: str) -> Zone:
    """The offsets of a time zone by its name, read from the standard library's database.

    Assumes that no zone changes its offset twice within four days and comes back to it.

    Args:
        name: A name as `Europe/Paris`.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: no such zone.

    Example:
        >>> zone("UTC").offsets.tolist()
        [0]
        >>> zone("Europe/Nowhere")
        Traceback (most recent call last):
        zoneinfo._common.ZoneInfoNotFoundError: 'No time zone found with key Europe/Nowhere'
    """
    info = ZoneInfo(name)
    start = _EPOCH.replace(tzinfo=info)

    def offset(second: int) -> int:
        found = info.fromutc(start + timedelta(seconds=second)).utcoffset()
        assert found is not None
        return int(found / timedelta(microseconds=1))

    step = 4 * 86_400
    seconds = range(_FIRST, _LAST, step)
    transitions: list[int] = []
    offsets = [offset(seconds[0])]
    for second in seconds:
        here = offset(second)
        if here == offsets[-1]:
            continue
        low, high = second - step, second
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        transitions.append(high * 1_000_000)
        offsets.append(here)
    return Zone(np.array(transitions, np.int64), np.array(offsets, np.int64))
