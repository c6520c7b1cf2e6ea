"""Versions: what `judge` decides, beside a plain model that goes through rows one by one."""

from __future__ import annotations

from itertools import pairwise
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
    kept: list[int] = []
    against: list[int] = []
    for event in {row.event for row in new}:
        chain: dict[int, tuple[Row, int]] = {}
        for row in held:
            if row.event == event:
                chain.setdefault(row.recorded, (row, -1))
        for place, row in enumerate(new):
            if row.event != event:
                continue
            there = chain.get(row.recorded)
            if there is None:
                chain[row.recorded] = (row, place)
            elif there[0] != row:
                against.append(place)
        before: Row | None = None
        for _, (row, place) in sorted(chain.items()):
            same = before is not None and before[2:] == row[2:]
            if place >= 0 and not same:
                kept.append(place)
            if place < 0 or not same:
                before = row
    moved = set()
    for event in {new[place].event for place in kept}:
        fresh = {new[place] for place in kept}
        rows = sorted(
            {row for row in {*held, *fresh} if row.event == event},
            key=lambda row: row.recorded,
        )
        for earlier, later in pairwise(rows):
            if earlier.subject != later.subject and {earlier, later} & fresh:
                moved.add((event, earlier.subject, later.recorded))
    return sorted(kept), sorted(against), moved


def one_per_moment(rows: list[Row]) -> list[Row]:
    """What a table can hold: one row of an event at a time, none equal to the one before."""
    kept, _, _ = plain([], rows)
    return [rows[place] for place in kept]


@settings(max_examples=300, deadline=None)
@given(ROWS, ROWS)
def test_judge_agrees_with_the_plain_model(first: list[Row], new: list[Row]) -> None:
    held = one_per_moment(first)
    known = KnownVersions()
    known.add(versions(held))
    batch = versions(new)
    verdict = judge(batch, known.of(batch))
    kept, against, moved = plain(held, new)
    assert verdict.kept.tolist() == kept
    assert verdict.contradicting.tolist() == against
    assert {(new[r].event, s, at) for r, s, at in verdict.withdrawals} == moved
    new_events = {new[place].event for place in kept} - {row.event for row in held}
    assert verdict.added == len(new_events)


@given(ROWS, ROWS)
def test_rows_judged_twice_are_nothing_new(first: list[Row], second: list[Row]) -> None:
    known = KnownVersions()
    for rows in (first, second):
        batch = versions(rows)
        known.add(batch.take(judge(batch, known.of(batch)).kept))
    batch = versions(second)
    verdict = judge(batch, known.of(batch))
    clash = judge(batch, known.of(batch)).contradicting
    assert not len(verdict.kept)
    assert not verdict.withdrawals
    assert len(clash) <= len(second)


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
