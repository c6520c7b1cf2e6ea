"""The incremental tracking of ruptures equals a slow recomputation from the clean events."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simulator import layout
from simulator.outcomes import OUTCOMES, RUPTURE, rows_at_risk

from . import slow_rules

PERSONS = 700


@pytest.fixture(scope="module")
def by_person(lived) -> dict[int, list[list[int]]]:
    events = lived.history.events
    here = events[events[:, layout.T_PERSON] < PERSONS]
    out: dict[int, list[list[int]]] = {p: [] for p in range(PERSONS)}
    for event in here.tolist():
        if event[layout.T_KIND] != layout.K_ONSET:
            out[event[layout.T_PERSON]].append(event)
    return out


def test_onsets_are_those_of_the_text(lived, by_person) -> None:
    history = lived.history
    tracked: dict[int, list[tuple[int, int]]] = {p: [] for p in range(PERSONS)}
    for event in history.of(layout.K_ONSET).tolist():
        if event[layout.T_PERSON] < PERSONS:
            tracked[event[layout.T_PERSON]].append((event[layout.T_TIME], event[layout.T_A]))
    rules: Counter[int] = Counter()
    for person, events in by_person.items():
        expected = slow_rules.onsets(events, history.until)
        assert sorted(tracked[person]) == expected, person
        rules.update(rule for _, rule in expected)
    assert set(rules) == {1, 5, 6, 7}


def test_rows_and_outcomes_are_those_of_the_text(lived, by_person) -> None:
    history = lived.history
    rows = rows_at_risk(history)
    tracked: dict[tuple[int, int], str] = {}
    for i in np.flatnonzero(rows.person < PERSONS):
        rule = rows.rule[i]
        name = f"R{rule}" if rows.outcome[i] == RUPTURE else OUTCOMES[rows.outcome[i]]
        tracked[int(rows.person[i]), int(rows.time[i])] = name
    times = sorted({int(t) for t in rows.time})
    expected: dict[tuple[int, int], str] = {}
    for person, events in by_person.items():
        for t in times:
            outcome = slow_rules.row(events, t, history.until)
            if outcome is not None:
                expected[person, t] = outcome
    assert tracked == expected
    assert len({*expected.values()}) == 6


def test_nothing_happens_after_an_exit_and_nobody_is_at_risk(lived) -> None:
    history = lived.history
    exits = history.last[:, layout.EXIT_T]
    rows = rows_at_risk(history)
    assert (rows.time <= exits[rows.person]).all()
    assert (rows.time > history.last[rows.person, layout.OPEN_T]).all()
    onsets = history.of(layout.K_ONSET)
    assert (onsets[:, layout.T_TIME] <= exits[onsets[:, layout.T_PERSON]]).all()
