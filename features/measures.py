"""What can be measured over a set of events: names, needs, units and what a missing value means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

__all__ = ["MEASURES", "PEER_OPS", "Measure", "Op"]


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
    MIN = 23
    STD = 24
    SLOPE = 25
    DISTINCT_CODES = 26
    DISTINCT_REFERENCES = 27
    ACTIVE_DAYS = 28
    LONGEST_GAP = 29
    TREND_RATIO = 30
    AHEAD = 31
    OVERLAP = 32
    SEQUENCES = 33
    SEQUENCE_DELAY = 34
    ANSWER_DELAY = 35
    DOMINANT_SHARE = 36
    DAY_OF_MONTH = 37
    RANK = 38
    GROUP_SIZE = 39
    GROUP_MEAN = 40


@dataclass(frozen=True)
class Measure:
    """One way to turn events into a number.

    Attributes:
        op: Its number in compiled plans.
        rule: The exact definition; `t` is the prediction time, days are local calendar days.
        unit: Unit of the result; `value` is that of the events' numeric value.
        windows: `any`, `days` (a number of days is needed), `all` (only the whole history), or `of`
            (none of its own: that of another feature).
        needs: Fields of the feature group that must be given.
        missing: When the result is missing; None when it never is. A window `since` an anchor
            that never happened makes every measure missing.
    """

    op: Op
    rule: str
    unit: Literal["count", "flag", "value", "days", "ratio", "share", "services", "cycle", "slope"]
    windows: Literal["any", "days", "all", "of"] = "any"
    needs: tuple[str, ...] = ("codes",)
    missing: str | None = None

    @property
    def empty(self) -> float:
        """The value of a person without any event: 0, or NaN where that would be a lie."""
        return 0.0 if self.missing is None else math.nan


_NONE = "no such event in the window"

MEASURES: dict[str, Measure] = {
    "count": Measure(Op.COUNT, "number of events in the window", "count"),
    "any": Measure(Op.ANY, "1 if an event lies in the window, else 0", "flag"),
    "sum": Measure(Op.SUM, "sum of the numeric values; 0 without any", "value"),
    "mean": Measure(Op.MEAN, "mean of the numeric values", "value", missing="no numeric value"),
    "max": Measure(Op.MAX, "largest numeric value", "value", missing="no numeric value"),
    "min": Measure(Op.MIN, "smallest numeric value", "value", missing="no numeric value"),
    "std": Measure(
        Op.STD,
        "standard deviation of the numeric values over the population (divided by their number)",
        "value",
        missing="fewer than two numeric values",
    ),
    "slope": Measure(
        Op.SLOPE,
        "least-squares slope of the numeric values over the local day of their event, in units of "
        "the value for 30 days",
        "slope",
        missing="numeric values on fewer than two days",
    ),
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
    "ahead": Measure(
        Op.AHEAD,
        "number of events due at or after t, already known before t",
        "count",
        windows="all",
        needs=("codes", "planned"),
    ),
    "active_days": Measure(
        Op.ACTIVE_DAYS, "number of local calendar days with an event in the window", "count"
    ),
    "longest_gap": Measure(
        Op.LONGEST_GAP,
        "largest number of days between successive days that have an event in the window",
        "days",
        missing="fewer than two days with an event",
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
    "trend_ratio": Measure(
        Op.TREND_RATIO,
        "events in [t - N days, t) divided by events in [t - 2N days, t - N days)",
        "ratio",
        windows="days",
        missing="no event in the window before",
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
        "events of `codes` in the window, later than its latest event of `among` that is not one",
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
    "overlap": Measure(
        Op.OVERLAP,
        "day of t less the later of two days: that of the oldest open spell of `codes` and that of "
        "the oldest open spell of `alongside`, both begun in the window; 0 unless both kinds have "
        "one open",
        "days",
        needs=("codes", "alongside"),
    ),
    "active_services": Measure(
        Op.ACTIVE_SERVICES, "number of distinct services with an event in the window", "services"
    ),
    "distinct_codes": Measure(
        Op.DISTINCT_CODES, "number of distinct codes with an event in the window", "count"
    ),
    "distinct_references": Measure(
        Op.DISTINCT_REFERENCES,
        "number of distinct references among the events of the window that have one",
        "count",
    ),
    "dominant_share": Measure(
        Op.DOMINANT_SHARE,
        "events of the service that has the most, divided by all events of the window",
        "share",
        missing=_NONE,
    ),
    "sequences": Measure(
        Op.SEQUENCES,
        "events in the window that another, `followed_by`, event follows before t, at the same "
        "time or later, at most `within` days after; with `match: reference`, one of the same "
        "reference (an event without a reference: one that has none either)",
        "count",
        needs=("codes", "followed_by", "within"),
    ),
    "sequence_delay": Measure(
        Op.SEQUENCE_DELAY,
        "mean number of days from those events to the first that follows each",
        "days",
        needs=("codes", "followed_by", "within"),
        missing="no event was followed",
    ),
    "answer_delay": Measure(
        Op.ANSWER_DELAY,
        "median number of days from the events of the window that were answered to the first "
        "answer at the same time or later; of an even number, the mean of the two in the middle",
        "days",
        needs=("codes", "answered_by"),
        missing="none was answered",
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
    "day_of_month": Measure(
        Op.DAY_OF_MONTH, "local day of the month of t, 1 to 31", "cycle", "all", needs=()
    ),
    "month_sin": Measure(
        Op.MONTH_SIN, "sine of the local month of t, January at 0", "cycle", "all", needs=()
    ),
    "month_cos": Measure(
        Op.MONTH_COS, "cosine of the local month of t, January at 0", "cycle", "all", needs=()
    ),
    "rank": Measure(
        Op.RANK,
        "share of the person's peers whose value of feature `of` is lower, plus half the share of "
        "those that have the same; peers without a value are left out, the person counts as one",
        "share",
        windows="of",
        needs=("codes", "peers", "of"),
        missing="no peer group, no value, or fewer than `least` peers with one",
    ),
    "group_size": Measure(
        Op.GROUP_SIZE,
        "number of people in the person's peer group",
        "count",
        windows="all",
        needs=("codes", "peers"),
        missing="no peer group, or fewer than `least` people in it",
    ),
    "group_mean": Measure(
        Op.GROUP_MEAN,
        "mean of feature `of` over the person's peers that have a value",
        "value",
        windows="of",
        needs=("codes", "peers", "of"),
        missing="no peer group, or fewer than `least` peers with a value",
    ),
}
"""Every measure by its name in the territory file.

Windows end before t and begin: `90d` at the same local time 90 calendar days earlier; `all`, the
whole history; `since`, at the latest `anchor` event known at t, that instant included; `week`,
`month`, `quarter`, `year` at the first local instant of the period that holds t. `last_week` and so
on are the whole period before that one, its end excluded.

Static events (no time) count only in the window `all`, and only for count, any, sum, mean, min,
max, std, last, share, active_services, distinct_codes, distinct_references and dominant_share;
every other measure needs a date and leaves them out.

The peers of a person at t are the rows of the cohort at the same prediction time whose latest dated
event of `codes` before t (at one instant: the latest recorded, then the last key in alphabetical
order) has the same code, service, reference or text_value, whichever `peers` says. When a row is
scored later, its peers are those of the latest prediction time at or before t that the model was
trained on.
"""

PEER_OPS = frozenset({Op.RANK, Op.GROUP_SIZE, Op.GROUP_MEAN})
"""Measures that compare people with each other: computed after all others, from their results."""
