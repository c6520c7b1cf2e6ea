"""Calibrators: monotone, in (0, 1), right on data of the known shape, the same when read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.calibration import (
    FEW_POSITIVES,
    Calibrator,
    IsotonicCalibrator,
    SigmoidCalibrator,
    choose_calibrator,
    load_calibrator,
    logit_fit,
)


def draws(rows: int, seed: int, *, bent: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels; bent: the true risk is a staircase of the score."""
    random = np.random.default_rng(seed)
    raw = random.normal(size=rows)
    true = np.select([raw < -1, raw < 1], [0.02, 0.2], 0.7) if bent else 1 / (1 + np.exp(-raw + 1))
    return raw, (random.random(rows) < true).astype(float)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), rows=st.integers(10, 300), bent=st.booleans())
def test_monotone_and_inside(seed: int, rows: int, bent: bool) -> None:
    raw, label = draws(rows, seed, bent=bent)
    if label.sum() in (0, rows):
        return
    fits: tuple[Calibrator, ...] = (
        SigmoidCalibrator.fit(raw, label),
        IsotonicCalibrator.fit(raw, label),
    )
    probe = np.sort(np.concatenate([raw, [-50.0, 50.0]]))
    for fit in fits:
        risk = fit.risk(probe)
        assert (np.diff(risk) >= 0).all()
        assert (risk > 0).all()
        assert (risk < 1).all()


def test_a_score_that_ranks_backwards_is_flattened() -> None:
    raw, label = draws(500, 1, bent=False)
    fit = SigmoidCalibrator.fit(-raw, label)
    assert fit.slope == 0
    assert fit.risk(raw)[0] == pytest.approx(label.mean(), abs=0.01)


def test_choice() -> None:
    person = np.arange(20_000)
    raw, label = draws(20_000, 2, bent=True)
    assert choose_calibrator(raw, label, person, seed=1).method == "isotonic"
    few = 400
    assert label[:few].sum() < FEW_POSITIVES
    assert choose_calibrator(raw[:few], label[:few], person[:few], seed=1).method == "sigmoid"


def test_sigmoid_recovers_the_curve() -> None:
    raw, label = draws(100_000, 4, bent=False)
    fit = SigmoidCalibrator.fit(raw, label)
    assert fit.slope == pytest.approx(1.0, abs=0.05)
    assert fit.intercept == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize("kind", [SigmoidCalibrator, IsotonicCalibrator])
def test_read_again(kind: type[SigmoidCalibrator | IsotonicCalibrator], tmp_path: Path) -> None:
    raw, label = draws(2000, 5, bent=True)
    fit = kind.fit(raw, label)
    fit.save(tmp_path / "calibrator.json")
    again = load_calibrator(tmp_path / "calibrator.json")
    assert again == fit
    np.testing.assert_array_equal(again.risk(raw), fit.risk(raw))


def test_values_that_part_the_targets_give_a_curve_all_the_same() -> None:
    """With few rows a model may separate them: no steepest curve exists, and none is an error."""
    x = np.array([-500.0, -400.0, 400.0, 500.0])
    slope, intercept = logit_fit(x, np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isfinite([slope, intercept]).all()
    assert slope > 0
    slope, intercept = logit_fit(x, np.zeros(4))
    assert np.isfinite([slope, intercept]).all()
