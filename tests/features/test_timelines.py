"""The timelines: versions, idempotence, order, and the table that MEDS reads as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise, permutations
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
from features.matrix import compute_matrix
from features.timelines import Timelines, sorted_events
from tests.features.timelines_at_random import every_measure

START = datetime(2025, 1, 1)


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


def test_the_same_row_again_is_nothing_new(timelines: Timelines) -> None:
    timelines.append(events({}), label="t")
    version = timelines.version
    done = timelines.append(events({}), label="t")
    assert (done.added, done.versions, done.duplicates) == (0, 0, 1)
    assert timelines.version == version


def test_equal_content_with_a_later_entry_date_is_a_version_and_counts_once(
    timelines: Timelines,
) -> None:
    timelines.append(events({}), label="t")
    done = timelines.append(events({"recorded_at": datetime(2025, 6, 1)}), label="t")
    assert (done.added, done.versions, done.duplicates) == (0, 1, 0)
    for day in (datetime(2025, 3, 5), datetime(2025, 6, 1), datetime(2025, 6, 2)):
        assert codes(timelines.person(7, day)) == ["SEEN"]


RETURN = (
    {"code": "CONTACT//APPOINTMENT//SEEN", "recorded_at": datetime(2025, 3, 4)},
    {"code": "CONTACT//APPOINTMENT//SEEN", "recorded_at": datetime(2025, 3, 20)},
    {"code": "CONTACT//APPOINTMENT//NOSHOW", "recorded_at": datetime(2025, 3, 10)},
)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("commits", [(3,), (2, 3), (1, 2, 3)])
def test_a_return_to_the_first_content_is_kept_whatever_came_when(
    timelines: Timelines, order: tuple[int, ...], commits: tuple[int, ...]
) -> None:
    start = 0
    for stop in commits:
        rows = [RETURN[place] for place in order[start:stop]]
        Timelines.open(timelines.folder).append(events(*rows), label="t")
        start = stop
    timelines.refresh()
    assert codes(timelines.person(7)) == ["SEEN", "NOSHOW", "SEEN"]
    assert codes(timelines.person(7, datetime(2025, 3, 15))) == ["NOSHOW"]
    assert codes(timelines.person(7, datetime(2025, 3, 21))) == ["SEEN"]


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
    assert timelines.person(7)["time"].to_pylist()[1] == datetime(2025, 4, 1)
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


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_what_is_withdrawn_does_not_depend_on_what_came_first(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    moves = [
        {"recorded_at": START + timedelta(days=day), "subject_id": subject}
        for day, subject in ((1, 7), (3, 2**61), (5, 2**61))
    ]
    clean = filled(tmp_path / "clean", moves, [])
    other = filled(tmp_path / "other", [moves[place] for place in order], [1, 2])
    assert other.read().equals(clean.read())
    taken = clean.person(7)
    days = [(at - START).days for at in taken["recorded_at"].to_pylist()]
    assert sorted(zip(days, codes(taken), strict=True)) == [
        (1, "SEEN"),
        (3, "WITHDRAWN"),
        (5, "WITHDRAWN"),
    ]


def test_a_restated_version_changes_no_feature(timelines: Timelines) -> None:
    rows = [
        {
            "event_id": f"{n}",
            "time": START + timedelta(days=7 * n),
            "recorded_at": START + timedelta(days=7 * n + 1),
            "code": "ABCP"[n % 4],
            "numeric_value": float(n),
            "source": ("s1", "s2")[n % 2],
            "reference": f"r{n // 2}",
        }
        for n in range(12)
    ]
    restated = [row | {"recorded_at": row["recorded_at"] + timedelta(days=30)} for row in rows]
    cohort = pa.table(
        {
            "subject_id": pa.array([7] * 20, pa.int64()),
            "prediction_time": [START + timedelta(days=8 * n) for n in range(20)],
        }
    )
    asked = every_measure()
    once = compute_matrix(events(*rows), cohort, asked)
    assert timelines.append(events(*rows, *restated), label="t").versions == 12
    twice = compute_matrix(timelines, cohort, asked)
    assert len(np.unique(np.nan_to_num(once.values, nan=-1.0), axis=0)) > 10
    assert twice.values.tobytes() == once.values.tobytes()


ROW = st.fixed_dictionaries(
    {
        "subject_id": st.sampled_from([7, 8, 2**61]),
        "event_id": st.sampled_from(["a", "b"]),
        "recorded_at": st.integers(0, 5).map(lambda day: START + timedelta(days=day)),
        "numeric_value": st.sampled_from([None, 1.0]),
    }
)


def moment(row: dict[str, Any]) -> tuple[str, datetime]:
    return row["event_id"], row["recorded_at"]


UNCONTRADICTED = st.lists(ROW, min_size=1, max_size=10, unique_by=moment)
CUTS = st.lists(st.integers(0, 20), max_size=3)


def filled(folder: Path, rows: list[dict[str, Any]], cuts: list[int]) -> Timelines:
    """Rows appended in parts, each by timelines opened anew."""
    Timelines.open(folder, create=True, buckets=2)
    borders = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for start, stop in pairwise(borders):
        if rows[start:stop]:
            Timelines.open(folder).append(events(*rows[start:stop]), label="part")
    return Timelines.open(folder)


@settings(max_examples=25, deadline=None)
@given(st.data(), UNCONTRADICTED, CUTS)
def test_the_table_depends_on_the_set_of_rows_alone(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    rows: list[dict[str, Any]],
    cuts: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("timelines")
    clean = filled(folder / "clean", rows, [])
    repeated = data.draw(st.lists(st.sampled_from(rows), max_size=6))
    mixed = data.draw(st.permutations([*rows, *repeated]))
    other = filled(folder / "other", mixed, cuts)
    assert other.read().equals(clean.read())
    for day in range(8):
        at = START + timedelta(days=day)
        known: dict[str, dict[str, Any]] = {}
        for row in sorted(rows, key=lambda row: row["recorded_at"]):
            if row["recorded_at"] < at:
                known[row["event_id"]] = row
        for timelines in (clean, other):
            found = timelines.read(as_known=at, columns=list(rows[0])).to_pylist()
            assert sorted(found, key=moment) == sorted(known.values(), key=moment)


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=12),
    cuts=CUTS,
    stops=st.lists(st.integers(0, 12), max_size=2),
)
def test_rows_begun_again_are_one_clean_run_even_when_they_contradict(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    cuts: list[int],
    stops: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("timelines")
    clean = Timelines.open(folder / "clean", create=True, buckets=2)
    against = clean.append(events(*rows), label="all").contradicting
    for stop in stops:
        filled(folder / "stopped", rows[:stop], cuts)
    again = filled(folder / "stopped", rows, cuts)
    assert again.read().equals(clean.read())
    assert again.append(events(*rows), label="all").contradicting == against
