"""Who is at risk at each prediction time, as known then, and what became of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.errors import DataError
from features.local_days import DAY
from features.settings import FeaturesSettings
from training import history as h
from training.columns import micros, texts_of, valid
from training.history import History, Longs
from training.kernels import (
    ANCHOR,
    AT_RISK,
    BROKEN,
    CENSORED,
    FAR,
    NO_RUPTURE,
    OPENS,
    PRIOR,
    RUPTURE,
    outcomes_of_rows,
    status_of_rows,
)
from training.rupture import RULES, parameters
from training.schedule import (
    anchored_times,
    end_of_observation,
    instant,
    local_day,
    month_starts,
    prediction_bounds,
)
from training.settings import AnchoredSchedule, TrainingSettings

if TYPE_CHECKING:
    from features.timelines import Timelines

__all__ = ["COHORT", "OUTCOMES", "Cohort", "Step", "build_cohort", "open_pathways"]

OUTCOMES = ("rupture", "competing", "no_rupture", "censored", "prior")
_FIELDS: list[Any] = [
    pa.field("subject_id", pa.int64()),
    pa.field("prediction_time", pa.timestamp("us")),
    pa.field("outcome", pa.string()),
    pa.field("onset_time", pa.timestamp("us")),
    pa.field("onset_rule", pa.string()),
    pa.field("anchor_time", pa.timestamp("us")),
    pa.field("label", pa.float64()),
]
COHORT = pa.schema(_FIELDS)
PATHWAYS = pa.schema([_FIELDS[0], _FIELDS[1], _FIELDS[5]])


@dataclass(frozen=True)
class Step:
    """One line of the attrition table: what was asked, and the rows and people left."""

    name: str
    rows: int
    people: int


@dataclass(frozen=True)
class Cohort:
    """Rows at risk, as known at each prediction time, with their outcome.

    Attributes:
        table: Schema :data:`COHORT`, sorted by person and prediction time. `label` is 1 for
            rupture, 0 for no_rupture and missing otherwise; `onset_time` and `onset_rule` are those
            of the first onset within the horizon of rows that end in rupture. `anchor_time` is the
            opening of the pathway, or the anchor event of an anchored schedule, as known then.
        attrition: Rows and people left after each step.
    """

    table: pa.Table
    attrition: tuple[Step, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the rows, hexadecimal: the same rows give the same text."""
        digest = hashlib.sha256()
        for name in self.table.column_names:
            column = self.table[name]
            digest.update(f"{name}:{column.type}:{len(column)}".encode())
            digest.update(valid(column).tobytes())
            if pa.types.is_timestamp(column.type):
                digest.update(micros(column, 0).tobytes())
            elif pa.types.is_string(column.type):
                digest.update("\x00".join(text or "" for text in texts_of(column)).encode())
            else:
                digest.update(column.to_numpy().tobytes())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Rows by outcome, all five named."""
        return {name: _count(self.table["outcome"], name) for name in OUTCOMES}

    def rules(self) -> dict[str, int]:
        """Rows that end in rupture, by the rule of their first onset."""
        found = {rule: _count(self.table["onset_rule"], rule) for rule in RULES}
        return {rule: rows for rule, rows in found.items() if rows}


def build_cohort(
    timelines: Timelines | pa.Table, settings: TrainingSettings, features: FeaturesSettings
) -> Cohort:
    """People at risk at each prediction time of the territory's schedule, and their outcomes.

    A person is at risk at *t* when, by the newest versions known at *t* (``recorded_at < t``) of
    events before *t*, the pathway is open and not in rupture. The outcome is read from the newest
    versions of all: the first of a rupture onset or a competing exit in ``[t, t + horizon)``; both
    at one instant count as a rupture. Horizons that run past the end of observation are censored
    whatever was seen. A pathway that had in truth not begun, ended or broken before *t*, unknown to
    anyone then, is `prior`: scored in service, but without a future to learn from.

    It is assumed that an event missing from the timelines did not happen: services that enter
    events long after the end of observation make late rows look safer than they are.

    Args:
        timelines: Timelines, or a table of `features.events.EVENTS` with all versions.
        settings: The `training:` section.
        features: The `features:` section.

    Returns:
        The rows, and how many rows and people each step left.

    Raises:
        DataError: no row is at risk, with the step that emptied the cohort.

    Example:
        >>> from training.example import example_events, example_features
        >>> cohort = build_cohort(example_events(), TrainingSettings(), example_features())
        >>> cohort.table["outcome"].to_pylist()
        ['no_rupture', 'rupture', 'rupture', 'rupture']
        >>> build_cohort(example_events().slice(0, 0), TrainingSettings(), example_features())
        Traceback (most recent call last):
        features.errors.DataError: building the cohort: no row is left at step '...
    """
    history = h.read_history(h.events_of(timelines), settings, features)
    person, time = _candidates(history, settings, features)
    status, opened, anchor = status_of_rows(history.events, parameters(settings), person, time)
    steps = [_step("prediction times", person, time)]
    is_open = (status == BROKEN) | (status == AT_RISK)
    asked = is_open & _on_schedule(time, anchor, settings, features)
    keep = asked & (status == AT_RISK)
    if _anchored(settings):
        steps.append(_step("open pathway", person[is_open], time[is_open]))
        steps.append(_step("day of the schedule", person[asked], time[asked]))
    else:
        steps.append(_step("open pathway", person[asked], time[asked]))
    steps.append(_step("not in rupture: at risk", person[keep], time[keep]))
    emptied = next((step.name for step in steps if step.rows == 0), None)
    if emptied is not None:
        raise DataError(
            f"building the cohort: no row is left at step '{emptied}'",
            expected="at least one person at risk at one prediction time",
            got="0 rows",
            hint="Check cohort, rupture and observation in the territory file.",
        )
    person, time, opened, anchor = person[keep], time[keep], opened[keep], anchor[keep]
    outcome, onset, rule = outcomes_of_rows(
        history.events,
        parameters(settings),
        person,
        time,
        settings.horizon_days * DAY,
        end_of_observation(features),
    )
    for name, keep in (
        ("still so in truth (not prior)", outcome != PRIOR),
        ("horizon observed (not censored)", outcome < CENSORED),
        ("no competing exit first: labelled", (outcome == RUPTURE) | (outcome == NO_RUPTURE)),
    ):
        steps.append(_step(name, person[keep], time[keep]))
    label = np.where(outcome == RUPTURE, 1.0, 0.0)
    unlabelled = (outcome != RUPTURE) & (outcome != NO_RUPTURE)
    broken = outcome == RUPTURE
    rules = np.array(RULES, object)[rule]
    table = pa.table(
        [
            pa.array(history.subjects[person]),
            pa.array(time.view("datetime64[us]")),
            pa.array(np.array(OUTCOMES, object)[outcome], pa.string()),
            pa.array(np.where(broken, onset, 0).view("datetime64[us]"), mask=~broken),
            pa.array(rules, pa.string(), mask=~broken),
            pa.array((anchor if _anchored(settings) else opened).view("datetime64[us]")),
            pa.array(label, mask=unlabelled),
        ],
        schema=COHORT,
    )
    return Cohort(table, tuple(steps))


def open_pathways(
    timelines: Timelines | pa.Table,
    at: datetime | date | np.datetime64 | str,
    settings: TrainingSettings,
    features: FeaturesSettings,
) -> pa.Table:
    """The people to score at an instant: pathway open and not in rupture, as known then.

    Eligibility is decided by the code that builds the training cohort. With an anchored schedule,
    the local day must lie `from_day` to `to_day` days after the person's anchor, on any of them.

    Args:
        timelines: Timelines, or a table of `features.events.EVENTS` with all versions.
        at: A date (00:00 local) or an instant (UTC when it has no zone).
        settings: The `training:` section.
        features: The `features:` section.

    Returns:
        Columns subject_id, prediction_time, anchor_time; sorted by person; may be empty.

    Example:
        >>> from training.example import example_events, example_features
        >>> open_pathways(
        ...     example_events(), date(2024, 3, 15), TrainingSettings(), example_features()
        ... ).num_rows
        1
    """
    history = h.read_history(h.events_of(timelines), settings, features)
    person = np.arange(len(history.subjects))
    time = np.full(len(person), instant(at, features.timezone), np.int64)
    status, opened, anchor = status_of_rows(history.events, parameters(settings), person, time)
    keep = (status == AT_RISK) & _on_schedule(time, anchor, settings, features, any_day=True)
    shown = anchor if _anchored(settings) else opened
    return pa.table(
        [
            pa.array(history.subjects[keep]),
            pa.array(time[keep].view("datetime64[us]")),
            pa.array(shown[keep].view("datetime64[us]")),
        ],
        schema=PATHWAYS,
    )


def _count(column: pa.ChunkedArray[Any], value: str) -> int:
    return int((texts_of(column) == value).sum())


def _anchored(settings: TrainingSettings) -> bool:
    return isinstance(settings.cohort.schedule, AnchoredSchedule)


def _step(name: str, person: Longs, time: Longs) -> Step:
    return Step(name, len(time), len(np.unique(person)))


def _candidates(
    history: History, settings: TrainingSettings, features: FeaturesSettings
) -> tuple[Longs, Longs]:
    """Every (person, prediction time) the schedule could ask for, sorted."""
    first, last = prediction_bounds(settings, features)
    schedule = settings.cohort.schedule
    if not isinstance(schedule, AnchoredSchedule):
        opening = np.flatnonzero(history.events.flags & OPENS)
        people = np.unique(np.searchsorted(history.events.offsets, opening, side="right") - 1)
        times = month_starts(first, last, features.timezone)
        return np.repeat(people, len(times)), np.tile(times, len(people))
    rows = np.flatnonzero(history.events.flags & ANCHOR)
    owner = np.searchsorted(history.events.offsets, rows, side="right") - 1
    where, times = anchored_times(history.events.time[rows], schedule, features.timezone)
    within = (times >= first) & (times < last)
    pairs = np.unique(np.stack([owner[where[within]], times[within]], axis=1), axis=0)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def _on_schedule(
    time: Longs,
    anchor: Longs,
    settings: TrainingSettings,
    features: FeaturesSettings,
    *,
    any_day: bool = False,
) -> npt.NDArray[np.bool_]:
    """Rows whose day is one of the schedule's, counted from the anchor as known at their time."""
    schedule = settings.cohort.schedule
    if not isinstance(schedule, AnchoredSchedule):
        return np.ones(len(time), bool)
    known_then = anchor != FAR
    since = np.zeros(len(time), np.int64)
    zone = features.timezone
    since[known_then] = local_day(time[known_then], zone) - local_day(anchor[known_then], zone)
    on = known_then & (since >= schedule.from_day) & (since <= schedule.to_day)
    if not any_day:
        on &= (since - schedule.from_day) % schedule.every_days == 0
    return on
