"""A territory's events as the few flat arrays that the rupture rules read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.settings import FeaturesSettings
from training.columns import coded, longs, micros, valid
from training.kernels import (
    ACCEPTED,
    ANCHOR,
    APPRENTICESHIP_ANSWER,
    APPRENTICESHIP_BROKEN,
    CLOSES,
    COMPETES,
    CONTRACT,
    COURSE_ANSWER,
    COURSE_LEFT,
    EXIT_BROKEN,
    EXPIRED,
    FAR,
    JOB_BROKEN,
    MISSED,
    NEVER,
    OPENS,
    ORIENTED,
    PLANNED,
    RIGHTS_LOST,
    SEEN,
    STRUCK_OFF,
    Events,
)
from training.settings import AnchoredSchedule, TrainingSettings

if TYPE_CHECKING:
    from features.timelines import Timelines

__all__ = ["COLUMNS", "History", "events_of", "read_history"]

Longs = npt.NDArray[np.int64]

UNREACHED = np.datetime64("2200-01-01", "us")
COLUMNS = (
    "subject_id",
    "time",
    "code",
    "text_value",
    "recorded_at",
    "end_time",
    "source",
    "event_id",
)


@dataclass(frozen=True)
class History:
    """Events that matter to the rules, sorted by person, time and entry; all versions are kept.

    Attributes:
        subjects: [people] subject_id, ascending.
        events: Their events as flat arrays; instants are int64 microseconds since 1970 (UTC).
            An open end, and what nothing superseded, are FAR. Services are numbered in the order
            of the territory file; -1 is none, a service of no source is one past the last.
    """

    subjects: Longs
    events: Events


def events_of(timelines: Timelines | pa.Table) -> pa.Table:
    """All versions of all events, from timelines or as given, with the columns the rules read."""
    if isinstance(timelines, pa.Table):
        return timelines.select(list(COLUMNS))
    return timelines.read(columns=list(COLUMNS))


def read_history(
    events: pa.Table, settings: TrainingSettings, features: FeaturesSettings
) -> History:
    """The events that matter to the territory's rules, in any row order, as a :class:`History`.

    Static events and withdrawn versions matter to no rule, but a withdrawal ends the version
    before it.

    Args:
        events: Rows of `features.events.EVENTS`, all versions.
        settings: The `training:` section: which codes are what.
        features: The `features:` section: which source belongs to which service.
    """
    from features.timelines import superseded_at

    events = events.select(list(COLUMNS)).combine_chunks()
    flags = _flags(events, settings)
    superseded = _instants(superseded_at(events))
    entered = _entered(events, flags)
    keep = np.flatnonzero((flags != 0) & valid(events["time"]))
    kept = events.take(keep)
    subject = longs(kept["subject_id"])
    time, recorded = micros(kept["time"], NEVER), micros(kept["recorded_at"], NEVER)
    services = {name: number for number, name in enumerate(features.services)}
    known = features.sources
    service = _numbers(
        kept["source"], lambda s: services[known[s].service] if s in known else -1, -1
    )
    # A receiver that is no service of the territory is named all the same: nobody answers for it.
    receiver = _numbers(kept["text_value"], lambda s: services.get(s, len(services)), -1)
    columns = (
        recorded,
        superseded[keep],
        entered[keep],
        micros(kept["end_time"], FAR),
        flags[keep],
        service,
        receiver,
    )
    order = np.lexsort((*reversed(columns), time, subject))
    subjects, first = np.unique(subject[order], return_index=True)
    offsets = np.append(first, len(order)).astype(np.int64)
    arrays = (np.ascontiguousarray(column[order]) for column in (time, *columns))
    return History(subjects, Events(offsets, *arrays))


def _roles(settings: TrainingSettings) -> dict[int, Sequence[str]]:
    rupture, cohort = settings.rupture, settings.cohort
    schedule = cohort.schedule
    return {
        OPENS: cohort.opens,
        CLOSES: cohort.closes,
        COMPETES: settings.competing,
        SEEN: rupture.seen,
        ANCHOR: [schedule.anchor] if isinstance(schedule, AnchoredSchedule) else [],
        MISSED: rupture.R1.missed,
        EXPIRED: rupture.R2.expired,
        PLANNED: rupture.R2.planned,
        ORIENTED: rupture.R3.oriented,
        CONTRACT: rupture.R3.contracts,
        STRUCK_OFF: rupture.R3.struck_off,
        JOB_BROKEN: rupture.R5.job_broken,
        COURSE_LEFT: rupture.R5.course_left,
        COURSE_ANSWER: rupture.R5.course_answers,
        APPRENTICESHIP_BROKEN: rupture.R5.apprenticeship_broken,
        APPRENTICESHIP_ANSWER: rupture.R5.apprenticeship_answers,
        ACCEPTED: rupture.R6.accepted,
        EXIT_BROKEN: rupture.R7.exits,
    }


_RULES_OF = {
    MISSED: {"R1"},
    EXPIRED: {"R2"},
    PLANNED: {"R2"},
    ORIENTED: {"R3"},
    CONTRACT: {"R3"},
    STRUCK_OFF: {"R3"},
    JOB_BROKEN: {"R5"},
    COURSE_LEFT: {"R5"},
    COURSE_ANSWER: {"R5"},
    APPRENTICESHIP_BROKEN: {"R5"},
    APPRENTICESHIP_ANSWER: {"R5"},
    ACCEPTED: {"R6"},
    EXIT_BROKEN: {"R7"},
}


def _flags(events: pa.Table, settings: TrainingSettings) -> Longs:
    """Bits of each row; roles of rules that the territory does not use are left out."""
    used = set(settings.rupture.first_of)
    roles = [
        (bit, patterns)
        for bit, patterns in _roles(settings).items()
        if bit not in _RULES_OF or _RULES_OF[bit] & used
    ]

    def bits(code: str) -> int:
        return sum(bit for bit, patterns in roles if _matches(code, patterns))

    flags = _numbers(events["code"], bits, 0)
    if "R4" in used:
        rights = settings.rupture.R4
        for codes, motives in (
            (rights.suspended, rights.suspension_motives),
            (rights.closed, rights.closing_motives),
        ):
            code = _numbers(events["code"], partial(_one_if_matching, codes), 0)
            motive = _numbers(events["text_value"], partial(_one_if_matching, motives), 0)
            flags[(code == 1) & (motive == 1)] |= RIGHTS_LOST
    return flags


def _matches(code: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(code, pattern) for pattern in patterns)


def _one_if_matching(patterns: Sequence[str], code: str) -> int:
    return int(_matches(code, patterns))


def _numbers(column: pa.ChunkedArray[Any], number: Callable[[str], int], null: int) -> Longs:
    """A number for each row, computed once for each distinct value."""
    names, row = coded(column)
    table = np.array([*(number(name) for name in names), null], np.int64)
    return table[row]


def _instants(values: npt.NDArray[np.datetime64]) -> Longs:
    """Instants of supersession; what nothing supersedes is given as no date, or one far ahead."""
    whole = values.astype("datetime64[us]").astype(np.int64)
    return np.where(np.isnat(values) | (values >= UNREACHED), FAR, whole)


def _entered(events: pa.Table, flags: Longs) -> Longs:
    """First entry of each planned event: a later correction does not move when it was planned."""
    entered = micros(events["recorded_at"], NEVER)
    rows = np.flatnonzero(flags & PLANNED)
    if len(rows):
        names, event = coded(events["event_id"].take(rows))
        first = np.full(len(names), FAR)
        np.minimum.at(first, event, entered[rows])
        entered[rows] = first[event]
    return entered
