"""The sparse store: reopened elsewhere, resumed, only what is new computed, old parts removed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.catalogue import Catalogue
from features.errors import DataError
from features.matrix import compute_matrix
from features.sparse import SparseMatrix, build_sparse
from features.sparse_block import SparseBlock
from features.timelines import Timelines
from tests.features.test_no_leak import past
from tests.features.test_sparse import ADDING, WIDE, dense
from tests.features.test_store import asked, table, timelines

__all__ = ["asked", "timelines"]

FEW = WIDE.only(WIDE.names[:30])
MORE = WIDE.only([WIDE.names[40], *reversed(WIDE.names[:30]), WIDE.names[33]])


def built(
    folder: Path, timelines: Timelines, asked: pa.Table, catalogue: Catalogue
) -> SparseMatrix:
    return build_sparse(folder, timelines, asked, catalogue, events_at_once=400)


def check(found: SparseMatrix, timelines: Timelines, catalogue: Catalogue) -> None:
    """Every value is that of the dense matrix, and those that are not `empty` are counted."""
    there = compute_matrix(timelines, found.cohort, catalogue).values
    assert dense(found).tobytes() == there.tobytes()
    assert found.values == sum(len(data) for _, _, data in found.raw_parts()) > 0
    for _, indices, _ in found.raw_parts():
        assert indices.dtype == np.int32


def test_another_process_reads_what_was_built(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "sparse", timelines, asked, ADDING)
    code = (
        "import sys; from features.sparse_matrix import SparseMatrix;"
        "m = SparseMatrix.open(sys.argv[1]);"
        "print(m.hash, m.rows, m.columns, m.values, m.names[0], m.csr().sum(), m.computed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "sparse")],
        check=True,
        capture_output=True,
        text=True,
    )
    expected = [first.hash, first.rows, first.columns, first.values, ADDING.names[0]]
    assert done.stdout.split() == [str(one) for one in [*expected, first.csr().sum(), 0]]


def test_what_is_opened_is_what_was_built(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "sparse", timelines, asked, WIDE)
    assert first.computed == len(first.sizes) >= 4
    for where in (tmp_path / "sparse", first.file):
        back = SparseMatrix.open(where)
        assert back.hash == first.hash
        assert back.catalogue == WIDE
        assert back.names == WIDE.names
        assert back.cohort.equals(first.cohort)
        assert back.data_version == timelines.version
        np.testing.assert_array_equal(back.empty, first.empty)
        check(back, timelines, WIDE)


def test_a_second_build_computes_nothing(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "sparse", timelines, asked, WIDE)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "sparse").rglob("*.npy")}
    again = built(tmp_path / "sparse", timelines, asked, WIDE)
    assert again.computed == 0
    assert (again.hash, again.values) == (first.hash, first.values)
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "sparse").rglob("*.npy")}
    assert after == before


def test_other_words_compute_nothing(timelines: Timelines, asked: pa.Table, tmp_path: Path) -> None:
    built(tmp_path / "sparse", timelines, asked, FEW)
    renamed = tuple(replace(one, name=f"{one.name}.again") for one in FEW.features)
    other = Catalogue(renamed, FEW.timezone, FEW.service_of)
    done = built(tmp_path / "sparse", timelines, asked, other)
    assert done.computed == 0
    assert done.names == other.names
    check(done, timelines, other)


def test_added_columns_compute_only_themselves(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    built(tmp_path / "sparse", timelines, asked, FEW)
    done = built(tmp_path / "sparse", timelines, asked, MORE)
    assert {len(names) for names in done.blocks} == {2}
    check(done, timelines, MORE)
    check(SparseMatrix.open(tmp_path / "sparse"), timelines, MORE)
    fewer = built(tmp_path / "sparse", timelines, asked, WIDE.only([WIDE.names[40]]))
    assert fewer.computed == 0
    check(fewer, timelines, fewer.catalogue)


def test_new_events_touch_only_the_parts_of_their_bucket(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    first = built(tmp_path / "sparse", timelines, asked, WIDE)
    person = int(timelines.subjects()[0])
    line = past(np.random.default_rng(9), 1)[0] | {"subject_id": person, "event_id": "new"}
    timelines.append(table([line]), label="one more")
    done = built(tmp_path / "sparse", timelines, asked, WIDE)
    assert 0 < done.computed < len(done.sizes)
    assert done.hash != first.hash
    check(done, timelines, WIDE)


def test_other_events_in_a_table_are_not_taken_for_the_first(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    events = timelines.read()
    build_sparse(tmp_path / "sparse", events, asked, FEW)
    assert build_sparse(tmp_path / "sparse", events, asked, FEW).computed == 0
    fewer = events.slice(500)
    done = build_sparse(tmp_path / "sparse", fewer, asked, FEW)
    assert done.computed == 1
    assert dense(done).tobytes() == compute_matrix(fewer, done.cohort, FEW).values.tobytes()


def test_an_interrupted_build_goes_on_and_the_old_matrix_stays(
    timelines: Timelines, asked: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = built(tmp_path / "sparse", timelines, asked.slice(30), FEW)
    whole, calls = SparseBlock.write, []

    def breaking(self: SparseBlock, *arrays: np.ndarray) -> None:
        calls.append(self.folder)
        if len(calls) == 3:
            raise KeyboardInterrupt
        whole(self, *arrays)

    monkeypatch.setattr(SparseBlock, "write", breaking)
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path / "sparse", timelines, asked, WIDE)
    monkeypatch.undo()
    still = SparseMatrix.open(tmp_path / "sparse")
    assert still.hash == old.hash
    check(still, timelines, FEW)
    done = built(tmp_path / "sparse", timelines, asked, WIDE)
    assert 0 < done.computed < len(done.sizes)
    check(done, timelines, WIDE)


@pytest.mark.parametrize("kind", ["counts", "data", "indices"])
def test_half_a_block_does_not_count(
    timelines: Timelines, asked: pa.Table, tmp_path: Path, kind: str
) -> None:
    built(tmp_path / "sparse", timelines, asked, FEW)
    next((tmp_path / "sparse" / "parts").glob(f"*/*.{kind}.npy")).unlink()
    with pytest.raises(DataError, match=r"1 missing.*--sparse"):
        SparseMatrix.open(tmp_path / "sparse")
    done = built(tmp_path / "sparse", timelines, asked, FEW)
    assert done.computed == 1
    check(done, timelines, FEW)


def test_old_matrices_are_removed_with_their_parts_and_columns(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    store = tmp_path / "sparse"
    for cut in range(5):
        built(store, timelines, asked.slice(cut), FEW.only(FEW.names[cut:]))
    signed = sorted(store.glob("sparse-*.json"))
    assert len(signed) == len(list(store.glob("rows-*.parquet"))) == 3
    named = set()
    for file in signed:
        found = SparseMatrix.open(file)
        check(found, timelines, found.catalogue)
        named |= {name for names in found.blocks for name in names}
    there = {
        block.name for part in (store / "parts").iterdir() for block in SparseBlock.all_of(part)
    }
    assert there == named
    assert len(list(store.glob("catalogue-*.parquet"))) >= 3


def test_one_matrix_has_the_array_over_files(
    timelines: Timelines, asked: pa.Table, tmp_path: Path
) -> None:
    store = tmp_path / "sparse"
    few = ADDING.only(ADDING.names[:5])
    first = built(store, timelines, asked, few)
    first.csr()
    assert len(list(store.glob("values-*.npy"))) == 3
    second = built(store, timelines, asked, ADDING)
    assert not list(store.glob("values-*.npy"))
    there = compute_matrix(timelines, second.cohort, ADDING).values
    np.testing.assert_array_equal(second.csr().toarray(), there)
    # The first is still there: its array is made again.
    np.testing.assert_array_equal(
        first.csr().toarray(), there[:, [ADDING.places[n] for n in few.names]]
    )


def test_nothing_to_open_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="jalon features build TERRITORY --sparse"):
        SparseMatrix.open(tmp_path)
