"""Measures that count, sum and compare the events found: read each beside its rule.

The rules are those of :data:`features.measures.MEASURES`. `age` is the day of t less the day of an
event, so that the latest event has the smallest and the oldest the largest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from features.catalogue import Feature
from tests.features.reference_rows import Mask, Row
from tests.features.reference_windows import Window, days_before

NAN = math.nan


def std(found: pd.DataFrame) -> float:
    return found["value"].std(ddof=0) if found["value"].count() > 1 else NAN


def last(found: pd.DataFrame) -> float:
    values = found["value"].dropna()
    return NAN if values.empty else values.iloc[-1]


def dominant_share(found: pd.DataFrame) -> float:
    return found["service"].value_counts(normalize=True).max() if len(found) else NAN


OF_EVENTS: dict[str, Callable[[pd.DataFrame], float]] = {
    "count": lambda found: len(found),
    "any": lambda found: 1 if len(found) else 0,
    "sum": lambda found: found["value"].sum(),
    "mean": lambda found: found["value"].mean(),
    "max": lambda found: found["value"].max(),
    "min": lambda found: found["value"].min(),
    "std": std,
    "last": last,
    "active_services": lambda found: found["service"].nunique(),
    "distinct_codes": lambda found: found["code"].nunique(),
    "distinct_references": lambda found: found["reference"].nunique(),
    "dominant_share": dominant_share,
}
"""Measures of the events found, static ones included."""


def slope(found: pd.DataFrame) -> float:
    points = found[found["value"].notna()]
    if points["day"].nunique() < 2:
        return NAN
    day, value = points["day"] - points["day"].mean(), points["value"] - points["value"].mean()
    return 30 * (day * value).sum() / (day**2).sum()


def gaps(found: pd.DataFrame) -> pd.Series:
    """Days between successive days that have an event, after a first that is missing."""
    return found["day"].drop_duplicates().sort_values().diff()


OF_DATED: dict[str, Callable[[pd.DataFrame], float]] = {
    "slope": slope,
    "days_since_last": lambda found: found["age"].min(),
    "days_since_first": lambda found: found["age"].max(),
    "tenure": lambda found: found["age"].max(),
    "active_days": lambda found: found["day"].nunique(),
    "longest_gap": lambda found: gaps(found).max(),
    "mean_gap": lambda found: gaps(found).mean(),
    "current_over_usual_gap": lambda found: found["age"].min() / gaps(found).mean(),
}
"""Measures of the events found that have a time."""

OF_DUE: dict[str, Callable[[pd.DataFrame], float]] = {
    "days_to_next": lambda due: due["day"].min(),
    "ahead": lambda due: len(due),
}
"""Measures of the events known that lie ahead."""


def before(row: Row, f: Feature, window: Window) -> int:
    """Number of events in as many days before the window."""
    assert window.since is not None
    assert f.window_days is not None
    twice = days_before(row.t, 2 * f.window_days, row.zone)
    return (row.measured(f) & row.inside(Window(twice, window.since))).sum()


def trend(row: Row, f: Feature, window: Window, found: Mask) -> float:
    return found.sum() - before(row, f, window)


def trend_ratio(row: Row, f: Feature, window: Window, found: Mask) -> float:
    earlier = before(row, f, window)
    return found.sum() / earlier if earlier else NAN


def share(row: Row, f: Feature, window: Window, found: Mask) -> float:
    among = row.among(f, window).sum()
    return found.sum() / among if among else NAN


def breaks(row: Row, f: Feature, window: Window) -> Mask:
    """Which dated events of `among` are not of the feature.

    One that is of its codes and values, but about another matter, is neither.
    """
    return row.among(f, window) & row.dated & ~row.one_of(f)


def streak(times: pd.Series, breaks: pd.Series) -> float:
    return len(times) if breaks.empty else (times > breaks.max()).sum()


def current(times: pd.Series, breaks: pd.Series) -> float:
    if times.empty and breaks.empty:
        return NAN
    return 1 if breaks.empty or times.max() >= breaks.max() else 0


IN_WINDOW: dict[str, Callable[[Row, Feature, Window, Mask], float]] = {
    "trend": trend,
    "trend_ratio": trend_ratio,
    "share": share,
}
"""Measures that set the events found beside others, in the same window or the one before."""

OF_TIMES: dict[str, Callable[[pd.Series, pd.Series], float]] = {
    "streak": streak,
    "current": current,
}
"""Measures of the times of the dated events found, and of those that break their row."""
