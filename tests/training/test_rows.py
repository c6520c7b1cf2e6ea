"""Rows on disk: what a model learns from them is what it learns from the same rows in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from features.stored_matrix import StoredMatrix
from training.models import make_model
from training.rows import DiskRows
from training.settings import ModelSettings

Trained = tuple[Any, Any]


@pytest.fixture(scope="module")
def matrix(trained_among_peers: Trained) -> StoredMatrix:
    territory, report = trained_among_peers
    return StoredMatrix.open(territory.home / report.build.matrix_file)


@pytest.fixture(scope="module")
def chosen(matrix: StoredMatrix) -> np.ndarray:
    """Runs of neighbours, single rows, and rows out of order."""
    random = np.random.default_rng(5)
    keep = np.flatnonzero(random.random(matrix.rows) < 0.8)
    return np.concatenate([keep[50:], keep[:50][::-1]])


def test_they_are_the_rows_of_the_cohort(
    matrix: StoredMatrix, chosen: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.rows.BLOCK", 4 * 7 * len(matrix.catalogue))
    there = matrix.matrix().values[chosen]
    rows = DiskRows(matrix, chosen)
    assert rows.shape == there.shape
    assert max(len(block) for block in rows.blocks()) == 7
    np.testing.assert_array_equal(np.array(rows), there)
    np.testing.assert_array_equal(np.array(rows, np.float64), there.astype(np.float64))
    np.testing.assert_array_equal(rows.column(3), there[:, 3])
    views = rows.views()
    assert 51 < len(views) < len(chosen)
    np.testing.assert_array_equal(np.concatenate(views), there)
    with pytest.raises(ValueError, match="by a copy only"):
        np.asarray(rows, copy=False)


def test_views_copy_nothing(matrix: StoredMatrix, chosen: np.ndarray) -> None:
    for view in DiskRows(matrix, chosen).views()[:5]:
        assert not view.flags.owndata
        assert not view.flags.writeable


def test_no_rows_are_no_values(matrix: StoredMatrix) -> None:
    rows = DiskRows(matrix, np.zeros(0, np.int64))
    assert rows.apply(lambda block: block[:, 0].astype(float)).shape == (0,)
    assert np.array(rows).shape == (0, len(matrix.catalogue))


@pytest.mark.parametrize("kind", ["rule", "logistic", "lightgbm"])
def test_a_model_learns_the_same_from_disk_and_from_memory(
    matrix: StoredMatrix, chosen: np.ndarray, kind: str
) -> None:
    settings = ModelSettings.model_validate(
        {
            "threads": 1,
            "rule": {"feature": matrix.catalogue.names[0]},
            "lightgbm": {"trees": 20, "min_rows_in_leaf": 40, "leaves": 7, "row_share": 0.7},
        }
    )
    there, rows = matrix.matrix().values[chosen], DiskRows(matrix, chosen)
    label = (np.nan_to_num(there[:, 0]) + np.arange(len(there)) % 3 > 2).astype(float)
    memory = make_model(kind, matrix.catalogue.names, settings).fit(there, label)
    disk = make_model(kind, matrix.catalogue.names, settings).fit(rows, label)
    raw = memory.raw(there)
    assert raw.std() > 0
    np.testing.assert_array_equal(rows.apply(disk.raw), raw)


def test_lightgbm_is_never_given_the_matrix(
    make_territory: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training without `logistic` never has the matrix, nor the rows of a fold, in memory."""
    from features.territory import Territory
    from training.train import train

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the whole matrix in memory")

    territory = make_territory(people=120, months=30)
    text = territory.file.read_text(encoding="utf-8")
    text = text.replace("    threads: 1\n", "    threads: 1\n    kinds: [rule, lightgbm]\n")
    territory.file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(StoredMatrix, "matrix", refused)
    monkeypatch.setattr(DiskRows, "__array__", refused)
    report = train(Territory.open(territory.file, home=territory.home))
    assert [model.kind for model in report.models] == ["rule", "lightgbm"]
