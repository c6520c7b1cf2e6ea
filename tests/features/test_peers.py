"""Peers: against a slow reference, served as trained to the last bit, and blind to the future."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue import Catalogue, Feature
from features.errors import ConfigurationError, DataError
from features.events import EVENTS
from features.matrix import Matrix, compute_matrix
from features.peer_groups import KEPT, Compared
from features.peers import Comparison, Keys, PeerGroups, compare, comparisons, narrow
from tests.features import timelines_at_random as random
from tests.features.reference import known

Event = dict[str, Any]
Row = tuple[int, datetime]
LABEL = {"fr": "Faits", "en": "Facts"}
SERVICE_OF = random.SERVICES


def own(measure: str, codes: tuple[str, ...] = ("A", "B")) -> Feature:
    return Feature(f"own.{measure}.all", "own", measure, None, "t", LABEL, "count", codes)


def among(peers: str, measure: str, of: str | None, least: int = 1, **more: Any) -> Feature:
    more = {"codes": ("A", "B", "C", "P")} | more
    name = f"{peers}{least}{sorted(more)}.{measure}.{of or 'all'}"
    return Feature(
        name, name.split(".")[0], measure, None, "t", LABEL, "share", peers=peers, of=of,
        least=least, **more,
    )  # fmt: skip


def catalogue_of(kinds: tuple[str, ...] = ("code", "service", "reference", "text_value")) -> Any:
    owned = (own("count"), own("days_since_last"))
    compared = [
        among(peers, measure, None if measure == "group_size" else one.name, least)
        for peers in kinds
        for one in owned
        for measure in ("rank", "group_size", "group_mean")
        for least in (1, 2)
        if measure != "group_size" or (one is owned[0] and least == 1)
    ]
    few = among("service", "rank", owned[0].name, services=("south",), value_min=0.0)
    return Catalogue((*owned, *compared, few), random.ZONE, SERVICE_OF)


CATALOGUE = catalogue_of()


def table(events: list[Event]) -> pa.Table:
    return pa.Table.from_pylist(events, schema=EVENTS)


def cohort(rows: list[Row]) -> pa.Table:
    return pa.table(
        {
            "subject_id": pa.array([subject for subject, _ in rows], pa.int64()),
            "prediction_time": pa.array([t for _, t in rows], pa.timestamp("us")),
        }
    )


def key_of(events: list[Event], subject: int, t: datetime, feature: Feature) -> str | None:
    """What the latest event of a feature's codes says, written out slowly."""
    found = []
    for event in known(events, subject, t):
        service = SERVICE_OF.get(event["source"], event["source"])
        value = event["numeric_value"]
        if event["code"] not in feature.codes or event["time"] is None or event["time"] >= t:
            continue
        if feature.services is not None and service not in feature.services:
            continue
        if feature.value_min is not None and (value is None or value < feature.value_min):
            continue
        key = service if feature.peers == "service" else event[feature.peers]
        found.append((event["time"], event["recorded_at"], key is not None, key or ""))
    last = max(found, default=None)
    return last[3] if last is not None and last[2] else None


def expected(events: list[Event], rows: list[Row], matrix: Matrix) -> npt.NDArray[np.float64]:
    """The peer columns of a matrix from its own other columns, row by row."""
    values = matrix.values.astype(np.float64)
    for place, feature in enumerate(matrix.catalogue.features):
        if not feature.among_peers:
            continue
        keys = [key_of(events, subject, t, feature) for subject, t in rows]
        for i, (_, t) in enumerate(rows):
            values[i, place] = math.nan
            peers = {
                subject: j
                for j, (subject, when) in enumerate(rows)
                if when == t and keys[j] == keys[i] is not None
            }
            if feature.measure == "group_size":
                values[i, place] = len(peers) or math.nan
                continue
            column = values[:, matrix.catalogue.places[str(feature.of)]]
            theirs = [column[j] for j in peers.values() if not math.isnan(column[j])]
            if keys[i] is None or len(theirs) < feature.least:
                continue
            if feature.measure == "group_mean":
                values[i, place] = sum(theirs) / len(theirs)
            elif not math.isnan(column[i]):
                lower = sum(v < column[i] for v in theirs)
                same = sum(v == column[i] for v in theirs)
                values[i, place] = (lower + same / 2) / len(theirs)
    return values.astype(np.float32).astype(np.float64)


rows_of_people = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(random.TIMES)), min_size=1, max_size=25
)


@settings(max_examples=150, deadline=None)
@given(random.events(subjects=6, most=60), rows_of_people)
def test_every_measure_equals_the_slow_reference(events: list[Event], rows: list[Row]) -> None:
    matrix = compute_matrix(table(events), cohort(rows), CATALOGUE)
    np.testing.assert_array_equal(matrix.values.astype(np.float64), expected(events, rows, matrix))


