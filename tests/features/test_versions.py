"""Versions: what `judge` decides, beside a plain model that goes through rows one by one."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.versions import KnownVersions, Versions, judge


class Row(NamedTuple):
    event: int
    recorded: int
    subject: int
    content: int


ROWS = st.lists(
    st.builds(Row, st.integers(0, 3), st.integers(0, 4), st.integers(1, 2), st.integers(1, 3)),
    max_size=14,
)


def versions(rows: list[Row]) -> Versions:
    return Versions(
        np.array([row.event for row in rows], np.uint64),
        np.array([row.event for row in rows], np.uint64),
        np.array([row.recorded for row in rows], np.int64),
        np.array([row.subject for row in rows], np.int64),
        np.array([row.content for row in rows], np.uint64),
    )


def plain(
    held: list[Row], new: list[Row]
) -> tuple[list[int], list[int], set[tuple[int, int, int]]]:
    """Kept and contradicting positions, and the (event, person, when) of withdrawals."""
    stands = {(row.event, row.recorded): row for row in held}
    kept: list[int] = []
    against: list[int] = []
    for place, row in enumerate(new):
        there = stands.setdefault((row.event, row.recorded), row)
        if there != row:
            against.append(place)
        elif row not in held and row not in [new[earlier] for earlier in kept]:
            kept.append(place)
    fresh = {new[place] for place in kept}
    return kept, against, moves(set(held) | fresh) - moves(set(held))


def moves(rows: set[Row]) -> set[tuple[int, int, int]]:
    """The (event, person, when) of what each version takes from the persons before it."""
    return {
        (later.event, earlier.subject, later.recorded)
        for earlier, later in permutations(rows, 2)
        if earlier.event == later.event
        and earlier.recorded < later.recorded
        and earlier.subject != later.subject
    }


def one_per_moment(rows: list[Row]) -> list[Row]:
    """What a table can hold: one row of an event at a time."""
    kept, _, _ = plain([], rows)
    return [rows[place] for place in kept]


def withdrawals(found: set[tuple[int, int, int]]) -> Versions:
    """As the rows that an append writes for them."""
    return versions([Row(event, at, subject, 0) for event, subject, at in sorted(found)])


@settings(max_examples=300, deadline=None)
@given(ROWS, ROWS)
def test_judge_agrees_with_the_plain_model(first: list[Row], new: list[Row]) -> None:
    held = one_per_moment(first)
    known = KnownVersions()
    known.add(versions(held))
    known.add(withdrawals(moves(set(held))))
    batch = versions(new)
    verdict = judge(batch, known.of(batch))
    kept, against, moved = plain(held, new)
    assert verdict.kept.tolist() == kept
    assert verdict.contradicting.tolist() == against
    assert {(new[r].event, s, at) for r, s, at in verdict.withdrawals} == moved
    assert len(verdict.withdrawals) == len(moved)
    new_events = {new[place].event for place in kept} - {row.event for row in held}
    assert verdict.added == len(new_events)


@given(ROWS, ROWS)
def test_rows_judged_twice_are_nothing_new(first: list[Row], second: list[Row]) -> None:
    known = KnownVersions()
    against: list[list[int]] = []
    for rows in (first, second, second):
        batch = versions(rows)
        verdict = judge(batch, known.of(batch))
        known.add(batch.take(verdict.kept))
        known.add(withdrawals({(rows[r].event, s, at) for r, s, at in verdict.withdrawals}))
        against.append(verdict.contradicting.tolist())
    assert not len(verdict.kept)
    assert not verdict.withdrawals
    assert against[1] == against[2]


def test_known_versions_find_rows_in_every_run() -> None:
    known = KnownVersions()
    for start in range(0, 400, 7):
        known.add(versions([Row(event, 0, 1, 1) for event in range(start, start + 7)]))
    wanted = versions([Row(event, 5, 1, 2) for event in (0, 3, 399, 5000)])
    assert sorted(known.of(wanted).high.tolist()) == [0, 3, 399]


def test_events_whose_first_halves_agree_are_told_apart() -> None:
    rows = versions([Row(1, 0, 1, 1), Row(1, 1, 1, 1)])
    rows = Versions(rows.high, np.array([1, 2], np.uint64), *(
        getattr(rows, name) for name in ("recorded", "subject", "content")
    ))  # fmt: skip
    assert judge(rows, rows.take(np.empty(0, np.intp))).kept.tolist() == [0, 1]
