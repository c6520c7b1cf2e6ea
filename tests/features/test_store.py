"""The stored matrix: the same values as in memory, only what is new computed, resumed, pruned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.catalogue import Catalogue
from features.definitions import build_catalogue
from features.errors import DataError
from features.matrix import compute_matrix
from features.part_folder import PartFolder
from features.store import Built, build_store
from features.stored_matrix import StoredMatrix
from features.timelines import Timelines
from tests.features.test_matrix import cohort, table
from tests.features.test_no_leak import AT, past
from tests.features.timelines_at_random import five_services

FULL = build_catalogue(five_services())
PEERS = [name for name in FULL.names if FULL.feature(name).among_peers]
OWN = [name for name in FULL.names if not FULL.feature(name).among_peers]
COMPARED = {FULL.feature(name).of for name in PEERS} - {None}
SMALL = Catalogue(
    tuple(
        replace(feature, least=3) if feature.among_peers else feature
        for feature in FULL.features
        if feature.name in {*OWN[:40], *PEERS, *COMPARED}
    ),
    FULL.timezone,
    FULL.service_of,
)
PEOPLE = 60


@pytest.fixture
def timelines(tmp_path: Path) -> Timelines:
    opened = Timelines.open(tmp_path / "timelines", create=True, buckets=4)
    random = np.random.default_rng(3)
    lines = past(random, 3000)
    ids = np.sort(random.integers(1, 2**63 - 1, PEOPLE))
    for line in lines:
        line["subject_id"] = int(ids[int(random.integers(PEOPLE - 2))])
    opened.append(table(lines), label="events")
    opened.compact()
    return opened


@pytest.fixture
def asked(timelines: Timelines) -> pa.Table:
    people = [*timelines.subjects().tolist(), 5, 2**62]
    random = np.random.default_rng(4)
    rows = [(s, AT - timedelta(days=30 * m)) for m in range(4) for s in people]
    random.shuffle(rows)
    label = pa.array([float(i % 2) for i in range(len(rows))])
    return cohort(*rows).append_column("label", label)


def built(folder: Path, timelines: Timelines, asked: pa.Table, catalogue: Catalogue) -> Built:
    return build_store(folder, timelines, asked, catalogue, events_at_once=400)


def test_on_disk_it_is_what_it_is_in_memory(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    done = built(tmp_path / "store", timelines, asked, SMALL)
    there = compute_matrix(timelines, asked, SMALL)
    assert done.parts >= 4
    assert done.computed == done.parts
    found = done.matrix.matrix()
    assert found.hash == there.hash
    peers = [SMALL.places[name] for name in PEERS]
    assert (~np.isnan(found.values[:, peers])).mean() > 0.3
    assert found.peers is not None
    assert there.peers is not None
    assert found.peers.hash == there.peers.hash


def test_a_second_build_computes_nothing(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "store", timelines, asked, SMALL)
    times = {file: file.stat().st_mtime_ns for file in first.matrix.files()}
    again = built(tmp_path / "store", timelines, asked, SMALL)
    assert (again.computed, again.columns) == (0, 0)
    assert again.matrix.hash == first.matrix.hash
    assert {file: file.stat().st_mtime_ns for file in again.matrix.files()} == times


def test_an_added_feature_computes_only_itself(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    few = FULL.only(OWN[:40])
    more = FULL.only([OWN[41], *OWN[:40], OWN[200]])
    built(tmp_path / "store", timelines, asked, few)
    done = built(tmp_path / "store", timelines, asked, more)
    fresh = {more.feature(name).group for name in (OWN[41], OWN[200])} - {*few.groups}
    assert done.columns == 2 + len(fresh)
    assert done.matrix.matrix().hash == compute_matrix(timelines, asked, more).hash


def test_new_events_touch_only_the_parts_of_their_bucket(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "store", timelines, asked, SMALL)
    person = int(timelines.subjects()[0])
    line = past(np.random.default_rng(9), 1)[0] | {"subject_id": person, "event_id": "new"}
    timelines.append(table([line]), label="one more")
    done = built(tmp_path / "store", timelines, asked, SMALL)
    assert 0 < done.computed < done.parts
    assert done.matrix.matrix().hash == compute_matrix(timelines, asked, SMALL).hash
    assert done.matrix.hash != first.matrix.hash


def test_an_interrupted_build_goes_on(
    timelines: Timelines, asked: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = PartFolder.block, []

    def breaking(self: PartFolder, names: list[str]) -> object:
        calls.append(self.path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, names)

    monkeypatch.setattr(PartFolder, "block", breaking)
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path / "store", timelines, asked, SMALL)
    monkeypatch.undo()
    done = built(tmp_path / "store", timelines, asked, SMALL)
    assert 0 < done.computed < done.parts
    assert done.matrix.matrix().hash == compute_matrix(timelines, asked, SMALL).hash


def test_a_block_without_its_list_does_not_count(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "store", timelines, asked, SMALL)
    listed = next((tmp_path / "store" / "parts").glob("*/block-*.json"))
    listed.unlink()
    listed.with_suffix(".parquet").write_bytes(b"half")
    done = built(tmp_path / "store", timelines, asked, SMALL)
    assert done.computed <= 1
    assert done.matrix.matrix().hash == first.matrix.matrix().hash


def test_other_rows_and_other_zones_are_other_parts(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    built(tmp_path / "store", timelines, asked, SMALL)
    zone = Catalogue(SMALL.features, "Pacific/Apia", SMALL.service_of)
    assert built(tmp_path / "store", timelines, asked, zone).computed >= 4
    assert built(tmp_path / "store", timelines, asked.slice(1), SMALL).computed >= 1


def test_the_array_on_disk_is_what_lightgbm_reads(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    matrix = built(tmp_path / "store", timelines, asked, SMALL).matrix
    values = matrix.memmap()
    assert isinstance(values, np.memmap)
    assert values.flags.c_contiguous
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, matrix.matrix().values[matrix.places])
    keys = matrix.keys()
    assert keys["subject_id"].to_pylist() == sorted(asked["subject_id"].to_pylist())
    data = lightgbm.Dataset(values, keys["label"].to_numpy(), params={"verbose": -1})
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 2)
    assert model.num_feature() == len(SMALL)
    assert matrix.memmap().filename == values.filename


def test_its_content_is_known_without_being_in_memory(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    shuffled = built(tmp_path / "store", timelines, asked, SMALL).matrix
    assert shuffled.content_hash() == compute_matrix(timelines, asked, SMALL).hash
    in_order = built(tmp_path / "store", timelines, shuffled.keys(), SMALL).matrix
    assert in_order.content_hash() == compute_matrix(timelines, shuffled.keys(), SMALL).hash
    assert in_order.content_hash() != shuffled.content_hash()


def test_one_matrix_has_the_array_on_disk(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "store", timelines, asked, SMALL).matrix
    values = np.array(first.memmap())
    built(tmp_path / "store", timelines, asked.slice(3), SMALL)
    assert not list((tmp_path / "store").glob("values-*.npy"))
    np.testing.assert_array_equal(first.memmap(), values)


def test_many_columns_are_warned_about(
    timelines: Timelines, asked: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.store.WIDE", 2)
    with pytest.warns(UserWarning, match=r"3 columns: beyond about 2, .*--sparse"):
        built(tmp_path / "store", timelines, asked, FULL.only(OWN[:3]))


def test_a_matrix_is_found_again_by_its_file(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    matrix = built(tmp_path / "store", timelines, asked, SMALL).matrix
    back = StoredMatrix.open(matrix.sign())
    assert back.hash == matrix.hash
    assert back.matrix().hash == matrix.matrix().hash
    with pytest.raises(DataError, match="jalon features build"):
        StoredMatrix.open(tmp_path / "none.json")


def test_old_matrices_are_removed_with_their_parts(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    for cut in range(5):
        built(tmp_path / "store", timelines, asked.slice(cut), FULL.only(OWN[:3]))
    store = tmp_path / "store"
    signed = sorted(store.glob("matrix-*.json"))
    assert len(signed) == 3
    for file in signed:
        assert StoredMatrix.open(file).matrix().values.shape[1] == 3
    assert len(list(store.glob("rows-*.parquet"))) == 3


def test_no_column_holds_a_person(timelines: Timelines, asked: pa.Table, tmp_path: Path) -> None:
    matrix = built(tmp_path / "store", timelines, asked, SMALL).matrix
    for file in matrix.files():
        kinds = {str(kind) for kind in pq.read_schema(file).types}
        assert kinds <= {"float", "int32"}


def test_ranks_follow_what_they_compare(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    """The compared feature keeps its name and changes its meaning."""
    one = FULL.feature(OWN[0])
    other = replace(one, codes=("HOUSING//SITUATION//STREET", "NEED//HEALTH//RAISED"))
    assert one.codes != other.codes
    rank = replace(FULL.feature(next(n for n in PEERS if ".rank." in n)), of=one.name, least=2)
    for compared in (one, other):
        catalogue = Catalogue((compared, rank), FULL.timezone, FULL.service_of)
        done = built(tmp_path / "store", timelines, asked, catalogue)
        there = compute_matrix(timelines, asked, catalogue)
        found = done.matrix.matrix()
        assert found.hash == there.hash
        assert found.peers is not None
        assert there.peers is not None
        assert found.peers.hash == there.peers.hash


def test_parts_have_a_limit_of_rows_too(
    timelines: Timelines, asked: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.store.ROWS_AT_ONCE", 9)
    done = build_store(tmp_path / "store", timelines, asked, SMALL)
    assert max(done.matrix.sizes) <= 9 + 4
    assert done.matrix.matrix().hash == compute_matrix(timelines, asked, SMALL).hash


def test_what_a_removal_cut_short_left_is_computed_again(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "store", timelines, asked, SMALL)
    gone = sorted((tmp_path / "store" / "parts").glob("*/block-*.parquet"))
    for block in gone:
        block.unlink()
    assert built(tmp_path / "store", timelines, asked, SMALL).computed == first.parts
    assert first.matrix.matrix().hash == compute_matrix(timelines, asked, SMALL).hash
