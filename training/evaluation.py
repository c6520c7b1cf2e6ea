"""How good a ranking and its probabilities are, with intervals over persons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.errors import DataError
from training.calibration import logit_fit

__all__ = ["METRICS", "Evaluation", "evaluate", "weighted_auc"]

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

METRICS = (
    "auc",
    "average_precision",
    "precision_at_capacity",
    "recall_at_capacity",
    "brier",
    "calibration_slope",
    "calibration_intercept",
)


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one set of rows.

    Attributes:
        figures: Each of :data:`METRICS`.
        intervals: 95 % interval of each, by resampling persons; empty without bootstrap.
        rows: Rows measured.
        people: Distinct persons among them.
        prevalence: Share of ruptures.
    """

    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    rows: int
    people: int
    prevalence: float

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return {
            **self.figures,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "rows": self.rows,
            "people": self.people,
            "prevalence": self.prevalence,
        }


def evaluate(
    label: Floats,
    raw: Floats,
    risk: Floats,
    person: Longs,
    time: Longs,
    *,
    capacity: float,
    bootstrap: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Ranking by `raw`, probabilities by `risk`, on labelled rows.

    - ``auc``: chance that a row that ends in rupture outranks one that does not; ties count half.
    - ``average_precision``: mean precision over ruptures in rank order, tied rows as one step.
    - ``precision_at_capacity``, ``recall_at_capacity``: when at each prediction time the `capacity`
      share of its labelled rows with the largest scores is followed up. Of rows tied at the limit,
      as many as fit are drawn at random: the figure is the expected value.
    - ``brier``: mean squared error of `risk`.
    - ``calibration_slope``: slope of a logistic regression of the label on the log-odds of `risk`
      (1 is ideal; under 1, risks are too extreme). ``calibration_intercept``: the log-odds to add
      to `risk` for its mean to be right (0 is ideal).

    Intervals resample persons, as their rows depend on one another.

    Args:
        label: [n] 0 or 1.
        raw: [n] scores.
        risk: [n] probabilities in (0, 1).
        person: [n] subject_id.
        time: [n] prediction time.
        capacity: Share in (0, 1).
        bootstrap: Number of resamplings; 0 for no interval.
        seed: For the resampling.

    Raises:
        DataError: one class only.

    Source: Van Calster et al., Calibration: the Achilles heel of predictive analytics, 2019.

    Example:
        >>> label = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0])
        >>> raw = np.array([0.1, 0.2, 0.3, 0.3, 0.8, 0.9])
        >>> risk, person, time = raw, np.arange(6), np.zeros(6, int)
        >>> found = evaluate(label, raw, risk, person, time, capacity=0.5)
        >>> round(found.figures["auc"], 4), round(found.figures["precision_at_capacity"], 4)
        (0.9444, 0.8333)
        >>> evaluate(np.zeros(6), raw, risk, person, time, capacity=0.5)
        Traceback (most recent call last):
        features.errors.DataError: evaluating: one class only. Expected ruptures and rows without \
