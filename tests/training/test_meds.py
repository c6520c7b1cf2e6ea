"""MEDS labels and splits: what has no label is no negative, and folds that divide people."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import ConfigurationError, DataError
from training.cohort import COHORT, OUTCOMES, Cohort
from training.meds import LABELS, meds_labels, splits_of_folds, write_labels
from training.settings import TrainingSettings

WHEN = datetime(2024, 3, 1)
LABEL = {"rupture": 1.0, "no_rupture": 0.0}


def row(
    person: int, outcome: str, when: datetime = WHEN, anchor: datetime = WHEN
) -> dict[str, Any]:
    return {
        "subject_id": person,
        "prediction_time": when,
        "outcome": outcome,
        "anchor_time": anchor,
        "label": LABEL.get(outcome),
    }


def cohort_of(rows: list[dict[str, Any]]) -> Cohort:
    return Cohort(pa.Table.from_pylist(rows, schema=COHORT), ())


def test_only_rows_with_a_label_are_written_and_the_others_counted(tmp_path: Path) -> None:
    cohort = cohort_of([row(n, outcome) for n, outcome in enumerate(OUTCOMES, 1)])
    file = tmp_path / "labels" / "rupture" / "0.parquet"
    done = write_labels(cohort, file)
    assert done.as_dict() == {
        "rows": 2,
        "positives": 1,
        "subjects": 2,
        "left_out": {"competing": 1, "censored": 1, "prior": 1},
        "objecting": 0,
    }
    table = pq.read_table(file)
    assert table.schema.equals(LABELS)
    assert table.to_pylist() == [
        {"subject_id": 1, "prediction_time": WHEN, "boolean_value": True},
        {"subject_id": 3, "prediction_time": WHEN, "boolean_value": False},
    ]
    assert [one.name for one in file.parent.iterdir()] == ["0.parquet"]


def test_who_objects_has_no_label(tmp_path: Path) -> None:
    cohort = cohort_of([row(1, "rupture"), row(2, "rupture"), row(2, "censored")])
    file = tmp_path / "0.parquet"
    write_labels(cohort, file)
    done = write_labels(cohort, file, np.array([2, 9], np.int64))
    assert (done.rows, done.positives, done.objecting) == (1, 1, 2)
    assert done.left_out["censored"] == 0
    assert pq.read_table(file)["subject_id"].to_pylist() == [1]


def test_a_cohort_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labelled row"):
        write_labels(cohort_of([row(1, "censored")]), tmp_path / "0.parquet")
    assert not list(tmp_path.iterdir())
    assert meds_labels(cohort_of([]).table).num_rows == 0


def test_a_cutoff_fold_divides_people_and_rolling_folds_do_not() -> None:
    rows = []
    for person in range(1, 61):
        # Twenty learn, twenty give probabilities, twenty are tested, a year apart.
        year = 2021 + (person - 1) // 20
        when = datetime(year, 6, 1)
        rows.append(row(person, ("rupture", "no_rupture")[person % 2], when, datetime(year, 5, 1)))
    cutoff = {"kind": "cutoff", "test_from": "2023-01-01", "calibration_days": 400}
    table = cohort_of(rows).table
    schedule = {"anchor": "ORIENTATION//DECISION//*"}
    settings = TrainingSettings.model_validate({"folds": cutoff, "cohort": {"schedule": schedule}})
    split = splits_of_folds(table, settings, "UTC")
    assert split == {
        **dict.fromkeys(range(21, 41), "tuning"),
        **dict.fromkeys(range(41, 61), "held_out"),
    }
    assert splits_of_folds(table, TrainingSettings(), "UTC") is None


def test_what_is_not_labels_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "territory.yaml"
    file.write_text("features: {}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="something else in that place"):
        write_labels(cohort_of([row(1, "rupture")]), file)
    assert file.read_text("utf-8") == "features: {}"