@settings(max_examples=100, deadline=None)
@given(random.events(subjects=6, most=60), rows_of_people, st.randoms())
def test_a_row_served_is_the_row_trained_on(
    events: list[Event], rows: list[Row], chance: Any
) -> None:
    trained = compute_matrix(table(events), cohort(rows), CATALOGUE)
    assert trained.peers is not None
    travelled = PeerGroups.from_table(trained.peers.to_table())
    for place, (subject, t) in enumerate(rows):
        mine = [event for event in events if event["event_id"] in _ids(events, subject)]
        chance.shuffle(mine)
        alone = compute_matrix(table(mine), cohort([(subject, t)]), CATALOGUE, peers=travelled)
        assert alone.values.tobytes() == trained.values[place].tobytes()


def _ids(events: list[Event], subject: int) -> set[str]:
    """Events of which some version is this person's: a later one may take it away."""
    return {event["event_id"] for event in events if event["subject_id"] == subject}


@settings(max_examples=100, deadline=None)
@given(random.events(subjects=6, most=60), rows_of_people, rows_of_people)
def test_rows_at_later_instants_change_nothing(
    events: list[Event], rows: list[Row], more: list[Row]
) -> None:
    t = sorted({when for _, when in rows})[len({when for _, when in rows}) // 2]
    early = [row for row in rows if row[1] <= t]
    late = [row for row in more if row[1] > t]
    alone = compute_matrix(table(events), cohort(early), CATALOGUE)
    beside = compute_matrix(table(events), cohort([*late, *early]), CATALOGUE)
    assert alone.values.tobytes() == beside.values[len(late) :].tobytes()
    served = compute_matrix(table(events), cohort(early), CATALOGUE, peers=beside.peers)
    assert alone.values.tobytes() == served.values.tobytes()


@settings(max_examples=50, deadline=None)
@given(random.events(subjects=6, most=60), rows_of_people, st.randoms())
def test_order_and_repeats_change_nothing(
    events: list[Event], rows: list[Row], chance: Any
) -> None:
    first = compute_matrix(table(events), cohort(rows), CATALOGUE)
    order = list(range(len(rows))) * 2
    chance.shuffle(order)
    mixed = list(events)
    chance.shuffle(mixed)
    twice = compute_matrix(table(mixed), cohort([rows[i] for i in order]), CATALOGUE)
    assert twice.values.tobytes() == first.values[order].tobytes()
    assert first.peers is not None
    assert twice.peers is not None
    assert twice.peers.hash == first.peers.hash


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), FLOATS), max_size=60), st.integers(1, 3))
def test_ranks_of_any_values(rows: list[tuple[int, float]], least: int) -> None:
    group = np.array([g for g, _ in rows], np.int64)
    values = np.array([v for _, v in rows], np.float32)
    compared = Compared.of(group, values, 4, least)
    ranks = compared.ranks(group, values, least)
    for rank, (g, v) in zip(ranks, rows, strict=True):
        theirs = [w for h, w in rows if h == g and not math.isnan(w)]
        if math.isnan(v) or len(theirs) < least:
            assert math.isnan(rank)
            continue
        share = (sum(w < v for w in theirs) + sum(w == v for w in theirs) / 2) / len(theirs)
        assert rank == np.float32(share)


def _one_group(values: npt.NDArray[np.float32]) -> tuple[Catalogue, npt.NDArray[np.float32], Any]:
    catalogue = Catalogue((own("count"), among("service", "rank", "own.count.all", 20)))
    return catalogue, np.stack([values, values], axis=1), [Keys.of(["north"] * len(values))]


def test_a_large_group_is_kept_as_order_statistics() -> None:
    values = np.random.default_rng(1).gamma(2.0, 10.0, 50_000).astype(np.float32)
    catalogue, matrix, keys = _one_group(values)
    instants, people = np.zeros(len(values), np.int64), np.arange(len(values))
    groups = compare(catalogue, matrix, keys, instants, people)
    (compared,) = [one for group in groups.by.values() for one in group.of.values()]
    assert len(compared.kept) == KEPT
    assert compared.number.tolist() == [50_000]
    assert compared.mean[0] == pytest.approx(values.astype(np.float64).mean(), rel=1e-7)
    exact = (np.searchsorted(np.sort(values), values) + 0.5) / len(values)
    assert np.abs(matrix[:, 1] - exact).max() <= 1 / KEPT
    served = matrix[::97].copy()
    served[:, 1] = 0
    compare(catalogue, served, [Keys.of(["north"] * len(served))], instants[::97], people[::97],
            PeerGroups.from_table(groups.to_table()))  # fmt: skip
    assert served.tobytes() == matrix[::97].tobytes()


