"""The pandas face: a frame in, a frame out, the values of the matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

import features
from features.events import EVENTS
from features.frames import build_matrix
from features.matrix import compute_matrix
from tests.features.test_matrix import CATALOGUE
from tests.features.test_no_leak import AT, past


def test_it_is_the_matrix_as_a_frame() -> None:
    events = pa.Table.from_pylist(past(np.random.default_rng(5), 200), schema=EVENTS)
    cohort = pd.DataFrame({"subject_id": [3, 1], "prediction_time": [pd.Timestamp(AT)] * 2})
    frame = build_matrix(events, cohort, CATALOGUE)
    matrix = compute_matrix(events, cohort, CATALOGUE)
    assert list(frame.columns) == list(CATALOGUE.names)
    assert (frame.dtypes == np.float32).all()
    assert frame.to_numpy().tobytes() == matrix.values.tobytes()
    assert frame.index.tolist() == [(3, pd.Timestamp(AT)), (1, pd.Timestamp(AT))]


def test_a_frame_of_events_is_read_too() -> None:
    events = pa.Table.from_pylist(past(np.random.default_rng(5), 200), schema=EVENTS)
    cohort = pd.DataFrame({"subject_id": [1], "prediction_time": [pd.Timestamp(AT)]})
    one = build_matrix(events, cohort, CATALOGUE)
    pd.testing.assert_frame_equal(build_matrix(events.to_pandas(), cohort, CATALOGUE), one)


def test_the_package_offers_it() -> None:
    assert features.build_matrix is build_matrix
