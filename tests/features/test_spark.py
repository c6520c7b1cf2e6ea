"""Spark against the engine at home: the same numbers to the last bit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import features.spark as jalon_spark
from features.catalogue import Catalogue
from features.errors import ConfigurationError, DataError
from features.events import EVENTS
from features.matrix import Matrix, compute_matrix
from features.peers import PeerGroups, comparisons
from features.spark import spark_matrix
from features.spark_peers import read_peers, spark_peers
from features.superseded import superseded_at
from features.timelines import Timelines
from tests.features import timelines_at_random as random
from tests.features.test_peers import catalogue_of

ROOT = Path(__file__).resolve().parents[2]
OWN = random.every_measure()
PEERS = catalogue_of(("service", "text_value"))
EVERY = Catalogue((*OWN.features, *PEERS.features), random.ZONE, random.SERVICES)


# Nothing here passes through pandas on its way to or from Spark.
pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
]


def _java() -> str | None:
    """Why Spark cannot run here; None when it can."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        return "Java is absent"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < 17:
        return f"Spark 4 needs Java 17 or newer, not {found[1] if found else 'this one'}"
    return None


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A local session with two Python workers."""
    pytest.importorskip("pyspark", reason="pyspark is missing: install jalon[spark]")
    why = _java()
    if why is not None:
        pytest.skip(why)
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "3")
        .config("spark.sql.session.timeZone", "America/Guadeloupe")
        .config("spark.jalon.files", str(tmp_path_factory.mktemp("files")))
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "16")
        .config("spark.local.dir", str(tmp_path_factory.mktemp("spark")))
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .getOrCreate()
    )
    yield session
    session.stop()


def cohort(rows: list[tuple[int, datetime]]) -> pa.Table:
    """Rows numbered in a column of their own, for Spark's order is its own."""
    return pa.table(
        {
            "subject_id": pa.array([subject for subject, _ in rows], pa.int64()),
            "prediction_time": pa.array([t for _, t in rows], pa.timestamp("us")),
            "place": pa.array(range(len(rows)), pa.int64()),
        }
    )


def frame(spark: Any, table: pa.Table) -> Any:
    """A table as Spark reads it from files, whose times have no zone."""
    file = Path(tempfile.mkdtemp(dir=spark.conf.get("spark.jalon.files"))) / "table.parquet"
    pq.write_table(table, file)
    return spark.read.parquet(str(file))


def computed(
    spark: Any, events: pa.Table, rows: pa.Table, catalogue: Catalogue, **more: Any
) -> pa.Table:
    frames = [frame(spark, table) for table in (events, rows)]
    return spark_matrix(*frames, catalogue, **more).toArrow().sort_by("place")


def same(found: pa.Table, matrix: Matrix) -> None:
    assert found.column_names[: matrix.cohort.num_columns] == matrix.cohort.column_names
    values = np.stack([found.column(n).to_numpy() for n in matrix.names], axis=1)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values.view(np.int32), matrix.values.view(np.int32))


@st.composite
def towns(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """Some random timelines side by side, so that one job of Spark tells of many."""
    events, rows = [], []
    for place in range(draw(st.integers(8, 12))):
        for event in draw(random.events(subjects=4, most=40)):
            subject = event["subject_id"] + 10 * place
            events.append(
                event | {"subject_id": subject, "event_id": f"{place} {event['event_id']}"}
            )
        people = st.integers(1, 5).map(lambda n, place=place: n + 10 * place)
        rows += draw(st.lists(st.tuples(people, st.sampled_from(random.TIMES)), max_size=20))
    return pa.Table.from_pylist(events, schema=EVENTS), cohort(rows)


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],  # each example is two jobs of Spark: too slow to be made smaller
    suppress_health_check=list(HealthCheck),
)
@given(towns())
def test_every_measure_is_the_same_to_the_last_bit(
    spark: Any, town: tuple[pa.Table, pa.Table]
) -> None:
    events, rows = town
    # Versions may move to another person here: who was replaced is known from all of them.
    replaced = pa.array(superseded_at(events), pa.timestamp("us"))
    told = events.append_column("superseded_at", replaced)
    matrix = compute_matrix(events, rows, EVERY)
    same(computed(spark, told, rows, EVERY), matrix)
    same(computed(spark, told, rows, EVERY, peers=matrix.peers, partitions=2), matrix)


