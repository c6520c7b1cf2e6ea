"""From a score to a probability: sigmoid or isotonic, learned on later rows than the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from features.errors import DataError

__all__ = [
    "Calibrator",
    "IsotonicCalibrator",
    "SigmoidCalibrator",
    "choose_calibrator",
    "load_calibrator",
]

Floats = npt.NDArray[np.float64]
FEW_POSITIVES = 300
"""Under so many positive rows a step function follows noise; a sigmoid has two numbers to learn."""

CERTAIN = 1e-6
"""No risk is nearer to 0 or 1: beyond, a sigmoid rounds to certainty."""


class Calibrator(Protocol):
    """A monotone map from raw score to probability."""

    @property
    def method(self) -> str:
        """``sigmoid`` or ``isotonic``."""
        ...

    def risk(self, raw: Floats) -> Floats:
        """Probabilities [n] in (0, 1); a larger score never gets a smaller one."""
        ...

    def save(self, path: Path) -> None:
        """Write one JSON file."""
        ...


@dataclass(frozen=True)
class SigmoidCalibrator:
    """Platt's map ``1 / (1 + exp(-(slope * raw + intercept)))`` with a slope of at least 0.

    Source: Platt, Probabilistic outputs for support vector machines, 1999 (targets smoothed).

    Example:
        >>> raw = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
        >>> fitted = SigmoidCalibrator.fit(raw, np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0]))
        >>> bool((np.diff(fitted.risk(raw)) > 0).all())
        True
    """

    slope: float
    intercept: float
    method: str = "sigmoid"

    @classmethod
    def fit(cls, raw: Floats, label: Floats) -> SigmoidCalibrator:
        """The map that maximises the likelihood of smoothed labels."""
        positives = float(label.sum())
        negatives = len(label) - positives
        target = np.where(label > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        slope, intercept = logit_fit(raw, target)
        if slope < 0:
            share = (positives + 1) / (len(label) + 2)
            return cls(0.0, float(np.log(share / (1 - share))))
        return cls(slope, intercept)

    def risk(self, raw: Floats) -> Floats:
        """Probabilities [n]."""
        risk = expit(self.slope * np.asarray(raw, np.float64) + self.intercept)
        return np.clip(risk, CERTAIN, 1 - CERTAIN)

    def save(self, path: Path) -> None:
        """Write one JSON file."""
        content = {"method": self.method, "slope": self.slope, "intercept": self.intercept}
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class IsotonicCalibrator:
    """A monotone map through the points of an isotonic regression, linear between them.

    The lowest and the highest step keep off 0 and 1 by the rule of succession: of m rows that all
    ended in rupture the risk is (m + 1) / (m + 2), for no fold is large enough to prove certainty.

    Example:
        >>> raw = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        >>> IsotonicCalibrator.fit(raw, np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0])).risk(
        ...     np.array([-1.0, 1.5, 9.0])
        ... ).round(3).tolist()
        [0.333, 0.5, 0.8]
    """

    scores: tuple[float, ...]
    risks: tuple[float, ...]
    method: str = "isotonic"

    @classmethod
    def fit(cls, raw: Floats, label: Floats) -> IsotonicCalibrator:
        """The monotone map nearest to the labels in squared error."""
        from sklearn.isotonic import IsotonicRegression

        regression = IsotonicRegression(out_of_bounds="clip")
        fitted = regression.fit_transform(raw, label)
        lowest = 1 / (int((fitted == fitted.min()).sum()) + 2)
        above = int((fitted == fitted.max()).sum())
        risks = np.clip(regression.y_thresholds_, lowest, max(lowest, (above + 1) / (above + 2)))
        return cls(tuple(regression.X_thresholds_.tolist()), tuple(risks.tolist()))

    def risk(self, raw: Floats) -> Floats:
        """Probabilities [n]."""
        return np.interp(np.asarray(raw, np.float64), self.scores, self.risks)

    def save(self, path: Path) -> None:
        """Write one JSON file."""
        content = {"method": self.method, "scores": self.scores, "risks": self.risks}
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def choose_calibrator(
    raw: Floats, label: Floats, person: npt.NDArray[np.int64], *, seed: int, folds: int = 5
) -> Calibrator:
    """The map with the smaller Brier score on people it was not fitted on, fitted on all rows.

    With fewer than :data:`FEW_POSITIVES` ruptures the sigmoid is taken without a contest. Rows of
    one person stay together, for they repeat one another.

    Args:
        raw: [n] scores of rows later than the model's.
        label: [n] 0 or 1.
        person: [n] subject_id.
        seed: For the split of people.
        folds: Parts of the contest.

    Raises:
        DataError: only one class among the labels.

    Example:
        >>> raw = np.linspace(-3, 3, 40)
        >>> label = (np.arange(40) % 3 == 0).astype(float)
        >>> choose_calibrator(raw, label, np.arange(40), seed=0).method
        'sigmoid'
        >>> choose_calibrator(raw, np.zeros(40), np.arange(40), seed=0)
        Traceback (most recent call last):
        features.errors.DataError: calibrating: one class only. Expected ruptures and rows without \
