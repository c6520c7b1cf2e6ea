"""The timelines: versions, idempotence, order, and the table that MEDS reads as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import meds
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.events import EVENTS, WITHDRAWN
from features.timelines import Timelines, sorted_events, superseded_at

START = datetime(2025, 1, 1)
FAR = np.datetime64("2262-01-01", "us")


def events(*rows: dict[str, Any]) -> pa.Table:
    base = {
        "subject_id": 7,
        "time": datetime(2025, 3, 3),
        "code": "CONTACT//APPOINTMENT//SEEN",
        "recorded_at": datetime(2025, 3, 4),
        "source": "social",
        "event_id": "a",
    }
    return pa.Table.from_pylist([base | row for row in rows], schema=EVENTS)


@pytest.fixture
def timelines(tmp_path: Path) -> Timelines:
    return Timelines.open(tmp_path / "timelines", create=True, buckets=4)


def codes(table: pa.Table) -> list[str]:
    return [code.rpartition("//")[2] for code in table["code"].to_pylist()]


def test_there_must_be_a_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Hint: Run `jalon ingest"):
        Timelines.open(tmp_path / "none")


def test_an_empty_table_answers(timelines: Timelines) -> None:
    assert timelines.read().schema.equals(EVENTS)
    assert timelines.person(7).num_rows == 0
    assert timelines.subjects().tolist() == []
    assert timelines.compact() == 0
    with pytest.raises(DataError, match="at least one event"):
        timelines.observed()


def test_a_correction_is_a_version_and_the_past_can_be_read(timelines: Timelines) -> None:
    first = {"code": "CONTACT//APPOINTMENT//UNKNOWN", "recorded_at": datetime(2025, 3, 4)}
    second = {"code": "CONTACT//APPOINTMENT//NOSHOW", "recorded_at": datetime(2025, 3, 20)}
    assert timelines.append(events(first), label="t").added == 1
    done = timelines.append(events(second), label="t")
    assert (done.added, done.versions, done.duplicates) == (0, 1, 0)
    assert codes(timelines.person(7)) == ["UNKNOWN", "NOSHOW"]
    assert codes(timelines.person(7, datetime(2025, 3, 4))) == []
    assert codes(timelines.person(7, datetime(2025, 3, 20))) == ["UNKNOWN"]
    assert codes(timelines.person(7, datetime(2025, 3, 20, 0, 0, 1))) == ["NOSHOW"]


def test_an_instant_with_a_zone_is_understood(timelines: Timelines) -> None:
    timelines.append(events({}), label="t")
    paris = timezone(timedelta(hours=1))
    assert timelines.person(7, datetime(2025, 3, 4, 1, tzinfo=paris)).num_rows == 0
    assert timelines.person(7, datetime(2025, 3, 4, 1, tzinfo=UTC)).num_rows == 1


def test_equal_content_later_is_nothing_new(timelines: Timelines) -> None:
    timelines.append(events({}), label="t")
    version = timelines.version
    done = timelines.append(events({"recorded_at": datetime(2025, 6, 1)}), label="t")
    assert (done.added, done.versions, done.duplicates) == (0, 0, 1)
    assert timelines.version == version


def test_a_version_that_comes_late_takes_its_place(timelines: Timelines) -> None:
    timelines.append(events({"recorded_at": datetime(2025, 6, 1)}), label="t")
    early = {"code": "CONTACT//APPOINTMENT//UNKNOWN", "recorded_at": datetime(2025, 4, 1)}
    assert timelines.append(events(early), label="t").versions == 1
    assert codes(timelines.person(7, datetime(2025, 5, 1))) == ["UNKNOWN"]
    assert codes(timelines.person(7, datetime(2025, 7, 1))) == ["SEEN"]


def test_two_contents_with_one_entry_date_contradict(timelines: Timelines) -> None:
    other = {"code": "CONTACT//APPOINTMENT//NOSHOW"}
    done = timelines.append(events({}, other, {}), label="t")
    assert (done.added, done.duplicates, done.contradicting) == (1, 1, (1,))
    assert timelines.append(events(other), label="t").contradicting == (0,)
    assert codes(timelines.person(7)) == ["SEEN"]


def test_a_row_that_moves_to_another_person_is_withdrawn_from_the_first(
    timelines: Timelines,
) -> None:
    timelines.append(events({}), label="t")
    moved = {"subject_id": 2**62, "recorded_at": datetime(2025, 4, 1)}
    done = timelines.append(events(moved), label="t")
    assert (done.versions, done.withdrawn) == (1, 1)
    assert timelines.person(7)["code"].to_pylist()[1] == WITHDRAWN
    assert timelines.person(7)["reference"].to_pylist()[1] is None
    assert codes(timelines.person(7, datetime(2025, 3, 20))) == ["SEEN"]
    assert codes(timelines.person(7, datetime(2025, 5, 1))) == []
    assert codes(timelines.person(2**62, datetime(2025, 5, 1))) == ["SEEN"]
    back = {"recorded_at": datetime(2025, 6, 1)}
    assert timelines.append(events(back), label="t").withdrawn == 1
    assert codes(timelines.person(7, datetime(2025, 7, 1))) == ["SEEN"]
    assert codes(timelines.person(2**62, datetime(2025, 7, 1))) == []
    again = timelines.append(events({}, moved, back), label="t")
    assert (again.added, again.versions, again.withdrawn, again.duplicates) == (0, 0, 0, 3)


def test_one_event_id_in_two_sources_is_two_events(timelines: Timelines) -> None:
    done = timelines.append(events({}, {"source": "health", "event_id": "b"}), label="t")
    assert done.added == 2
    assert timelines.append(events({"source": "health", "event_id": "b"}), label="t").added == 0


def test_rows_that_break_the_contract_are_not_written(timelines: Timelines) -> None:
    with pytest.raises(DataError, match="column"):
        timelines.append(events({}).drop_columns(["code"]), label="t")
    assert timelines.count() == 0


def test_meds_reads_the_table_and_its_files(timelines: Timelines) -> None:
    timelines.append(events({}, {"event_id": "b", "time": None}), label="t")
    for table in (timelines.read(), timelines.person(7)):
        assert meds.DataSchema.validate(table) is None
        assert table.schema.field("time").type == pa.timestamp("us")
    for file in DeltaTable(str(timelines.folder)).file_uris():
        assert meds.DataSchema.validate(pq.read_table(file, partitioning=None)) is None


def many(count: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    subjects = np.sort(rng.integers(1, 2**63 - 1, 40))
    return events(
        *(
            {
                "subject_id": int(subjects[rng.integers(40)]),
                "time": None if n % 17 == 0 else START + timedelta(hours=int(rng.integers(5000))),
                "recorded_at": START + timedelta(days=int(rng.integers(200))),
                "event_id": f"{n // 2:032x}" if n % 5 == 0 else f"{n + 10**6:032x}",
                "numeric_value": float(rng.integers(3)),
            }
            for n in range(count)
        )
    )


def test_everything_is_sorted_static_events_first(timelines: Timelines) -> None:
    timelines.append(many(300), label="t")
    timelines.append(many(300, seed=1), label="t")
    table = timelines.read()
    rows = [
        (row["subject_id"], row["time"] or datetime.min, row["recorded_at"])
        for row in table.to_pylist()
    ]
    assert rows == sorted(rows)
    assert timelines.subjects().tolist() == sorted({row[0] for row in rows})
    some = timelines.subjects()[3:6]
    expected = table.filter(pa.compute.is_in(table["subject_id"], pa.array(some)))
    assert timelines.read(some).equals(expected)
    assert timelines.read(columns=["code", "time"]).column_names == ["code", "time"]


def test_compaction_leaves_one_sorted_file_a_bucket_and_the_same_rows(
    timelines: Timelines,
) -> None:
    for seed in range(3):
        timelines.append(many(200, seed), label="t")
    before = timelines.read()
    assert timelines.compact() == 4
    assert timelines.read().equals(before)
    files = DeltaTable(str(timelines.folder)).file_uris()
    assert len(files) == 4
    for file in files:
        rows = pq.read_table(file, partitioning=None)
        assert rows.equals(sorted_events(rows))
    version = timelines.version
    assert timelines.compact() == 0
    assert timelines.version == version
    opened = Timelines.open(timelines.folder)
    assert (opened.buckets, opened.version) == (4, version)
    assert opened.append(many(200, 1), label="t").added == 0


def test_a_reader_stays_at_its_version_until_it_refreshes(timelines: Timelines) -> None:
    reader = Timelines.open(timelines.folder)
    timelines.append(events({}), label="t")
    assert reader.person(7).num_rows == 0
    reader.refresh()
    assert reader.person(7).num_rows == 1
    assert reader.version == timelines.version
    assert reader.table_id == timelines.table_id


def test_the_observed_period_is_that_of_entry_dates(timelines: Timelines) -> None:
    late = {"event_id": "b", "subject_id": 2**61, "recorded_at": datetime(2025, 9, 9)}
    timelines.append(events({}, late), label="t")
    assert timelines.observed() == (datetime(2025, 3, 4), datetime(2025, 9, 9))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "subject_id": st.sampled_from([7, 2**61]),
            "event_id": st.sampled_from(["a", "b", "c"]),
            "recorded_at": st.integers(0, 5).map(lambda day: START + timedelta(days=day)),
            "numeric_value": st.sampled_from([None, 1.0, 2.0]),
        }
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 10))
def test_twice_is_once_wherever_a_first_run_stopped(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("timelines")
    ordered = sorted(rows, key=lambda row: row["recorded_at"])
    clean = Timelines.open(folder / "clean", create=True, buckets=2)
    clean.append(events(*ordered), label="all")
    stopped = Timelines.open(folder / "stopped", create=True, buckets=2)
    if ordered[:cut]:
        stopped.append(events(*ordered[:cut]), label="first part")
    again = Timelines.open(folder / "stopped")
    again.append(events(*ordered), label="all")
    assert again.read().equals(clean.read())


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=12),
)
def test_superseded_is_the_next_entry_date_of_the_event(rows: list[tuple[str, int]]) -> None:
    table = pa.table(
        {
            "event_id": pa.array([event for event, _ in rows], pa.string()),
            "recorded_at": pa.array([day for _, day in rows], pa.timestamp("us")),
        }
    )
    expected = [
        min((later for other, later in rows if other == event and later > day), default=None)
        for event, day in rows
    ]
    found = superseded_at(table)
    assert found.dtype == np.dtype("datetime64[us]")
    assert [None if one == FAR else int(one.astype(np.int64)) for one in found] == expected
