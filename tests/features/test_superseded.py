"""When versions are superseded: beside a plain model, and what the table has stored of it."""

from __future__ import annotations

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

from features.events import EVENTS
from features.superseded import NEVER, superseded_at
from features.timelines import Timelines, sorted_events

START = datetime(2025, 1, 1)


def events(rows: list[dict[str, Any]]) -> pa.Table:
    base = {
        "subject_id": 7,
        "time": datetime(2025, 3, 3),
        "code": "A",
        "recorded_at": START,
        "source": "social",
        "event_id": "a",
    }
    return pa.Table.from_pylist([base | row for row in rows], schema=EVENTS)


ROW = st.fixed_dictionaries(
    {
        "subject_id": st.sampled_from([7, 8, 2**61]),
        "event_id": st.sampled_from(["a", "b", f"{3:032x}", f"{2**64 + 3:032x}"]),
        "recorded_at": st.integers(0, 4).map(lambda day: START + timedelta(days=day)),
        "time": st.sampled_from([None, START, START + timedelta(days=2)]),
        "code": st.sampled_from(["A", "B"]),
        "numeric_value": st.sampled_from([None, 1.0, 2.0]),
        "source": st.sampled_from(["social", "health"]),
    }
)
ROWS = st.lists(ROW, max_size=12)


def least(row: dict[str, Any]) -> tuple[Any, ...]:
    time, value = row["time"], row["numeric_value"]
    return (time is None, time or START, row["code"], value is None, value or 0.0, row["source"])


def plain(rows: list[dict[str, Any]]) -> list[datetime | None]:
    """The next entry date of the event; of rows that are one version, the least alone has it."""
    found: list[datetime | None] = [None] * len(rows)
    counted = set()
    for place in sorted(range(len(rows)), key=lambda place: least(rows[place])):
        row = rows[place]
        later = [
            other["recorded_at"]
            for other in rows
            if other["event_id"] == row["event_id"] and other["recorded_at"] > row["recorded_at"]
        ]
        version = (row["event_id"], row["recorded_at"], row["subject_id"])
        found[place] = row["recorded_at"] if version in counted else min(later, default=None)
        counted.add(version)
    return found


def as_python(found: np.ndarray[Any, Any]) -> list[datetime | None]:
    assert found.dtype == np.dtype("datetime64[us]")
    return [None if one == NEVER else one.astype(object) for one in found]


@settings(deadline=None)
@given(ROWS)
def test_a_version_lasts_until_the_next_entry_date_of_its_event(
    rows: list[dict[str, Any]],
) -> None:
    table = events(rows)
    expected = plain(rows)
    found = as_python(superseded_at(table))
    # Of rows that are equal in everything, which one stays cannot be told.
    keyed = [tuple(str(row[name]) for name in sorted(row)) for row in rows]
    assert sorted(zip(keyed, map(str, found), strict=True)) == sorted(
        zip(keyed, map(str, expected), strict=True)
    )


@settings(deadline=None)
@given(st.data(), ROWS)
def test_what_counts_does_not_depend_on_the_order_of_rows(
    data: st.DataObject, rows: list[dict[str, Any]]
) -> None:
    mixed = data.draw(st.permutations(rows))

    def said(given: list[dict[str, Any]]) -> list[tuple[str, ...]]:
        found = as_python(superseded_at(events(given)))
        pairs = zip(given, found, strict=True)
        return sorted((*(str(row[name]) for name in sorted(row)), str(one)) for row, one in pairs)

    assert said(mixed) == said(rows)


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6), st.integers(2, 3))
def test_rows_said_several_times_count_once(rows: list[dict[str, Any]], times: int) -> None:
    def known(given: list[dict[str, Any]], day: int) -> list[str]:
        at = np.datetime64(START + timedelta(days=day), "us")
        table = events(given)
        recorded = table["recorded_at"].to_numpy()
        counts = (recorded < at) & (at <= superseded_at(table))
        return sorted(str(row) for row in table.filter(pa.array(counts)).to_pylist())

    for day in range(6):
        assert known(rows * times, day) == known(rows, day)


def test_columns_of_other_kinds_tell_rows_apart_too() -> None:
    table = events([{"code": "B"}, {"code": "A"}])
    coded = table.set_column(2, "code", table["code"].dictionary_encode())
    coded = coded.set_column(4, "text_value", pa.nulls(2))
    assert as_python(superseded_at(coded)) == [START, None]
    narrow = table.select(["event_id", "recorded_at"])
    assert sorted(as_python(superseded_at(narrow)), key=str) == [START, None]


