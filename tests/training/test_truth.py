"""The truth's rows are matched by person and prediction time; figures come from them alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DataError
from training.settings import TruthSettings
from training.truth import compare_with_truth, read_truth


def moments(values: Any) -> pa.Array:
    return pa.array(np.asarray(values, np.int64).view("datetime64[us]"))


def cohort(label: np.ndarray) -> pa.Table:
    n = len(label)
    return pa.table(
        {
            "subject_id": pa.array(np.arange(1, n + 1)),
            "prediction_time": moments(np.full(n, 1_000_000)),
            "label": pa.array(label),
            "outcome": pa.array(np.where(label == 1, "rupture", "no_rupture").tolist()),
        }
    )


def truth(cohort_rows: pa.Table, risk: np.ndarray, keep: np.ndarray) -> pa.Table:
    whole = cohort_rows.select(["subject_id", "prediction_time", "outcome"])
    return whole.append_column("risk", pa.array(risk)).take(pa.array(keep))


def test_perfect_and_useless_models() -> None:
    random = np.random.default_rng(1)
    risk = random.beta(1, 4, 4000)
    rows = cohort((random.random(4000) < risk).astype(float))
    keep = random.permutation(4000)[:3000]
    test = np.arange(1000, 4000)
    scores = {"best": risk[test], "noise": random.random(3000)}
    found = compare_with_truth(truth(rows, risk, keep), rows, [(test, scores)])
    assert found.rows == int((keep >= 1000).sum())
    assert found.models["best"] == found.attainable_auc
    assert found.shares["best"] == 1.0
    assert found.attainable_auc > 0.7
    assert abs(found.shares["noise"]) < 0.25
    assert found.outcome_agreement == 1.0


def test_no_row_in_common_is_an_error() -> None:
    rows = cohort(np.array([0.0, 1.0, 0.0, 1.0]))
    other = truth(rows, np.full(4, 0.5), np.arange(4))
    moved = other.set_column(1, "prediction_time", moments(np.full(4, 2_000_000)))
    with pytest.raises(DataError, match="no test row is in it"):
        compare_with_truth(moved, rows, [(np.arange(4), {"m": np.zeros(4)})])


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    settings = TruthSettings(probabilities="truth/none.parquet", person={"social": "social_id"})
    with pytest.raises(DataError, match="Simulate the territory again"):
        read_truth(SimpleNamespace(home=tmp_path), settings)  # type: ignore[arg-type]


def test_people_are_found_by_any_of_their_identifiers(
    make_territory: Callable[..., Any],
) -> None:
    from features.identity import Vault

    territory = make_territory(people=20, months=6)
    with closing(Vault.open(territory.home / "identity")) as vault:
        vault.link([pa.table({"social": ["S1", "S2", None], "work": ["W1", None, "W3"]})])
        known = vault.resolve("work", ["W1"])[0]
    table = pa.table(
        {
            "social_id": ["S1", None, "S9", "S2"],
            "work_id": [None, "W1", "W3", None],
            "prediction_time": moments([1, 1, 1, 1]),
            "p_rupture": [0.2, 0.2, 0.3, 0.1],
            "p_competing": [0.5, 0.5, 0.0, 0.0],
            "outcome": ["rupture"] * 4,
        }
    )
    pq.write_table(table, territory.home / "truth.parquet")
    settings = TruthSettings(
        probabilities="truth.parquet", person={"social": "social_id", "work": "work_id"}
    )
    found = read_truth(territory, settings)
    subjects = found["subject_id"].to_pylist()
    assert subjects[0] == subjects[1] == known
    assert len(set(subjects)) == 3
    assert 0 not in subjects
    assert found["risk"].to_pylist() == pytest.approx([0.4, 0.4, 0.3, 0.1])
