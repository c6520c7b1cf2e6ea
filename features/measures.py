"""What can be measured over a set of events: names, needs, units and what a missing value means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

__all__ = ["MEASURES", "Measure", "Op"]


class Op(IntEnum):
    """Number of each measure in compiled plans; append only, saved matrices do not hold them."""

    COUNT = 0
    ANY = 1
    SUM = 2
    MEAN = 3
    MAX = 4
    LAST = 5
    DAYS_SINCE_LAST = 6
    DAYS_SINCE_FIRST = 7
    DAYS_TO_NEXT = 8
    MEAN_GAP = 9
    CURRENT_OVER_USUAL_GAP = 10
    TREND = 11
    SHARE = 12
    STREAK = 13
    CURRENT = 14
    OPEN_SPELLS = 15
    OPEN_SPELL_AGE = 16
    DAYS_TO_SPELL_END = 17
    ACTIVE_SERVICES = 18
    UNANSWERED = 19
    DAYS_UNANSWERED = 20
    MONTH_SIN = 21
    MONTH_COS = 22


@dataclass(frozen=True)
class Measure:
    """One way to turn events into a number.

    Attributes:
        op: Its number in compiled plans.
        rule: The exact definition; `t` is the prediction time, days are local calendar days.
        unit: Unit of the result; `value` is that of the events' numeric value.
        windows: `any`, `days` (a number of days is needed) or `all` (only the whole history).
        needs: Fields of the feature group that must be given.
        missing: When the result is missing; None when it never is.
    """

    op: Op
    rule: str
    unit: Literal["count", "flag", "value", "days", "ratio", "share", "services", "cycle"]
    windows: Literal["any", "days", "all"] = "any"
    needs: tuple[str, ...] = ("codes",)
    missing: str | None = None


_NONE = "no such event in the window"

MEASURES: dict[str, Measure] = {
    "count": Measure(Op.COUNT, "number of events in the window", "count"),
    "any": Measure(Op.ANY, "1 if an event lies in the window, else 0", "flag"),
    "sum": Measure(Op.SUM, "sum of the numeric values; 0 without any", "value"),
    "mean": Measure(Op.MEAN, "mean of the numeric values", "value", missing="no numeric value"),
    "max": Measure(Op.MAX, "largest numeric value", "value", missing="no numeric value"),
    "last": Measure(
        Op.LAST,
        "numeric value of the latest event that has one; at the same time the latest recorded, "
        "then the largest",
        "value",
        missing="no numeric value",
    ),
    "days_since_last": Measure(
        Op.DAYS_SINCE_LAST, "day of t less day of the latest event", "days", missing=_NONE
    ),
    "days_since_first": Measure(
        Op.DAYS_SINCE_FIRST, "day of t less day of the earliest event", "days", missing=_NONE
    ),
    "tenure": Measure(
        Op.DAYS_SINCE_FIRST, "day of t less day of the earliest event", "days", missing=_NONE
    ),
    "days_to_next": Measure(
        Op.DAYS_TO_NEXT,
        "day of the first event due at or after t, already known before t, less day of t",
        "days",
        windows="all",
        needs=("codes", "planned"),
        missing="nothing known ahead",
    ),
    "mean_gap": Measure(
        Op.MEAN_GAP,
        "mean number of days between successive days that have an event in the window",
        "days",
        missing="fewer than two days with an event",
    ),
    "current_over_usual_gap": Measure(
        Op.CURRENT_OVER_USUAL_GAP,
        "days since the latest event, divided by mean_gap",
        "ratio",
        missing="fewer than two days with an event",
    ),
    "trend": Measure(
        Op.TREND,
        "events in [t - N days, t) less events in [t - 2N days, t - N days)",
        "count",
        windows="days",
    ),
    "share": Measure(
        Op.SHARE,
        "events of `codes` divided by events of `among`, both in the window",
        "share",
        needs=("codes", "among"),
        missing="no event of `among` in the window",
    ),
    "streak": Measure(
        Op.STREAK,
        "events of `codes` in the window, later than the latest event of `among` that is not one",
        "count",
        needs=("codes", "among"),
    ),
    "current": Measure(
        Op.CURRENT,
        "1 if the latest event of `among` is one of `codes`, else 0; at the same time `codes` wins",
        "flag",
        needs=("codes", "among"),
        missing="no event of `among` in the window",
    ),
    "open_spells": Measure(
        Op.OPEN_SPELLS,
        "spells begun in the window whose end_time is null or not before t, and not closed by a "
        "`closed_by` event of the same reference before t",
        "count",
    ),
    "open_spell_age": Measure(
        Op.OPEN_SPELL_AGE,
        "day of t less first day of the oldest open spell",
        "days",
        missing="no open spell",
    ),
    "days_to_spell_end": Measure(
        Op.DAYS_TO_SPELL_END,
        "day of the nearest planned end among open spells less day of t; when none is open, the "
        "latest planned end that passed without a closing event (zero or negative), at most "
        "`within` days ago when `within` is given",
        "days",
        missing="no open spell with a planned end, and none that lapsed",
    ),
    "active_services": Measure(
        Op.ACTIVE_SERVICES, "number of distinct services with an event in the window", "services"
    ),
    "unanswered": Measure(
        Op.UNANSWERED,
        "events in the window, at least `within` days old, that no `answered_by` event answers "
        "before t: one of the same reference, whatever its time; or, by person and for events "
        "without a reference, one at the same time or later",
        "count",
        needs=("codes", "answered_by"),
    ),
    "days_unanswered": Measure(
        Op.DAYS_UNANSWERED,
        "day of t less day of the oldest unanswered event",
        "days",
        needs=("codes", "answered_by"),
        missing="nothing unanswered",
    ),
    "month_sin": Measure(
        Op.MONTH_SIN, "sine of the local month of t, January at 0", "cycle", "all", needs=()
    ),
    "month_cos": Measure(
        Op.MONTH_COS, "cosine of the local month of t, January at 0", "cycle", "all", needs=()
    ),
}
"""Every measure by its name in the territory file.

Static events (no time) count only in the window `all`, and only for count, any, sum, mean, max,
last, share and active_services; every other measure needs a date and leaves them out.
"""
