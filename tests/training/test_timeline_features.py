"""The engine as a step of a scikit-learn pipeline."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from features.events import EVENTS
from features.matrix import compute_matrix
from tests.features.test_no_leak import AT, past
from tests.features.test_store import SMALL
from training.timeline_features import TimelineFeatures


@pytest.fixture(scope="module")
def events() -> pa.Table:
    lines = past(np.random.default_rng(2), 900)
    for number, line in enumerate(lines):
        line["subject_id"] = 1 + number % 30
    return pa.Table.from_pylist(lines, schema=EVENTS)


def rows(*days: int) -> pd.DataFrame:
    times = [pd.Timestamp(AT - timedelta(days=d)) for d in days for _ in range(30)]
    return pd.DataFrame({"subject_id": [*range(1, 31)] * len(days), "prediction_time": times})


def test_it_is_a_step_of_a_pipeline(events: pa.Table) -> None:
    cohort = rows(60, 30)
    label = np.arange(len(cohort)) % 2
    pipeline = make_pipeline(
        TimelineFeatures(events, SMALL),
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(),
    )
    risk = pipeline.fit(cohort, label).predict_proba(rows(0))
    assert risk.shape == (30, 2)
    names = pipeline[0].get_feature_names_out()
    assert names.tolist() == list(SMALL.names)


def test_a_row_is_compared_with_the_peers_that_were_fitted(events: pa.Table) -> None:
    step = TimelineFeatures(events, SMALL).fit(rows(60, 30))
    one = step.transform(rows(0).head(1))
    there = compute_matrix(events, rows(0).head(1), SMALL, peers=step.peers_).values
    assert one.to_numpy().tobytes() == there.tobytes()
    ranks = [name for name in SMALL.names if ".rank." in name]
    assert one[ranks].notna().any(axis=None)


def test_it_is_cloned_and_refuses_to_work_unfitted(events: pa.Table) -> None:
    step = clone(TimelineFeatures(events, SMALL))
    with pytest.raises(NotFittedError):
        step.transform(rows(0))