one; got 0 ruptures in 40 rows. Hint: Lengthen the calibration part of the folds.
    """
    positives = int(label.sum())
    if positives in (0, len(label)):
        raise DataError(
            "calibrating: one class only",
            expected="ruptures and rows without one",
            got=f"{positives} ruptures in {len(label)} rows",
            hint="Lengthen the calibration part of the folds.",
        )
    if positives < FEW_POSITIVES:
        return SigmoidCalibrator.fit(raw, label)
    people, place = np.unique(person, return_inverse=True)
    part = (np.random.default_rng(seed).permutation(len(people)) % folds)[place]
    squared = {"sigmoid": 0.0, "isotonic": 0.0}
    for number in range(folds):
        out = part == number
        contest: tuple[Calibrator, ...] = (
            SigmoidCalibrator.fit(raw[~out], label[~out]),
            IsotonicCalibrator.fit(raw[~out], label[~out]),
        )
        for fitted in contest:
            squared[fitted.method] += float(((fitted.risk(raw[out]) - label[out]) ** 2).sum())
    if squared["isotonic"] < squared["sigmoid"]:
        return IsotonicCalibrator.fit(raw, label)
    return SigmoidCalibrator.fit(raw, label)


def load_calibrator(path: Path) -> Calibrator:
    """Read what a calibrator's `save` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["method"] == "sigmoid":
        return SigmoidCalibrator(content["slope"], content["intercept"])
    return IsotonicCalibrator(tuple(content["scores"]), tuple(content["risks"]))


def expit(x: Floats) -> Floats:
    """The logistic function, without overflow."""
    from scipy.special import expit as logistic

    return np.asarray(logistic(x), np.float64)


def logit_fit(
    x: Floats,
    target: Floats,
    weight: Floats | None = None,
    *,
    start: tuple[float, float] | None = None,
    precision: float = 1e-10,
) -> tuple[float, float]:
    """Slope and intercept of a logistic curve through targets in [0, 1], by Newton's method.

    Args:
        x: [n] values.
        target: [n] what the curve is to give, in [0, 1].
        weight: [n] weights of the rows; equal when None.
        start: Slope and intercept to begin at.
        precision: Size of the last step, in standard deviations of `x`, at which to stop.

    Example:
        >>> x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
        >>> slope, intercept = logit_fit(x, expit(0.5 * x - 1.0))
        >>> round(slope, 6), round(intercept, 6)
        (0.5, -1.0)
    """
    w = np.ones(len(x)) if weight is None else weight
    total = float(w.sum())
    centre = float((w * x).sum()) / total
    z = x - centre
    spread = float(np.sqrt((w * z * z).sum() / total))
    share = min(max(float((w * target).sum()) / total, 1e-12), 1 - 1e-12)
    if spread == 0:
        return 0.0, float(np.log(share / (1 - share)))
    z /= spread
    if start is None:
        b = np.array([0.0, np.log(share / (1 - share))])
    else:
        b = np.array([start[0] * spread, start[1] + start[0] * centre])
    for _ in range(50):
        p = expit(b[0] * z + b[1])
        g = w * (target - p)
        v = w * np.maximum(p * (1 - p), 1e-12)
        vz = v * z
        hessian = np.array([[(vz * z).sum(), vz.sum()], [vz.sum(), v.sum()]])
        try:
            step = np.linalg.solve(hessian, np.array([(g * z).sum(), g.sum()]))
        except np.linalg.LinAlgError:
            # The values part the targets: every steeper curve fits better, so this one stands.
            break
        b = b + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < precision:
            break
    return float(b[0] / spread), float(b[1] - b[0] * centre / spread)
