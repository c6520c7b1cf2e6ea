"""Reading by chunks of people: together exactly the table, in bounded pieces, from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigurationError
from features.event_order import in_order, sorted_events
from features.events import EVENTS
from features.timeline_files import DataFile, Footers
from features.timeline_writing import how_to_write, stored_rows
from features.timelines import Chunk, Timelines

START = datetime(2025, 1, 1)
NARROW = ["subject_id", "time", "code", "numeric_value", "recorded_at"]


def events(subjects: Any, seed: int = 0) -> pa.Table:
    """One event a subject given, in the order given; some at one time, one in seven static."""
    rng = np.random.default_rng(seed)
    count = len(subjects)
    hours = rng.integers(0, max(2, min(count, 50_000) // 4), count)
    time = np.datetime64(START, "us") + hours * np.timedelta64(1, "h")
    static = np.arange(count) % 7 == 0
    columns = {field.name: pa.nulls(count, field.type) for field in EVENTS}
    columns |= {
        "subject_id": pa.array(subjects, pa.int64()),
        "time": pa.array(np.where(static, np.datetime64("NaT"), time), pa.timestamp("us")),
        "code": pa.array([f"C{number}" for number in rng.integers(0, 9, count)]),
        "numeric_value": pa.array(rng.integers(0, 9, count).astype(np.float32)),
        "recorded_at": pa.array(time, pa.timestamp("us")),
        "source": pa.array(["social"] * count),
        "event_id": pa.array([f"{number:032x}" for number in rng.integers(0, 2**62, count)]),
    }
    return pa.table(columns, schema=EVENTS)


def filled(folder: Path, parts: list[pa.Table], buckets: int, compacted: bool) -> Timelines:
    timelines = Timelines.open(folder, create=True, buckets=buckets)
    for part in parts:
        timelines.append(part, label="part")
    if compacted:
        timelines.compact()
    return timelines


def together(timelines: Timelines, chunks: list[Chunk], **how: Any) -> pa.Table:
    parts = [timelines.read_chunk(chunk, **how) for chunk in chunks]
    return pa.concat_tables([timelines.read(np.empty(0, np.int64), **_shape(how)), *parts])


def _shape(how: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in how.items() if name != "subjects"}


SUBJECT = st.sampled_from([1, 2, 3, 2**40, 2**61, 2**61 + 1, 2**62, 2**63 - 2, 2**63 - 1])
PART = st.lists(SUBJECT, min_size=1, max_size=15)


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(PART, max_size=3),
    buckets=st.integers(1, 3),
    compacted=st.booleans(),
    rows=st.integers(1, 30),
    wanted=st.lists(SUBJECT, max_size=4),
    day=st.sampled_from([None, 0, 1]),
)
def test_chunks_of_any_size_are_the_table(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[int]],
    buckets: int,
    compacted: bool,
    rows: int,
    wanted: list[int],
    day: int | None,
) -> None:
    tables = [events(part, seed) for seed, part in enumerate(parts)]
    timelines = filled(tmp_path_factory.mktemp("t") / "t", tables, buckets, compacted)
    known = None if day is None else START + timedelta(days=day)
    chunks = timelines.chunks(rows=rows)
    how: dict[str, Any] = {"as_known": known, "superseded": True}
    assert together(timelines, chunks, **how).equals(timelines.read(**how))
    borders = [border for chunk in chunks for border in (chunk.first, chunk.last)]
    assert borders == sorted(borders)
    assert all(one.last < other.first for one, other in pairwise(chunks))
    for chunk in chunks:
        assert timelines.read_chunk(chunk, ["code"]).num_rows <= chunk.rows

    people = np.array(wanted, np.int64)
    some = timelines.chunks(people, rows=rows)
    expected = timelines.read(people, columns=NARROW)
    assert together(timelines, some, subjects=people, columns=NARROW).equals(expected)
    assert all(any(chunk.first <= one <= chunk.last for one in wanted) for chunk in some)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Timelines:
    """Two buckets of several row groups each, and one person who fills some alone."""
    rng = np.random.default_rng(3)
    people = np.sort(rng.integers(1, 2**63 - 1, 3000))
    subjects = np.concatenate([rng.choice(people, 300_000), np.full(200_000, people[500])])
    rng.shuffle(subjects)
    parts = [events(subjects[start::2], seed=start) for start in range(2)]
    return filled(tmp_path_factory.mktemp("large") / "t", parts, 2, compacted=True)


def test_files_are_written_in_order_whatever_their_size(large: Timelines, tmp_path: Path) -> None:
    pieces = sorted_events(events(np.arange(1, 150_001)))
    in_pieces = pa.Table.from_batches(pieces.to_batches(max_chunksize=10_000))
    other = Timelines.open(tmp_path / "t", create=True, buckets=1)
    rows = stored_rows(in_pieces, pa.array(np.zeros(len(in_pieces), np.int32)))
    table = DeltaTable(str(other.folder))
    write_deltalake(table, rows, mode="append", **how_to_write(table, "t"))
    for folder in (large.folder, other.folder):
        for file in DeltaTable(str(folder)).file_uris():
            rows = pq.read_table(file, partitioning=None)
            assert in_order(rows)
            assert rows.equals(sorted_events(rows))
            assert pq.read_metadata(file).row_group(0).num_rows <= 65_536


@pytest.mark.parametrize("rows", [20_000, 100_000, 10**9])
def test_chunks_hold_about_as_many_rows_as_asked(large: Timelines, rows: int) -> None:
    chunks = large.chunks(rows=rows)
    held = [large.read_chunk(chunk, ["subject_id"]) for chunk in chunks]
    whole = large.read(columns=["subject_id"])
    assert pa.concat_tables(held).equals(whole)
    counts = pc.value_counts(whole["subject_id"].combine_chunks())
    (heavy,) = (one["values"] for one in counts.to_pylist() if one["counts"] > 100_000)
    for chunk, part in zip(chunks, held, strict=True):
        assert part.num_rows <= chunk.rows
        if not chunk.first <= heavy <= chunk.last:
            assert part.num_rows <= rows + 65_536
    if rows == 100_000:
        assert len(chunks) >= 4


def test_threads_read_what_one_reads(large: Timelines) -> None:
    chunks = large.chunks(rows=30_000)

    def one(chunk: Chunk) -> pa.Table:
        return large.read_chunk(chunk, NARROW, superseded=True, dictionaries=["code"])

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(one, chunks))
    found = pa.concat_tables(parts).unify_dictionaries()
    expected = large.read(columns=NARROW, superseded=True, dictionaries=["code"])
    assert found.cast(plain(found.schema)).equals(expected.cast(plain(expected.schema)))


def plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in schema
    )


@pytest.mark.parametrize("compacted", [False, True])
def test_texts_come_as_one_dictionary(tmp_path: Path, compacted: bool) -> None:
    parts = [events([5, 6, 2**62, 5], seed) for seed in range(3)]
    timelines = filled(tmp_path / "t", parts, 2, compacted)
    found = timelines.read(dictionaries=["code", "source", "reference"])
    for name in ("code", "source", "reference"):
        assert found.schema.field(name).type == pa.dictionary(pa.int32(), pa.string())
        first, *others = [chunk.dictionary for chunk in found[name].chunks]
        assert all(other.equals(first) for other in others)
    assert found.cast(EVENTS).equals(timelines.read())
    few = timelines.read(np.array([6]), START + timedelta(days=9), dictionaries=["code"])
    assert few.cast(EVENTS).equals(timelines.read(np.array([6]), START + timedelta(days=9)))
    none = Timelines.open(tmp_path / "none", create=True)
    assert none.read(dictionaries=["code"]).num_rows == 0


def test_the_fingerprint_of_a_bucket_changes_with_its_rows_alone(tmp_path: Path) -> None:
    timelines = filled(tmp_path / "t", [events([1, 2**62])], 2, compacted=False)
    before = [timelines.fingerprint(bucket) for bucket in range(2)]
    assert before == [Timelines.open(tmp_path / "t").fingerprint(bucket) for bucket in range(2)]
    timelines.append(events([2], seed=9), label="t")
    after = [timelines.fingerprint(bucket) for bucket in range(2)]
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)


def test_a_folder_of_any_name_is_read(tmp_path: Path) -> None:
    timelines = filled(tmp_path / "à lire 100%" / "t", [events([1, 2])], 1, compacted=False)
    assert timelines.read().num_rows == 2
    assert timelines.append(events([1, 2]), label="t").duplicates == 2


def test_what_cannot_be_asked_is_said(large: Timelines) -> None:
    with pytest.raises(ConfigurationError, match="at least 1 row a chunk"):
        large.chunks(rows=0)
    with pytest.raises(ConfigurationError, match=r"no column\(s\) place; no dictionary .* time"):
        large.read(columns=["place"], dictionaries=["time"])


def test_footers_are_read_once_and_the_eldest_forgotten(large: Timelines) -> None:
    paths = [Path(file) for file in DeltaTable(str(large.folder)).file_uris()]
    footers = Footers(most=1)
    one = footers.of(paths[0])
    assert footers.of(paths[0]) is one
    assert len(footers) == len(one.rows) == len(DataFile.of(paths[0]).rows)
    other = footers.of(paths[1])
    assert len(footers) == len(other.rows)
    assert footers.of(paths[0]) is not one