one; got 0 ruptures in 6 rows.
    """
    positives = int(label.sum())
    if positives in (0, len(label)):
        raise DataError(
            "evaluating: one class only",
            expected="ruptures and rows without one",
            got=f"{positives} ruptures in {len(label)} rows",
        )
    people, place = np.unique(person, return_inverse=True)
    measure = _Measure(label, raw, risk, time, capacity)
    figures = measure(np.ones(len(label)))
    intervals: dict[str, tuple[float, float]] = {}
    if bootstrap:
        random = np.random.default_rng(seed)
        drawn: list[Floats] = []
        for _ in range(bootstrap):
            counts = np.bincount(
                random.integers(0, len(people), len(people)), minlength=len(people)
            )
            weight = counts[place].astype(np.float64)
            ruptures = float((weight * label).sum())
            if 0 < ruptures < weight.sum():
                found = measure(weight)
                drawn.append(np.array([found[name] for name in METRICS]))
        if drawn:
            ends = np.nanquantile(np.array(drawn), [0.025, 0.975], axis=0)
            intervals = {
                name: (float(ends[0, i]), float(ends[1, i])) for i, name in enumerate(METRICS)
            }
    return Evaluation(figures, intervals, len(label), len(people), positives / len(label))


class _Measure:
    """The figures as a function of row weights, sorted once for all of them."""

    def __init__(
        self, label: Floats, raw: Floats, risk: Floats, time: Longs, capacity: float
    ) -> None:
        self.label = label
        self.risk = risk
        self.capacity = capacity
        self.error = (risk - label) ** 2
        self.logit = np.log(risk / (1 - risk))
        self.ideal: tuple[tuple[float, float], float] | None = None
        self.overall, self.starts = _ties(raw)
        order = np.lexsort((-raw, time))
        self.by_time = order
        changed = (np.diff(time[order]) != 0) | (np.diff(raw[order]) != 0)
        self.time_starts = np.concatenate([[0], np.flatnonzero(changed) + 1])
        self.moment = np.unique(time[order], return_inverse=True)[1][self.time_starts]
        self.first_of_moment = np.searchsorted(self.moment, np.arange(self.moment[-1] + 1))

    def __call__(self, weight: Floats) -> dict[str, float]:
        hits = weight * self.label
        total, positive = float(weight.sum()), float(hits.sum())
        w = np.add.reduceat(weight[self.overall], self.starts)
        p = np.add.reduceat(hits[self.overall], self.starts)
        flagged, found = np.cumsum(w), np.cumsum(p)
        negatives = w - p
        auc = float((p * (total - positive - np.cumsum(negatives) + negatives / 2)).sum())
        precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
        caught, taken = self._at_capacity(weight, hits)
        slope, shift = self._calibration(weight)
        return {
            "auc": auc / (positive * (total - positive)),
            "average_precision": float((p * precision).sum()) / positive,
            "precision_at_capacity": caught / taken,
            "recall_at_capacity": caught / positive,
            "brier": float((weight * self.error).sum()) / total,
            "calibration_slope": slope,
            "calibration_intercept": shift,
        }

    def _calibration(self, weight: Floats) -> tuple[float, float]:
        """Slope and intercept; resamplings begin at the values of all rows and stop sooner."""
        first = self.ideal is None
        precision = 1e-10 if first else 1e-4
        curve, shift = (None, 0.0) if self.ideal is None else self.ideal
        curve = logit_fit(self.logit, self.label, weight, start=curve, precision=precision)
        shift = _offset(self.logit, self.label, weight, start=shift, precision=precision)
        if first:
            self.ideal = (curve, shift)
        return curve[0], shift

    def _at_capacity(self, weight: Floats, hits: Floats) -> tuple[float, float]:
        """Ruptures among the followed up, and how many are followed up, over all times."""
        w = np.add.reduceat(weight[self.by_time], self.time_starts)
        p = np.add.reduceat(hits[self.by_time], self.time_starts)
        size = np.add.reduceat(w, self.first_of_moment)
        before = np.cumsum(w) - w
        before -= before[self.first_of_moment][self.moment]
        flagged = np.clip(self.capacity * size[self.moment] - before, 0, w)
        rate = np.divide(p, w, out=np.zeros_like(p), where=w > 0)
        return float((flagged * rate).sum()), float(flagged.sum())


def weighted_auc(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """Area under the ROC curve; ties count half.

    Example:
        >>> weighted_auc(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
        0.875
    """
    w = np.ones(len(label)) if weight is None else weight
    order, starts = _ties(score)
    hits = np.add.reduceat((w * label)[order], starts)
    misses = np.add.reduceat((w * (1 - label))[order], starts)
    below = misses.sum() - np.cumsum(misses)
    return float((hits * (below + misses / 2)).sum() / (hits.sum() * misses.sum()))


def _ties(score: Floats) -> tuple[Longs, Longs]:
    """Rows from the largest score down, and where each group of equal scores begins."""
    order = np.argsort(-score, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(score[order]) != 0) + 1])
    return order, starts


def _offset(
    logit: Floats, label: Floats, weight: Floats, *, start: float, precision: float
) -> float:
    """Log-odds to add for the mean risk to equal the share of ruptures."""
    from training.calibration import expit

    shift = start
    for _ in range(50):
        p = expit(logit + shift)
        step = float((weight * (label - p)).sum() / (weight * p * (1 - p)).sum())
        shift += min(max(step, -2.0), 2.0)
        if abs(step) < precision:
            break
    return shift