def few() -> tuple[pa.Table, pa.Table]:
    """A hundred people with corrections, twelve of them without events, 240 rows."""
    chance = np.random.default_rng(3)
    at = datetime(2025, 1, 1)
    events = []
    for number in range(1500):
        time = at + timedelta(days=int(chance.integers(0, 300)))
        known = time + timedelta(days=int(chance.integers(0, 9)))
        one = {"subject_id": 1 + number % 88, "time": time, "recorded_at": known,
               "code": str(chance.choice(["A", "B", "C", "P"])), "source": f"s{number % 3 + 1}",
               "numeric_value": float(chance.integers(0, 9)) / 4, "event_id": f"e{number}",
               "text_value": None, "reference": f"r{number % 7}"}  # fmt: skip
        events.append(one)
        if number % 9 == 0:
            events.append(one | {"code": "B", "recorded_at": known + timedelta(days=20)})
    rows = [(1 + n % 100, random.TIMES[n % len(random.TIMES)]) for n in range(240)]
    return pa.Table.from_pylist(events, schema=EVENTS), cohort(rows)


def test_instants_of_any_zone_and_the_latest_days(spark: Any) -> None:
    events, rows = few()
    for name in ("time", "recorded_at", "end_time"):
        at = events.column_names.index(name)
        told = events.column(name).cast(pa.timestamp("us", "UTC"))
        events = events.set_column(at, name, told)
    at = rows.column_names.index("prediction_time")
    utc = rows.column("prediction_time").cast(pa.timestamp("us", "UTC"))
    elsewhere = rows.set_column(at, "prediction_time", utc)
    matrix = compute_matrix(few()[0], rows, PEERS)
    found = computed(spark, events, elsewhere, PEERS, last_seen=True)
    same(found, matrix)
    days = [found.column(f"last_seen/{name}").to_numpy() for name in PEERS.groups]
    np.testing.assert_array_equal(np.stack(days, axis=1), matrix.last_seen)
    assert found.column("prediction_time").cast(pa.int64()).equals(utc.cast(pa.int64()))


def test_the_groups_of_a_spark_matrix_are_kept_and_serve_the_same_ranks(
    spark: Any, tmp_path: Path
) -> None:
    """Written by the executors, read again, saved beside a model: equal to the last bit."""
    events, rows = few()
    matrix = spark_matrix(frame(spark, events), frame(spark, rows), PEERS, peer_keys=True)
    keys = [name for name in matrix.columns if name.startswith("peer_key/")]
    assert keys == [f"peer_key/{at}" for at in range(len(comparisons(PEERS)))]
    matrix.write.parquet(str(tmp_path / "matrix"))
    written = spark.read.parquet(str(tmp_path / "matrix"))
    begun = spark.sparkContext.statusTracker()
    before = set(begun.getJobIdsForGroup())
    spread = spark_peers(written, PEERS)
    assert set(begun.getJobIdsForGroup()) == before
    spread.write.parquet(str(tmp_path / "peers"))
    groups = read_peers(tmp_path / "peers", PEERS)

    home = compute_matrix(events, rows, PEERS)
    assert home.peers is not None
    assert groups.hash == home.peers.hash
    same(pq.read_table(tmp_path / "matrix").sort_by("place"), home)

    # What a model carries: one row alone gets the rank it was trained on.
    groups.save(tmp_path / "peers.parquet")
    served = PeerGroups.load(tmp_path / "peers.parquet")
    for place in range(0, 240, 17):
        alone = compute_matrix(events, rows.slice(place, 1), PEERS, peers=served).values[0]
        np.testing.assert_array_equal(alone.view(np.int32), home.values[place].view(np.int32))
    again = spark_matrix(frame(spark, events), frame(spark, rows), PEERS, peers=groups)
    same(again.toArrow().sort_by("place"), home)


