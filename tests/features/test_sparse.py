"""Sparse matrices: what is written is what the dense one holds, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from features.catalogue import Catalogue
from features.errors import ConfigurationError, DataError
from features.events import EVENTS
from features.matrix import compute_matrix
from features.sparse import SparseMatrix, build_sparse, sparse_as_zero
from tests.features.test_matrix import cohort
from tests.features.test_no_leak import AT, past
from tests.features.test_store import FULL, OWN

SLIDING = ("count", "any", "sum", "mean", "days_since_last", "trend", "share")
COLUMNS = [
    name
    for name in OWN
    if FULL.feature(name).measure in SLIDING
    and FULL.feature(name).period in (None, "month", "quarter")
    and not FULL.feature(name).about
]
WIDE = FULL.only(COLUMNS)
ADDING = FULL.only([n for n in COLUMNS if FULL.feature(n).measure in ("count", "sum", "any")])


def dense(matrix: SparseMatrix) -> np.ndarray:
    """All values, from what is written and what is not."""
    rows = []
    for counts, indices, data in matrix.raw_parts():
        block = np.repeat(matrix.empty[None, :], len(counts), axis=0)
        block[np.repeat(np.arange(len(counts)), counts), indices] = data
        rows.append(block)
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def events() -> pa.Table:
    return pa.Table.from_pylist(past(np.random.default_rng(5), 900), schema=EVENTS)


@pytest.fixture(scope="module")
def asked() -> pa.Table:
    return cohort(*((s, AT - timedelta(days=17 * m)) for m in range(20) for s in (3, 1, 9, 2)))


def test_written_and_unwritten_values_are_the_dense_matrix(
    events: pa.Table, asked: pa.Table, tmp_path: Path
) -> None:
    found = build_sparse(tmp_path, events, asked, WIDE)
    there = compute_matrix(events, found.cohort, WIDE).values
    assert dense(found).tobytes() == there.tobytes()
    changed = (there != found.empty) & ~(np.isnan(there) & np.isnan(found.empty))
    assert found.values == changed.sum()
    assert 0 < found.values < there.size


def test_scipy_reads_it(events: pa.Table, asked: pa.Table, tmp_path: Path) -> None:
    found = build_sparse(tmp_path, events, asked, ADDING)
    whole = np.concatenate([part.toarray() for part in found.parts()])
    np.testing.assert_array_equal(whole, compute_matrix(events, found.cohort, ADDING).values)
    assert all(part.has_sorted_indices for part in found.parts())


def test_missing_is_never_read_as_zero(events: pa.Table, asked: pa.Table, tmp_path: Path) -> None:
    found = build_sparse(tmp_path, events, asked, WIDE)
    with pytest.raises(DataError, match="not 0, without events"):
        next(found.parts())


def test_one_array_over_files_is_what_scipy_and_lightgbm_read(
    events: pa.Table, asked: pa.Table, tmp_path: Path
) -> None:
    found = build_sparse(tmp_path, events, asked, ADDING, events_at_once=100)
    whole = found.csr()
    there = compute_matrix(events, found.cohort, ADDING).values
    np.testing.assert_array_equal(whole.toarray(), there)
    # A copy in memory could be written.
    assert not whole.data.flags.writeable
    assert not csr_matrix(whole).indices.flags.writeable
    label = there[:, int(there.std(axis=0).argmax())] > 0
    params = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}
    trees = []
    for rows in (csr_matrix(whole), there):
        data = lightgbm.Dataset(rows, label.astype(float), params=params)
        model = lightgbm.train(params, data, 3)
        trees.append(model.predict(rows))
    assert trees[0].std() > 0
    np.testing.assert_array_equal(trees[0], trees[1])


def test_zero_columns_are_known_by_their_measure() -> None:
    assert {f.measure for f in WIDE.features if sparse_as_zero(f)} <= {
        "count", "any", "sum", "trend"
    }  # fmt: skip
    assert not any(sparse_as_zero(f) for f in FULL.features if f.among_peers or f.about)


def test_other_measures_are_refused_by_name(
    events: pa.Table, asked: pa.Table, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be sparse"):
        build_sparse(tmp_path, events, asked, FULL)


def test_values_that_do_not_add_up_exactly_are_refused(
    events: pa.Table, asked: pa.Table, tmp_path: Path
) -> None:
    place = events.column_names.index("numeric_value")
    wild = np.where(np.arange(len(events)) % 2, 1e30, 1e-30).astype(np.float32)
    column = pa.array(wild)
    with pytest.raises(DataError, match="not exact"):
        build_sparse(tmp_path, events.set_column(place, "numeric_value", column), asked, WIDE)


def test_rows_of_many_values_find_room(
    events: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.sparse.ROOM", 8)
    many = cohort(*((s, AT - timedelta(days=m)) for m in range(50) for s in (1, 2)))
    found = build_sparse(tmp_path, events, many, ADDING)
    assert dense(found).tobytes() == compute_matrix(events, found.cohort, ADDING).values.tobytes()


def test_a_catalogue_of_twenty_thousand_codes_is_quick_to_compile() -> None:
    from features.engine import Engine
    from tests.features.timelines_at_random import feature

    codes = [f"D//E//C{i}" for i in range(20_000)]
    many = Catalogue(tuple(feature("count", 30, codes=(code,)) for code in codes), "UTC", {})
    plans = Engine(many, last_seen=False).layout.kinds(("",))
    assert len(plans.codes) == 20_000