def test_a_small_group_keeps_nothing_at_all() -> None:
    catalogue, matrix, keys = _one_group(np.arange(19, dtype=np.float32))
    groups = compare(catalogue, matrix, keys, np.zeros(19, np.int64), np.arange(19))
    assert np.isnan(matrix[:, 1]).all()
    assert groups.to_table().num_rows == 0


def test_the_latest_instant_of_the_key_serves() -> None:
    catalogue = Catalogue(
        (
            own("count"),
            among("service", "group_size", None),
            among("service", "rank", "own.count.all"),
        )
    )
    values = np.array([[1, 0, 0], [2, 0, 0], [3, 0, 0]], np.float32)
    keys = [Keys.of(["north", "north", "south"])]
    groups = compare(catalogue, values, keys, np.array([10, 20, 20]), np.array([1, 2, 3]))

    def served(key: str | None, instant: int) -> list[float]:
        row = np.array([[1.5, 0, 0]], np.float32)
        compare(catalogue, row, [Keys.of([key])], np.array([instant]), np.array([9]), groups)
        return row[0, 1:].tolist()

    assert served("north", 10) == served("north", 19) == [1, 1]
    assert served("north", 20) == served("north", 99) == [1, 0]
    nothing = [served("north", 9), served("south", 19), served("west", 99), served(None, 99)]
    assert np.isnan(nothing).all()


def test_groups_travel_in_a_file_that_is_checked(tmp_path: Path) -> None:
    events = [
        {"subject_id": n, "time": datetime(2025, 1, n), "code": "A", "numeric_value": n / 4,
         "recorded_at": datetime(2025, 1, n), "source": "s1", "event_id": f"e{n}"}
        for n in range(1, 10)
    ]  # fmt: skip
    rows = [(n, datetime(2025, month, 1)) for n in range(1, 10) for month in (2, 3)]
    matrix = compute_matrix(table(events), cohort(rows), CATALOGUE)
    assert matrix.peers is not None
    file = tmp_path / "peers.parquet"
    matrix.peers.save(file)
    assert [one.name for one in tmp_path.iterdir()] == ["peers.parquet"]
    assert PeerGroups.load(file).hash == matrix.peers.hash
    read = pq.read_table(file)
    people = pa.array([7] * read.num_rows, pa.int32())
    pq.write_table(read.set_column(4, read.schema.field(4), people), file)
    with pytest.raises(DataError, match="another content than was written"):
        PeerGroups.load(file)
    file.write_bytes(b"no Parquet")
    with pytest.raises(DataError, match="Hint: Train again"):
        PeerGroups.load(file)
    with pytest.raises(DataError, match="Hint: Train again"):
        PeerGroups.load(tmp_path / "none.parquet")


def test_groups_of_another_catalogue_are_refused() -> None:
    events, rows = table([]), cohort([(1, datetime(2025, 1, 1))])
    groups = compute_matrix(events, rows, catalogue_of(("service",))).peers
    with pytest.raises(DataError, match="3 of 5 comparison"):
        compute_matrix(events, rows, CATALOGUE, peers=groups)
    one, needs_more = (
        Catalogue((own("count"), among("service", "rank", "own.count.all", n))) for n in (5, 6)
    )
    kept_from_6 = compute_matrix(events, rows, needs_more).peers
    with pytest.raises(DataError, match="Train again"):
        compute_matrix(events, rows, one, peers=kept_from_6)


def test_faults_of_definitions_are_all_named() -> None:
    odd = among("service", "rank", "own.count.all", about=("B",))
    with pytest.raises(ConfigurationError, match="'about' has no meaning"):
        comparisons(Catalogue((own("count"), odd)))
    with pytest.raises(ConfigurationError, match=r"no feature own\.count\.all"):
        narrow(Catalogue((among("service", "rank", "own.count.all"),)))


def test_only_what_is_compared_is_needed() -> None:
    few = narrow(CATALOGUE)
    assert set(few.names) == set(CATALOGUE.names)
    more = Catalogue((own("any"), *CATALOGUE.features), random.ZONE, SERVICE_OF)
    assert narrow(more).names == CATALOGUE.names
    assert {one.peers for one in comparisons(few)} == {"code", "service", "reference", "text_value"}
    texts = [one.text for one in comparisons(few)]
    assert len(set(texts)) == len(texts) == 5
    assert all(isinstance(one, Comparison) for one in comparisons(few))