def test_small_keys_are_not_written_and_a_small_group_of_a_large_key_has_no_number(
    spark: Any, tmp_path: Path
) -> None:
    """Keys that never have `least` people could tell of one of them: no file holds their name."""
    times = [datetime(2025, 1, 1), datetime(2025, 2, 1)]
    key = {"large": [(n, t) for t in times for n in range(9 if t == times[0] else 2)]}
    key["small"] = [(n, times[0]) for n in range(20, 23)]
    told = [(name, *row) for name, rows in key.items() for row in rows]
    least = 5
    of = random.feature("count", None)
    rank = replace(of, name="p.rank", group="p", measure="rank", peers="service", least=least)
    catalogue = Catalogue((of, replace(rank, of=of.name)), random.ZONE)
    table = pa.table(
        {
            "subject_id": pa.array([subject for _, subject, _ in told], pa.int64()),
            "prediction_time": pa.array([t for _, _, t in told], pa.timestamp("us")),
            "peer_key/0": [name for name, _, _ in told],
            of.name: pa.array(range(len(told)), pa.float32()),
        }
    )
    spark_peers(frame(spark, table), catalogue).write.parquet(str(tmp_path / "peers"))
    found = pq.read_table(tmp_path / "peers", partitioning=None).sort_by("prediction_time")
    assert found["key"].to_pylist() == ["large", "large"]
    assert found["people"].to_pylist() == [9, 0]
    assert [len(values) for values in found["values"].to_pylist()] == [9, 0]
    groups = read_peers(tmp_path / "peers", catalogue)
    assert not any("small" in one.names for one in groups.by.values())


def test_groups_that_are_not_whole_are_refused(spark: Any, tmp_path: Path) -> None:
    events, rows = few()
    frames = frame(spark, events), frame(spark, rows)
    matrix = spark_matrix(*frames, PEERS)
    with pytest.raises(DataError, match=r"peer_key/0.*peer_keys=True"):
        spark_peers(matrix, PEERS)
    with pytest.raises(ConfigurationError, match="Leave out peer_keys"):
        spark_matrix(*frames, PEERS, peers=PeerGroups({}), peer_keys=True)
    with pytest.raises(DataError, match="spark_peers"):
        read_peers(tmp_path / "nothing", PEERS)
    groups = compute_matrix(events, rows, PEERS).peers
    assert groups is not None
    (tmp_path / "peers").mkdir()
    table = groups.to_table()
    several = next(text for text, one in groups.by.items() if len(one.of) > 1)
    lost = pc.equal(table["comparison"], several).index(True).as_py()
    less = pa.concat_tables([table.slice(0, lost), table.slice(lost + 1)])
    for part in (less, pa.concat_tables([table, table.slice(0, 1)])):
        pq.write_table(part, tmp_path / "peers" / "part.parquet")
        with pytest.raises(DataError, match="Make them again from the whole matrix"):
            read_peers(tmp_path / "peers", PEERS)
    pq.write_table(table, tmp_path / "peers" / "part.parquet")
    assert read_peers(tmp_path / "peers", PEERS).hash == groups.hash


def test_nothing_runs_and_nothing_comes_back_until_it_is_asked_for(
    spark: Any, tmp_path: Path
) -> None:
    events, rows = (frame(spark, table) for table in few())
    begun = spark.sparkContext.statusTracker()
    before = set(begun.getJobIdsForGroup())
    matrix = spark_matrix(events, rows, PEERS)
    assert set(begun.getJobIdsForGroup()) == before
    matrix.write.parquet(str(tmp_path / "matrix"))
    written = pq.read_table(tmp_path / "matrix").sort_by("place")
    same(written, compute_matrix(*few(), PEERS))