def of_one_source(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An event id is a hash of its source, too: no two sources share one."""
    return [row | {"source": "social" if row["event_id"] in "ab" else "health"} for row in rows]


VERSIONS = st.lists(
    ROW, min_size=1, max_size=12, unique_by=lambda row: (row["event_id"], row["recorded_at"])
).map(of_one_source)


@settings(max_examples=25, deadline=None)
@given(VERSIONS, st.integers(0, 12), st.booleans(), st.integers(0, 6))
def test_what_is_stored_is_what_event_ids_say(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    cut: int,
    compacted: bool,
    day: int,
) -> None:
    timelines = Timelines.open(tmp_path_factory.mktemp("t") / "t", create=True, buckets=2)
    for part in (rows[:cut], rows[cut:]):
        timelines.append(events(part), label="part")
    if compacted:
        timelines.compact()
    whole = timelines.read()
    expected = whole.append_column("superseded_at", pa.array(superseded_at(whole)))
    found = timelines.read(superseded=True)
    assert found.cast(expected.schema).equals(expected)
    narrow = timelines.read(columns=["code"], superseded=True)
    assert narrow.equals(found.select(["code", "superseded_at"]))
    at = START + timedelta(days=day)
    known = timelines.read(as_known=at, columns=["subject_id", "numeric_value"])
    replaced = superseded_at(whole)
    instant = np.datetime64(at, "us")
    counts = (whole["recorded_at"].to_numpy() < instant) & (replaced >= instant)
    counts &= whole["code"].to_numpy() != "RECORD//WITHDRAWN"
    assert known.equals(whole.filter(pa.array(counts)).select(["subject_id", "numeric_value"]))


def two_versions(timelines: Timelines) -> None:
    later = {"recorded_at": START + timedelta(days=2), "code": "B"}
    timelines.append(events([{}, later, {"event_id": "b"}]), label="t")


def test_of_one_file_event_ids_are_not_read(tmp_path: Path) -> None:
    two_versions(Timelines.open(tmp_path, create=True, buckets=1))
    (file,) = DeltaTable(str(tmp_path)).file_uris()
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["event_id"]), file)
    timelines = Timelines.open(tmp_path)
    found = timelines.read(columns=["code"], superseded=True)
    assert sorted(map(str, found["superseded_at"].to_pylist()))[1:] == 2 * ["2262-01-01 00:00:00"]
    known = timelines.read(columns=["code"], as_known=START + timedelta(days=1))
    assert known["code"].to_pylist() == ["A", "A"]
    with pytest.raises(KeyError):
        timelines.read()


def test_a_table_of_the_earlier_format_is_read_added_to_and_renewed(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("bucket", pa.int32(), nullable=False), *EVENTS])
    folder = str(tmp_path)
    DeltaTable.create(folder, schema, partition_by=["bucket"], description="buckets=1")
    later = {"recorded_at": START + timedelta(days=2), "code": "B"}
    old = sorted_events(events([{}, later, {"event_id": "b"}]))
    bucket = pa.array([0, 0, 0], pa.int32())
    write_deltalake(folder, old.add_column(0, schema.field(0), bucket), mode="append")

    timelines = Timelines.open(tmp_path)
    ends = [None if one == NEVER else one for one in superseded_at(old)]
    for _ in range(2):
        found = timelines.read(superseded=True)
        assert found.select(EVENTS.names).equals(old)
        assert [None if one == NEVER else one for one in found["superseded_at"].to_numpy()] == ends
        assert timelines.append(events([later]), label="again").duplicates == 1
        assert timelines.compact() in (0, 1)
    assert timelines.compact() == 0
    (file,) = DeltaTable(folder).file_uris()
    stored = pq.read_table(file, partitioning=None)["superseded_in_file"].to_numpy()
    assert [None if np.isnat(one) else one for one in stored] == ends

    newest = {"recorded_at": START + timedelta(days=4)}
    timelines.append(events([newest]), label="new")
    ends = [None if one == NEVER else one for one in superseded_at(timelines.read())]
    found = timelines.read(superseded=True)["superseded_at"].to_numpy()
    assert [None if one == NEVER else one for one in found] == ends


def test_a_table_of_the_earlier_format_takes_events_before_it_is_renewed(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("bucket", pa.int32(), nullable=False), *EVENTS])
    folder = str(tmp_path)
    DeltaTable.create(folder, schema, partition_by=["bucket"], description="buckets=1")
    old = events([{}]).add_column(0, schema.field(0), pa.array([0], pa.int32()))
    write_deltalake(folder, old, mode="append")
    timelines = Timelines.open(tmp_path)
    later = {"recorded_at": START + timedelta(days=2), "code": "B"}
    assert timelines.append(events([later]), label="t").versions == 1
    for _ in range(2):
        found = timelines.read(superseded=True)
        assert found["code"].to_pylist() == ["A", "B"]
        assert found["superseded_at"].to_pylist() == [later["recorded_at"], NEVER.astype(object)]
        timelines.compact()
