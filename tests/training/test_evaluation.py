"""Figures against scikit-learn and against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training.evaluation import METRICS, evaluate, weighted_auc


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(4, 60))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    raw = random.integers(0, draw(st.sampled_from([3, 10, 1000])), n).astype(float)
    return {
        "label": (random.random(n) < 0.4).astype(float),
        "raw": raw,
        "risk": (raw + 1) / (raw.max() + 2),
        "person": random.integers(0, max(2, n // 2), n),
        "time": random.integers(0, 3, n),
    }


def at_capacity(drawn: dict[str, Any], capacity: float) -> tuple[float, float]:
    """Expected precision and recall, one prediction time and one tie group after the other."""
    caught = taken = 0.0
    for moment in np.unique(drawn["time"]):
        here = drawn["time"] == moment
        label, raw = drawn["label"][here], drawn["raw"][here]
        room = capacity * here.sum()
        for score in sorted(set(raw), reverse=True):
            tied = raw == score
            flagged = min(room, tied.sum())
            caught += flagged * label[tied].mean()
            taken += flagged
            room -= flagged
    return caught / taken, caught / drawn["label"].sum()


@settings(max_examples=150)
@given(drawn=rows(), capacity=st.sampled_from([0.05, 0.3, 0.6]))
def test_against_others(drawn: dict[str, Any], capacity: float) -> None:
    y = drawn["label"]
    assume(0 < y.sum() < len(y))
    found = evaluate(**drawn, capacity=capacity).figures
    assert found["auc"] == pytest.approx(roc_auc_score(y, drawn["raw"]))
    assert found["auc"] == pytest.approx(weighted_auc(y, drawn["raw"]))
    assert found["average_precision"] == pytest.approx(average_precision_score(y, drawn["raw"]))
    assert found["brier"] == pytest.approx(brier_score_loss(y, drawn["risk"]))
    precision, recall = at_capacity(drawn, capacity)
    assert found["precision_at_capacity"] == pytest.approx(precision)
    assert found["recall_at_capacity"] == pytest.approx(recall)


def simulated(n: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    logit = random.normal(-2, 1, n)
    risk = 1 / (1 + np.exp(-logit))
    return {
        "label": (random.random(n) < risk).astype(float),
        "raw": logit,
        "risk": risk,
        "person": np.arange(n) // 3,
        "time": np.arange(n) % 3,
    }


def test_calibration_of_true_risks_is_ideal() -> None:
    rows = simulated(60_000, 1)
    found = evaluate(**rows, capacity=0.05).figures
    assert found["calibration_slope"] == pytest.approx(1, abs=0.05)
    assert found["calibration_intercept"] == pytest.approx(0, abs=0.05)
    extreme = {**rows, "risk": 1 / (1 + np.exp(-2 * rows["raw"] - 2))}
    worse = evaluate(**extreme, capacity=0.05).figures
    assert worse["calibration_slope"] == pytest.approx(0.5, abs=0.03)
    assert worse["brier"] > found["brier"]


def test_intervals_hold_the_figure_and_repeat() -> None:
    rows = simulated(3000, 2)
    one = evaluate(**rows, capacity=0.1, bootstrap=60, seed=5)
    two = evaluate(**rows, capacity=0.1, bootstrap=60, seed=5)
    assert one == two
    assert one.people == 1000
    for name in METRICS:
        low, high = one.intervals[name]
        assert low <= one.figures[name] <= high
        assert low < high


def test_intervals_cover_as_often_as_they_say() -> None:
    """With persons repeated three times, intervals over rows would be too narrow."""
    covered = 0
    truth = evaluate(**simulated(200_000, 3), capacity=0.1).figures["auc"]
    for seed in range(40):
        rows = {k: np.repeat(v, 3) for k, v in simulated(900, 100 + seed).items() if k != "person"}
        found = evaluate(**rows, person=np.repeat(np.arange(900), 3), capacity=0.1, bootstrap=60)
        low, high = found.intervals["auc"]
        covered += low <= truth <= high
    assert covered >= 34
