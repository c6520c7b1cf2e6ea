"""How each service writes dates: whole columns at a time, as Arrow strings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.clock import PAST, SPAN, START, local_parts


@dataclass(frozen=True)
class Dialect:
    """One way of writing days and instants of local time.

    Attributes:
        day: `strftime` pattern of a day.
        between: what stands between day and hour.
        after: what follows hours and minutes (seconds).
        offset: whether the offset from UTC is written.
    """

    day: str
    between: str = " "
    after: str = ""
    offset: bool = False

    def days(self, minutes: np.ndarray) -> pa.Array:
        """Write UTC minutes as local days; negative of `NOTHING` and below gives null.

        >>> FRENCH.days(np.array([-60, 600])).to_pylist()
        ['01/01/2023', '01/01/2023']
        """
        here = minutes > NOTHING
        day, _ = local_parts(np.where(here, minutes, 0))
        text = _day_texts(self.day).take(pa.array(day + PAST))
        return pc.if_else(pa.array(here), text, pa.scalar(None, pa.string()))

    def instants(self, minutes: np.ndarray) -> pa.Array:
        """Write UTC minutes as local instants.

        >>> ISO_OFFSET.instants(np.array([600, NOTHING])).to_pylist()
        ['2023-01-01T11:00:00+01:00', None]
        """
        here = minutes > NOTHING
        safe = np.where(here, minutes, 0)
        day, wall = local_parts(safe)
        parts = [
            _day_texts(self.day).take(pa.array(day + PAST)),
            _minute_texts().take(wall),
        ]
        text = join(*parts, self.between)
        tail = pa.scalar(self.after)
        if self.offset:
            summer = (day * 1440 + wall - safe) > 60
            text = join(text, tail, pc.if_else(pa.array(summer), "+02:00", "+01:00"), "")
        elif self.after:
            text = join(text, tail, "")
        return pc.if_else(pa.array(here), text, pa.scalar(None, pa.string()))


def birthdays(days: np.ndarray, pattern: str) -> pa.Array:
    """Write day numbers of any past, for dates of birth.

    >>> birthdays(np.array([-365 * 40]), "%d/%m/%Y").to_pylist()
    ['11/01/1983']
    """
    epoch = (START - date(1970, 1, 1)).days
    return pc.strftime(pa.array((days + epoch) * 86400).cast(pa.timestamp("s")), pattern)


join: Any = pc.binary_join_element_wise
"""Strings side by side, row by row (its published types know neither lists nor mixed arguments)."""
NOTHING = -(10**8)
"""An instant that is not there."""

FRENCH = Dialect("%d/%m/%Y")
ISO = Dialect("%Y-%m-%d", after=":00")
ISO_OFFSET = Dialect("%Y-%m-%d", between="T", after=":00", offset=True)


@cache
def _day_texts(pattern: str) -> pa.Array:
    first = datetime(START.year, START.month, START.day) - timedelta(days=PAST)
    return pa.array([(first + timedelta(days=i)).strftime(pattern) for i in range(SPAN)])


@cache
def _minute_texts() -> pa.Array:
    return pa.array([f"{m // 60:02d}:{m % 60:02d}" for m in range(1440)])


def timestamps(minutes: np.ndarray) -> pa.Array:
    """UTC minutes as `timestamp[us, tz=UTC]`.

    >>> timestamps(np.array([90, NOTHING])).to_pylist()[1] is None
    True
    """
    start = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    micro = np.where(minutes > NOTHING, start + minutes * 60_000_000, 0)
    return pa.array(micro, mask=minutes <= NOTHING).cast(pa.timestamp("us", "UTC"))


def codes(values: np.ndarray, names: tuple[str, ...]) -> pa.Array:
    """Small numbers as the service's codes; a negative number is null.

    >>> codes(np.array([1, 0, -1]), ("A", "B")).to_pylist()
    ['B', 'A', None]
    """
    return pa.array(names).take(pa.array(values, mask=values < 0))


def numbered(prefix: str, numbers: np.ndarray, width: int = 7) -> pa.Array:
    """Keys such as `R0000012`.

    >>> numbered("R", np.array([12])).to_pylist()
    ['R0000012']
    """
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
    return join(pa.scalar(prefix), digits, "")


def decimals(values: np.ndarray, mark: str, places: int, here: np.ndarray) -> pa.Array:
    """Non-negative whole numbers written with decimals, null where not `here`.

    >>> decimals(np.array([608, 0]), ",", 2, np.array([True, False])).to_pylist()
    ['608,00', None]
    """
    text = join(pa.array(values).cast(pa.string()), pa.scalar("0" * places), mark)
    return pc.if_else(pa.array(here), text, pa.scalar(None, pa.string()))
