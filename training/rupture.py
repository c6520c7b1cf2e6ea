"""When a pathway breaks: onsets of rules R1 to R7, each dated when its definition becomes true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features.local_days import DAY
from features.settings import FeaturesSettings
from training import history as h
from training.history import Longs
from training.kernels import all_onsets
from training.settings import Rule, TrainingSettings

if TYPE_CHECKING:
    from features.timelines import Timelines

__all__ = ["ONSETS", "RULES", "onsets", "parameters"]

RULES: tuple[Rule, ...] = ("R1", "R2", "R3", "R4", "R5", "R6", "R7")
_FIELDS: list[Any] = [
    pa.field("subject_id", pa.int64(), nullable=False),
    pa.field("onset_time", pa.timestamp("us"), nullable=False),
    pa.field("onset_rule", pa.string(), nullable=False),
]
ONSETS = pa.schema(_FIELDS)


def parameters(settings: TrainingSettings) -> Longs:
    """Thresholds of the rules as the compiled functions take them: windows in microseconds.

    The last seven entries say, for R1 to R7, the rule's place in `first_of`, or -1 when unused.
    """
    rupture = settings.rupture
    days = (
        rupture.R1.days,
        rupture.R2.days,
        rupture.R3.days,
        rupture.R5.course_grace_days,
        rupture.R5.apprenticeship_grace_days,
        rupture.R6.days,
        rupture.R7.days,
    )
    places: list[int] = [
        rupture.first_of.index(rule) if rule in rupture.first_of else -1 for rule in RULES
    ]
    return np.array([rupture.R1.count, *(d * DAY for d in days), *places], np.int64)


def onsets(
    timelines: Timelines | pa.Table, settings: TrainingSettings, features: FeaturesSettings
) -> pa.Table:
    """Every onset that the newest versions of the events show, while each pathway is open.

    Days are 24 hours. An onset lies at or after the opening of the pathway and not after its
    closing; one that needs time to be confirmed counts only if the pathway is still open then.
    What happened before the opening counts as evidence. A contract renewed before its end never
    lapses. Onsets at or after the end of observation are unknown and left out.

    Args:
        timelines: Timelines, or a table of `features.events.EVENTS` with all versions.
        settings: The `training:` section.
        features: The `features:` section (services, end of observation).

    Returns:
        A table of schema :data:`ONSETS`, sorted by person, onset and rule.

    Example:
        >>> import pyarrow as pa
        >>> from features.settings import FeaturesSettings
        >>> from training.example import example_events, example_features
        >>> table = onsets(example_events(), TrainingSettings(), example_features())
        >>> table.select(["onset_time", "onset_rule"]).to_pylist()
        [{'onset_time': datetime.datetime(2024, 4, 1, 8, 0), 'onset_rule': 'R1'}]
    """
    from training.schedule import end_of_observation

    history = h.read_history(h.events_of(timelines), settings, features)
    people, times, rules = all_onsets(
        history.events, parameters(settings), end_of_observation(features)
    )
    return pa.table(
        [
            pa.array(history.subjects[people]),
            pa.array(times.view("datetime64[us]")),
            pa.array([RULES[rule] for rule in rules.tolist()], pa.string()),
        ],
        schema=ONSETS,
    )