def test_the_example_of_the_documentation_runs(spark: Any, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "spark.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(# Runs as it stands.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"folder": tmp_path}
    exec(compile(example, "docs/spark.md", "exec"), names)
    assert names["rows"] == 3
    assert (tmp_path / "matrix").is_dir()


def batches(events: pa.Table, rows: pa.Table, size: int) -> list[pa.RecordBatch]:
    """Both tables as Spark would send them: sorted by person, in small batches."""
    parts = []
    for name, one in (("event", events), ("row", rows)):
        struct = pa.StructArray.from_arrays(
            [column.combine_chunks() for column in one.columns], names=one.column_names
        )
        parts.append(pa.table({"together": one.column("subject_id"), name: struct}))
    both = pa.concat_tables(parts, promote_options="default")
    order = np.argsort(both.column("together").to_numpy(), kind="stable")
    return both.take(pa.array(order)).combine_chunks().to_batches(max_chunksize=size)


@pytest.mark.parametrize("limit", [1, 3_000, 20_000, 64 << 20])
@pytest.mark.parametrize("size", [7, 5_000])
def test_blocks_hold_whole_people_and_change_nothing(
    limit: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jalon_spark, "BLOCK", limit)
    events, rows = few()
    catalogue = Catalogue(OWN.features, random.ZONE, random.SERVICES)
    blocks = list(jalon_spark.blocks(iter(batches(events, rows, size)), 40))
    people = [set(block.column("together").to_pylist()) for block in blocks]
    assert sum(map(len, people)) == len(set.union(*people)) == 100
    assert sum(block.num_rows for block in blocks) == events.num_rows + rows.num_rows
    if limit < 20_000 and size == 7:
        assert len(blocks) > 10
    engine = jalon_spark._engine(catalogue.to_json(), False)
    found = pa.concat_tables([jalon_spark._computed(engine, block, None) for block in blocks])
    names = [*rows.column_names, *catalogue.names]
    found = found.rename_columns(names).sort_by("place")
    same(found, compute_matrix(events, rows, catalogue))


def test_one_person_with_most_events_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    size = jalon_spark._size

    def counted(batch: pa.RecordBatch, width: int) -> int:
        nonlocal seen
        seen += 1
        return size(batch, width)

    monkeypatch.setattr(jalon_spark, "BLOCK", 1)
    monkeypatch.setattr(jalon_spark, "_size", counted)
    marks = pa.array([5] * 200_000 + [6], pa.int64())
    table = pa.table({"together": marks})
    blocks = jalon_spark.blocks(iter(table.to_batches(max_chunksize=100)), 0)
    assert [block.num_rows for block in blocks] == [200_001]
    assert seen < 5 * 2_001  # not the square of the number of batches


def test_what_is_missing_is_said_before_anything_runs(spark: Any) -> None:
    events, rows = (frame(spark, table) for table in few())
    with pytest.raises(DataError, match="events: event_id, cohort: prediction_time"):
        spark_matrix(events.drop("event_id"), rows.drop("prediction_time"), PEERS)
    name = PEERS.names[0]
    with pytest.raises(DataError, match="Drop or rename"):
        spark_matrix(events, rows.withColumnRenamed("place", name), PEERS)


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyspark", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"jalon\[spark\]"):
        spark_matrix(None, None, PEERS)  # type: ignore[arg-type]


def test_files_of_several_appends_are_read_as_the_timelines_are(spark: Any, tmp_path: Path) -> None:
    """A version and its correction in two files: neither file knows of the other."""
    timelines = Timelines.open(tmp_path / "timelines", create=True, buckets=1)
    line = dict.fromkeys(EVENTS.names) | {"subject_id": 5, "source": "s1", "event_id": "e"}
    line |= {"time": datetime(2025, 1, 1), "code": "A", "recorded_at": datetime(2025, 1, 2)}
    corrected = line | {"code": "B", "recorded_at": datetime(2025, 1, 9)}
    for one in (line, corrected):
        timelines.append(pa.Table.from_pylist([one], schema=EVENTS), label="one")
    files = sorted(str(file) for file in (tmp_path / "timelines").glob("bucket=0/*.parquet"))
    assert len(files) == 2
    both = (random.feature("count", None), random.feature("count", None, codes=("B",)))
    catalogue = Catalogue(both, random.ZONE)
    cohort = pa.table(
        {"subject_id": pa.array([5]), "prediction_time": pa.array([datetime(2025, 4, 5, 12)])}
    )
    there = compute_matrix(timelines, cohort, catalogue).values
    pq.write_table(cohort, tmp_path / "cohort.parquet")
    rows = spark.read.parquet(str(tmp_path / "cohort.parquet"))
    found = spark_matrix(spark.read.parquet(*files), rows, catalogue).collect()
    assert [found[0][name] for name in catalogue.names] == there[0].tolist() == [0.0, 1.0]
