"""The matrix: cohort rows kept as they came, saved whole, the same for one person as for all."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.catalogue import Catalogue
from features.definitions import build_catalogue
from features.errors import DataError
from features.events import EVENTS, empty_events
from features.layout import groups_of
from features.matrix import Matrix, compute_matrix
from features.measures import MEASURES
from features.timelines import Timelines
from tests.features.test_no_leak import AT, past
from tests.features.timelines_at_random import feature, five_services

SETTINGS = five_services()
CATALOGUE = build_catalogue(SETTINGS)
NEVER = np.iinfo(np.int32).min
GOLDEN = Path(__file__).parent / "golden_matrix.json"


def table(lines: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(lines, schema=EVENTS)


def cohort(*rows: tuple[int, datetime]) -> pa.Table:
    return pa.table(
        {"subject_id": [s for s, _ in rows], "prediction_time": [t for _, t in rows]},
        schema=pa.schema({"subject_id": pa.int64(), "prediction_time": pa.timestamp("us")}),
    )


@pytest.fixture(scope="module")
def events() -> pa.Table:
    return table(past(np.random.default_rng(5), 400))


@pytest.fixture(scope="module")
def matrix(events: pa.Table) -> Matrix:
    rows = [(s, AT - timedelta(days=30 * m)) for m in range(12) for s in (3, 1, 2)]
    asked = cohort(*rows)
    outcome = pa.array([None if i % 7 == 0 else f"o{i % 3}" for i in range(len(rows))])
    label = pa.array([None if i % 5 == 0 else float(i % 2) for i in range(len(rows))])
    asked = asked.append_column("outcome", outcome).append_column("label", label)
    return compute_matrix(events, asked, CATALOGUE)


def test_rows_stay_as_they_were_asked_for(matrix: Matrix) -> None:
    assert matrix.cohort.column("subject_id").to_pylist()[:4] == [3, 1, 2, 3]
    assert matrix.cohort.column_names == ["subject_id", "prediction_time", "outcome", "label"]
    assert matrix.values.shape == (36, len(CATALOGUE))
    assert matrix.values.dtype == np.float32
    assert matrix.last_seen.shape == (36, len(CATALOGUE.groups))
    assert matrix.names == CATALOGUE.names
    assert matrix.data_version is None


def test_each_row_alone_is_the_row_among_all(events: pa.Table, matrix: Matrix) -> None:
    for number in (0, 7, 35):
        subject = matrix.cohort.column("subject_id")[number].as_py()
        t = matrix.cohort.column("prediction_time")[number].as_py()
        own = events.filter(pa.compute.equal(events.column("subject_id"), subject))
        alone = compute_matrix(own, cohort((subject, t)), CATALOGUE, peers=matrix.peers)
        assert alone.values[0].tobytes() == matrix.values[number].tobytes()
        assert alone.last_seen[0].tobytes() == matrix.last_seen[number].tobytes()


def test_many_people_on_all_cores_are_the_same_as_few(events: pa.Table) -> None:
    copies = []
    for number in range(120):
        column = pa.array(np.asarray(events.column("subject_id")) + 10 * number)
        copies.append(events.set_column(0, EVENTS.field(0), column))
    rows = [
        (10 * n + s, AT - timedelta(days=9 * m))
        for n in range(120)
        for s in (1, 2)
        for m in range(9)
    ]
    steps: list[float] = []
    many = compute_matrix(
        pa.concat_tables(copies),
        cohort(*rows),
        CATALOGUE,
        progress=lambda _, share: steps.append(share),
    )
    few = compute_matrix(events, cohort(*rows[:18]), CATALOGUE, peers=many.peers)
    assert many.values.tobytes() == few.values.tobytes() * 120
    assert steps == sorted(steps)
    assert len(steps) > 4
    assert steps[-1] == 1.0


def test_rows_may_come_twice(events: pa.Table) -> None:
    built = compute_matrix(events, cohort((1, AT), (1, AT)), CATALOGUE)
    assert built.values[0].tobytes() == built.values[1].tobytes()


def test_an_unknown_person_has_counts_of_nothing_and_all_else_missing(events: pa.Table) -> None:
    built = compute_matrix(events, cohort((999, AT)), CATALOGUE)
    for value, one in zip(built.values[0], CATALOGUE.features, strict=True):
        if one.measure == "day_of_month":
            assert value == 2
        elif one.unit == "cycle":
            assert abs(value) <= 1
        elif MEASURES[one.measure].missing is None and one.period != "since":
            assert value == 0
        else:
            assert np.isnan(value)
    timely = [i for i, group in enumerate(groups_of(CATALOGUE).values()) if not group.codes]
    assert timely
    assert (built.last_seen[0, timely] == 20_241).all()  # 2 June 2025 in Paris
    assert (np.delete(built.last_seen[0], timely) == NEVER).all()


def test_a_row_before_the_data_begin_is_that_of_an_unknown_person(events: pa.Table) -> None:
    t = datetime(1970, 1, 2)
    known, unknown = compute_matrix(events, cohort((1, t), (999, t)), CATALOGUE).values
    assert known.tobytes() == unknown.tobytes()


def test_empty_events_and_empty_cohorts_are_no_fault(events: pa.Table) -> None:
    built = compute_matrix(empty_events(), cohort((1, AT)), CATALOGUE)
    own = [i for i, feature in enumerate(CATALOGUE.features) if feature.unit != "cycle"]
    assert np.nansum(built.values[0, own]) == 0
    built = compute_matrix(events, cohort(), CATALOGUE)
    assert built.values.shape == (0, len(CATALOGUE))


def test_the_last_day_of_a_group_is_a_local_day() -> None:
    line = past(np.random.default_rng(0), 1)[0] | {
        "subject_id": 1,
        "code": "CONTACT//APPOINTMENT//SEEN",
        "time": datetime(2025, 3, 11, 23, 30),  # 12 March, 00:30 in Paris
        "recorded_at": datetime(2025, 3, 20),
    }
    built = compute_matrix(table([line]), cohort((1, AT)), CATALOGUE)
    assert built.last_seen[0, CATALOGUE.groups.index("contact.seen")] == 20_159
    assert built.last_seen[0, CATALOGUE.groups.index("contact.noshow")] == NEVER


@pytest.mark.parametrize(
    ("t", "edge"),
    [
        (datetime(2025, 3, 30, 22), datetime(2025, 3, 29, 23)),  # 31 March 00:00, a day of 23 h
        (datetime(2025, 10, 26, 23), datetime(2025, 10, 25, 22)),  # 27 October 00:00, of 25 h
    ],
)
def test_a_day_before_a_midnight_begins_at_midnight(t: datetime, edge: datetime) -> None:
    one = Catalogue((feature("count", 1), feature("days_since_last", None)))
    line = dict.fromkeys(EVENTS.names) | {"subject_id": 1, "code": "A", "source": "social"}
    line |= {"recorded_at": datetime(2025, 1, 1), "event_id": "e"}
    for time_, expected in ((edge, [1, 1]), (edge - timedelta(microseconds=1), [0, 2])):
        built = compute_matrix(table([line | {"time": time_}]), cohort((1, t)), one)
        assert built.values[0].tolist() == expected


def test_saved_and_loaded_it_is_the_same(matrix: Matrix, tmp_path: Path) -> None:
    file = matrix.save(tmp_path / "matrices")
    back = Matrix.load(file)
    assert back.hash == matrix.hash
    assert back.values.tobytes() == matrix.values.tobytes()
    assert back.cohort.equals(matrix.cohort)
    assert back.catalogue == matrix.catalogue
    assert back.peers is not None
    assert matrix.peers is not None
    assert back.peers.hash == matrix.peers.hash
    peers = file.name.replace("matrix", "peers")
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name, peers]
    assert matrix.save(file.parent) == file


def test_a_slice_of_a_table_is_a_table_like_any_other(events: pa.Table, tmp_path: Path) -> None:
    asked = cohort((1, AT), (2, AT), (3, AT)).append_column("why", pa.array(["a", None, "c"]))
    cut = compute_matrix(events, asked.slice(1), CATALOGUE)
    whole = compute_matrix(events, pa.concat_tables([asked.slice(1, 1), asked.slice(2)]), CATALOGUE)
    assert cut.hash == whole.hash == Matrix.load(cut.save(tmp_path)).hash


def test_a_matrix_changed_on_disk_is_refused(matrix: Matrix, tmp_path: Path) -> None:
    file = matrix.save(tmp_path)
    stored = pq.read_table(file)
    name = matrix.names[0]
    place = stored.column_names.index(name)
    changed = stored.set_column(place, name, pa.array(matrix.values[:, 0] + 1))
    pq.write_table(changed, file)
    with pytest.raises(DataError, match="its content is not what was written"):
        Matrix.load(file)


def test_what_is_no_matrix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Expected a Parquet file written by Matrix\.save"):
        Matrix.load(tmp_path / "none.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="got a Parquet file without a catalogue"):
        Matrix.load(tmp_path / "a.parquet")


def test_the_frame_is_indexed_by_person_and_time(matrix: Matrix) -> None:
    frame = matrix.frame()
    assert frame.index.names == ["subject_id", "prediction_time"]
    assert frame.shape == matrix.values.shape
    assert list(frame.columns) == list(matrix.names)
    assert frame.index[1] == (1, pd.Timestamp(AT))


def test_pandas_cohorts_in_any_zone_and_unit_are_read(events: pa.Table, matrix: Matrix) -> None:
    frame = pd.DataFrame({"subject_id": [3], "prediction_time": [AT.replace(tzinfo=UTC)]})
    frame["prediction_time"] = frame["prediction_time"].dt.tz_convert("Asia/Tokyo").dt.as_unit("ns")
    built = compute_matrix(events, frame, CATALOGUE, peers=matrix.peers)
    assert built.values[0].tobytes() == matrix.values[0].tobytes()
    assert built.cohort.column("prediction_time").type == pa.timestamp("us")


def test_a_cohort_that_cannot_be_read_is_told_whole(events: pa.Table) -> None:
    wrong = pa.table({"subject_id": ["7"], "prediction_time": ["soon"]})
    with pytest.raises(DataError) as caught:
        compute_matrix(events, wrong, CATALOGUE)
    assert "subject_id is string, not int64; prediction_time is string" in str(caught.value)
    null = pa.table({"subject_id": pa.array([None], pa.int64()), "prediction_time": [AT]})
    with pytest.raises(DataError, match=r"subject_id has 1 null"):
        compute_matrix(events, null, CATALOGUE)


def test_events_without_their_columns_are_refused(events: pa.Table) -> None:
    few = events.drop_columns(["reference", "recorded_at"])
    with pytest.raises(DataError, match=r"2 column\(s\) missing: recorded_at, reference"):
        compute_matrix(few, cohort((1, AT)), CATALOGUE)
    wrong = events.set_column(1, "time", pa.array(["x"] * events.num_rows))
    with pytest.raises(DataError, match=r"1 column\(s\) of another type: time \(string"):
        compute_matrix(wrong, cohort((1, AT)), CATALOGUE)


def test_timelines_on_disk_give_the_same_and_their_version(
    events: pa.Table, matrix: Matrix, tmp_path: Path
) -> None:
    timelines = Timelines.open(tmp_path / "timelines", create=True, buckets=4)
    timelines.append(events.slice(0, 150), label="first")
    timelines.append(events.slice(150), label="second")
    built = compute_matrix(timelines, matrix.cohort, CATALOGUE)
    assert built.values.tobytes() == matrix.values.tobytes()
    assert built.data_version == timelines.version
    assert built.hash != matrix.hash


def test_one_person_takes_milliseconds(events: pa.Table) -> None:
    own = events.filter(pa.compute.equal(events.column("subject_id"), 1))
    asked = cohort((1, AT))
    compute_matrix(own, asked, CATALOGUE)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        compute_matrix(own, asked, CATALOGUE)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.05


def test_the_golden_person_has_the_golden_values() -> None:
    """A small pathway whose numbers were checked by hand; `golden_matrix.json` holds them."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    lines = []
    for number, written in enumerate(golden["events"]):
        line = dict.fromkeys(EVENTS.names) | {"subject_id": 1, "event_id": f"e{number}"} | written
        for name in ("time", "recorded_at", "end_time"):
            line[name] = line[name] and datetime.fromisoformat(line[name])
        lines.append(line)
    t = datetime.fromisoformat(golden["prediction_time"])
    built = compute_matrix(table(lines), cohort((1, t)), CATALOGUE)
    values = dict(zip(built.names, built.values[0].tolist(), strict=True))
    found = {name: round(value, 4) for name, value in values.items() if value and value == value}
    checked = golden["values_other_than_zero_and_missing"]
    assert {name: found.get(name) for name in checked} == checked
