"""Where each window begins and ends, as instants, for every prediction time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features.local_days import DAY, NEVER, Zone

__all__ = ["ALL", "PERIODS", "Window", "closed", "edges"]

Int64s = npt.NDArray[np.int64]
Window = int | str
"""Days, 0 for the whole history, or a period of the calendar (`month`, `last_month`)."""
ALL = 0

PERIODS = ("week", "month", "quarter", "year")
"""Periods of the calendar that a window may be; `last_` before one is the whole period before."""
_UNITS = {"month": 1, "quarter": 3, "year": 12}
"""Months of a period; a week is seven days from Monday."""


def closed(window: Window) -> bool:
    """Whether a window ends before the prediction time: a whole calendar period gone by."""
    return isinstance(window, str) and window.startswith("last_")


def edges(times: Int64s, windows: Sequence[Window], where: Zone) -> tuple[Int64s, Int64s]:
    """First instant of each window, and the instant that it ends before.

    Args:
        times: int64 [n] prediction times, microseconds UTC.
        windows: The windows.
        where: Time zone of days and periods.

    Returns:
        Two int64 arrays [n, windows].

    Example:
        >>> from features.local_days import zone
        >>> t = np.array(["2025-03-12T10:00"], "datetime64[us]")
        >>> found = edges(t.view(np.int64), [30, "month", "last_quarter"], zone("Europe/Paris"))
        >>> found[0].view("datetime64[us]").astype("datetime64[m]").astype(str).tolist()
        [['2025-02-10T10:00', '2025-02-28T23:00', '2024-09-30T22:00']]
        >>> found[1].view("datetime64[us]").astype("datetime64[m]").astype(str).tolist()
        [['2025-03-12T10:00', '2025-03-12T10:00', '2024-12-31T23:00']]
    """
    since = np.full((len(times), len(windows)), NEVER, np.int64)
    until = np.repeat(times[:, None], len(windows), axis=1)
    local = where.to_local(times)
    days = [(at, window) for at, window in enumerate(windows) if isinstance(window, int) and window]
    if days:
        # All at once: for one person's row the calls cost more than the work.
        back = np.array([window for _, window in days], np.int64) * DAY
        since[:, [at for at, _ in days]] = where.to_utc(local[:, None] - back)
    day = local // DAY
    for place, window in enumerate(windows):
        if isinstance(window, str):
            start, before = _period(day, window.removeprefix("last_"))
            since[:, place] = where.to_utc(start * DAY)
            if closed(window):
                until[:, place] = since[:, place]
                since[:, place] = where.to_utc(before * DAY)
    return since, until


def _period(day: Int64s, unit: str) -> tuple[Int64s, Int64s]:
    """First local day of the period that holds a day, and of the period before."""
    if unit == "week":
        start = day - (day + 3) % 7
        return start, start - 7
    months = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    length = _UNITS[unit]
    first = months - months % length
    starts = [m.astype("datetime64[M]").astype("datetime64[D]") for m in (first, first - length)]
    return starts[0].astype(np.int64), starts[1].astype(np.int64)
