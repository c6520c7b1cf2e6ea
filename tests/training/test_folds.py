"""Folds in time: nothing known later than a cut is learned before it."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.local_days import DAY
from training.cohort import COHORT
from training.columns import micros
from training.folds import final_fold, make_folds
from training.schedule import instant, month_starts
from training.settings import TrainingSettings

ZONE = "Europe/Paris"
BOUNDS = (instant(date(2022, 1, 1), ZONE), instant(date(2025, 1, 1), ZONE))


def cohort(months: int, people: int, seed: int, *, rate: float = 0.3) -> pa.Table:
    """`people` rows at each of the last `months` months of 2024; the newest three are censored."""
    random = np.random.default_rng(seed)
    times = month_starts(*BOUNDS, ZONE)[-months:]
    time = np.repeat(times, people)
    label = (random.random(len(time)) < rate).astype(float)
    label[random.random(len(time)) < 0.1] = np.nan
    label[time + 90 * DAY > BOUNDS[1]] = np.nan
    outcome = np.where(np.isnan(label), "censored", np.where(label == 1, "rupture", "no_rupture"))
    nothing = pa.nulls(len(time))
    return pa.table(
        [
            pa.array(np.tile(np.arange(1, people + 1), len(times))),
            pa.array(time.view("datetime64[us]")),
            pa.array(outcome.tolist()),
            nothing.cast(pa.timestamp("us")),
            nothing.cast(pa.string()),
            pa.array((time - 50 * DAY).view("datetime64[us]")),
            pa.array(label, mask=np.isnan(label)),
        ],
        schema=COHORT,
    )


@settings(max_examples=80)
@given(
    months=st.integers(16, 36),
    count=st.integers(1, 3),
    test_months=st.integers(1, 3),
    calibration_months=st.integers(1, 3),
    horizon=st.sampled_from([28, 60, 90]),
    delay=st.sampled_from([0, 20]),
    seed=st.integers(0, 5),
)
def test_no_label_reaches_past_its_cut(
    months: int,
    count: int,
    test_months: int,
    calibration_months: int,
    horizon: int,
    delay: int,
    seed: int,
) -> None:
    task = TrainingSettings.model_validate(
        {
            "horizon_days": horizon,
            "label_delay_days": delay,
            "folds": {
                "count": count,
                "test_months": test_months,
                "calibration_months": calibration_months,
            },
        }
    )
    table = cohort(months, 12, seed)
    time, label = micros(table["prediction_time"], 0), table["label"].to_numpy()
    try:
        folds = [*make_folds(table, task, ZONE), final_fold(table, task, ZONE)]
    except DataError:
        # Too few rows for so many parts: said at once, tested below.
        return
    assert len(folds) == count + 1
    gap = (horizon + delay) * DAY
    for fold in folds:
        parts = (fold.train, fold.calibration, fold.test)
        assert not np.isnan(label[np.concatenate(parts)]).any()
        cut = time[fold.calibration].min()
        assert (time[fold.train] + gap <= cut).all()
        if fold.name != "final":
            assert (time[fold.calibration] + gap <= time[fold.test].min()).all()
            assert fold.dates["train_to"] < fold.dates["calibration_from"] < fold.dates["test_from"]
    tests = [time[fold.test] for fold in folds[:-1]]
    for older, newer in pairwise(tests):
        assert older.max() < newer.min()
    newest = time[~np.isnan(label)].max()
    assert tests[-1].max() == newest
    assert time[folds[-1].calibration].max() == newest


def test_dates_by_hand() -> None:
    folds = make_folds(cohort(36, 20, 1), TrainingSettings(), ZONE)
    assert [fold.name for fold in folds] == ["1", "2", "3"]
    assert folds[-1].dates == {
        "train_from": "2022-01-01",
        "train_to": "2023-12-01",
        "calibration_from": "2024-03-01",
        "calibration_to": "2024-05-01",
        "test_from": "2024-08-01",
        "test_to": "2024-10-01",
    }


def test_cutoff_keeps_later_anchors_for_the_test() -> None:
    task = TrainingSettings.model_validate(
        {
            "cohort": {"schedule": {"anchor": "A"}},
            "horizon_days": 28,
            "folds": {"kind": "cutoff", "test_from": "2024-04-01", "calibration_days": 60},
        }
    )
    table = cohort(24, 20, 2)
    fold = make_folds(table, task, ZONE)[0]
    anchor = micros(table["anchor_time"], 0)
    cut = instant(date(2024, 4, 1), ZONE)
    assert (anchor[fold.test] >= cut).all()
    assert (anchor[np.concatenate([fold.train, fold.calibration])] < cut).all()
    time = micros(table["prediction_time"], 0)
    assert (time[fold.calibration] + 28 * DAY <= time[fold.test].min()).all()
    assert (time[fold.train] + 28 * DAY <= time[fold.calibration].min()).all()


def test_all_faults_at_once() -> None:
    table = cohort(36, 20, 1, rate=0.0)
    with pytest.raises(DataError, match=r"fold 1 train: \d+ rows, 0 ruptures; .*fold 3 test"):
        make_folds(table, TrainingSettings(), ZONE)
