"""Identity corrected in place: the table is what it would be had the owners been known at first."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import EVENTS, WITHDRAWN
from features.timeline_files import ISSUED
from features.timelines import Timelines

DAY = datetime(2025, 1, 1)
WIDE = 1 << 61
"""Far enough apart for two persons to lie in different buckets."""

Row = tuple[int, int, int, str]
"""Issued to, number of the event, day of entry, code."""


def table(rows: list[Row], owners: dict[int, int]) -> tuple[pa.Table, np.ndarray]:
    events = [
        {
            "subject_id": owners[issued] * WIDE + 1,
            "time": DAY,
            "code": f"NEED//MOBILITY//{code}",
            "recorded_at": DAY + timedelta(days=day),
            "source": "social",
            "event_id": f"{event:032x}",
        }
        for issued, event, day, code in rows
    ]
    return pa.Table.from_pylist(events, schema=EVENTS), np.array([row[0] for row in rows], np.int64)


def opened() -> Timelines:
    return Timelines.open(tempfile.mkdtemp() + "/timelines", create=True, buckets=4)


def filled(rows: list[Row], owners: dict[int, int], cut: int) -> Timelines:
    timelines = opened()
    for part in (rows[:cut], rows[cut:]):
        if part:
            events, issued = table(part, owners)
            timelines.append(events, label="test", issued=issued)
    return timelines


def content(timelines: Timelines) -> list[dict[str, Any]]:
    return sorted(timelines.read().to_pylist(), key=repr)


def one_each(rows: list[Row]) -> list[Row]:
    """Without rows that contradict others: which of those stays depends on who owned them."""
    met: dict[tuple[int, int], Row] = {}
    for row in rows:
        met.setdefault((row[1], row[2]), row)
    return list(met.values())


issued_ids = st.integers(1, 4)
rows_of = st.lists(
    st.tuples(issued_ids, st.integers(1, 3), st.integers(0, 4), st.sampled_from("XY")),
    max_size=9,
).map(one_each)
owners_of = st.fixed_dictionaries({issued: st.integers(0, 3) for issued in range(1, 5)})


@settings(max_examples=8, deadline=None)
@given(rows=rows_of, before=owners_of, after=owners_of, cut=st.integers(0, 9))
def test_reissued_is_as_if_the_owners_had_been_known(
    rows: list[Row], before: dict[int, int], after: dict[int, int], cut: int
) -> None:
    changed = filled(rows, before, cut)
    wanted = {issued: owner * WIDE + 1 for issued, owner in after.items()}
    changed.reissue(wanted)
    assert content(changed) == content(filled(rows, after, 0))
    assert changed.reissue(wanted) == 0
    changed.reissue({issued: owner * WIDE + 1 for issued, owner in before.items()})
    assert content(changed) == content(filled(rows, before, cut))


def test_a_merge_is_one_commit_and_its_undoing_gives_the_rows_back() -> None:
    rows = [(1, 1, 1, "X"), (2, 2, 2, "X"), (3, 3, 3, "Y")]
    timelines = filled(rows, {1: 0, 2: 2, 3: 3}, 2)
    timelines.compact()
    before, version = content(timelines), timelines.version
    assert timelines.reissue({2: 1}) == 1
    assert timelines.version == version + 1
    assert timelines.person(1)["event_id"].to_pylist() == [f"{1:032x}", f"{2:032x}"]
    assert timelines.person(2 * WIDE + 1).num_rows == 0
    events, _ = table(rows, {1: 0, 2: 0, 3: 3})
    assert timelines.append(events, label="again").duplicates == 3
    timelines.reissue({2: 2 * WIDE + 1})
    assert content(timelines) == before


def test_a_row_that_moved_within_one_person_is_no_longer_withdrawn() -> None:
    rows = [(1, 1, 1, "X"), (2, 1, 2, "X")]
    timelines = filled(rows, {1: 0, 2: 2}, 1)
    assert WITHDRAWN in timelines.read()["code"].to_pylist()
    timelines.reissue({2: 1})
    assert WITHDRAWN not in timelines.read()["code"].to_pylist()
    assert timelines.person(1, as_known=DAY + timedelta(days=9)).num_rows == 1
    timelines.reissue({2: 2 * WIDE + 1})
    assert timelines.person(1, as_known=DAY + timedelta(days=9)).num_rows == 0


def test_files_stay_sorted_and_one_a_bucket() -> None:
    rows = [(1 + n % 3, n, n % 5, "X") for n in range(1, 60)]
    timelines = filled(rows, {1: 0, 2: 2, 3: 3}, 30)
    timelines.compact()
    timelines.reissue({2: 1, 3: 2 * WIDE + 1})
    files = DeltaTable(str(timelines.folder)).file_uris()
    assert len(files) == 2
    for file in files:
        held = pq.read_table(file, partitioning=None)
        assert held["subject_id"].to_pylist() == sorted(held["subject_id"].to_pylist())
        assert set(held[ISSUED].to_pylist()) <= {1, 2, 3}


def test_a_table_of_an_earlier_format_opens_grows_and_is_reissued(tmp_path: Path) -> None:
    folder = tmp_path / "timelines"
    events, _ = table([(1, 1, 1, "X")], {1: 0})
    old = events.add_column(0, "bucket", pa.array([0], pa.int32()))
    old = old.append_column("superseded_in_file", pa.nulls(1, pa.timestamp("us")))
    write_deltalake(
        str(folder), old, partition_by=["bucket"], description="events of the pathways; buckets=4"
    )
    timelines = Timelines.open(folder)
    assert timelines.person(1).num_rows == 1
    more, issued = table([(2, 2, 2, "X")], {2: 0})
    timelines.append(more, label="test", issued=issued)
    assert timelines.reissue({1: 2 * WIDE + 1}) == 1
    assert timelines.person(1)["event_id"].to_pylist() == [f"{2:032x}"]
    assert timelines.reissue({2: 2 * WIDE + 1}) == 1
    assert timelines.subjects().tolist() == [2 * WIDE + 1]


def test_renaming_leaves_no_former_pseudonym_on_disk(tmp_path: Path) -> None:
    timelines = Timelines.open(tmp_path / "timelines", create=True, buckets=4)
    events, issued = table([(1, 1, 1, "X"), (2, 2, 2, "Y")], {1: 0, 2: 3})
    timelines.append(events, label="test", issued=issued)
    timelines.append(events, label="test", issued=issued)
    former = timelines.subjects()
    assert timelines.rename(lambda one: one ^ np.int64(1 << 40), label="other names") == 2
    assert timelines.said("other names")
    assert not timelines.said("no such")
    files = list((tmp_path / "timelines").rglob("*.parquet"))
    held = {s for file in files for s in pq.read_table(file)["subject_id"].to_pylist()}
    assert held == {int(one) ^ (1 << 40) for one in former}


@pytest.mark.parametrize("subjects", [[], [5]])
def test_owners_of_nobody_change_nothing(subjects: list[int]) -> None:
    timelines = filled([(1, 1, 1, "X")], {1: 0}, 1)
    version = timelines.version
    assert timelines.reissue(dict.fromkeys(subjects, 9)) == 0
    assert timelines.version == version
