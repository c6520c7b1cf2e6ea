"""Penalised logistic regression with missing indicators, kept as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.model_file import read_model_file, write_model_file
from training.rows import DiskRows
from training.settings import LogisticSettings

__all__ = ["LogisticModel"]

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
BLOCK = 65_536
"""Rows worked on at once where a wider copy of the matrix is needed."""


class LogisticModel:
    """Logistic regression with an L2 penalty on standardised features and missing indicators.

    A missing value takes the training mean and raises an indicator of its own, for every feature
    that misses values in training. The contribution of a feature is its linear part, indicator
    included, against the average training row. A scikit-learn pipeline is fitted; its numbers are
    kept, so that scoring needs numpy alone.

    Example:
        >>> X = np.array([[0.0], [1.0], [np.nan], [2.0], [3.0], [4.0]], np.float32)
        >>> model = LogisticModel(("x",), settings=LogisticSettings(c=1.0), seed=0)
        >>> raw = model.fit(X, np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])).raw(X)
        >>> bool(raw[0] < raw[1] < raw[5])
        True
        >>> bool(np.allclose(model.contributions(X).sum(axis=1), raw))
        True
    """

    kind = "logistic"

    def __init__(self, names: Sequence[str], *, settings: LogisticSettings, seed: int) -> None:
        self.names = tuple(names)
        self.settings = settings
        self.seed = seed
        k = len(self.names)
        self.typical = np.zeros(k)
        self.indicators: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.centre = np.zeros(k)
        self.spread = np.ones(k)
        self.weights = np.zeros(k)
        self.intercept = 0.0

    def fit(self, X: Matrix | DiskRows, y: Floats) -> LogisticModel:
        """Fit to convergence.

        scikit-learn needs the training rows in memory, and twice: as 64-bit numbers, and again
        with the indicators beside them. That is 16 bytes a value and 8 for each indicator: where
        it is too much, leave `logistic` out of `training.models.kinds`.
        """
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        pipeline = make_pipeline(
            SimpleImputer(
                strategy="mean", add_indicator=True, keep_empty_features=True, copy=False
            ),
            StandardScaler(copy=False),
            LogisticRegression(
                C=self.settings.c,
                solver="lbfgs",
                max_iter=self.settings.max_iterations,
                random_state=self.seed,
            ),
        )
        # One thread for sums: the same digits whatever the number of cores.
        with threadpool_limits(limits=1, user_api="blas"):
            pipeline.fit(np.array(X, np.float64), y)
        imputer, scaler, regression = (step for _, step in pipeline.steps)
        self.typical = np.asarray(imputer.statistics_, np.float64)
        self.indicators = np.asarray(imputer.indicator_.features_, np.int64)
        self.centre = np.asarray(scaler.mean_, np.float64)
        self.spread = np.asarray(scaler.scale_, np.float64)
        self.weights = np.asarray(regression.coef_[0], np.float64)
        self.intercept = float(regression.intercept_[0])
        return self

    def contributions(self, X: Matrix) -> Floats:
        """Shares [n, k + 1] in log-odds against the average training row."""
        k = len(self.names)
        shares = np.empty((len(X), k + 1))
        slope = self.weights / self.spread
        for start in range(0, len(X), BLOCK):
            block = X[start : start + BLOCK].astype(np.float64)
            missing = np.isnan(block)
            part = (np.where(missing, self.typical, block) - self.centre[:k]) * slope[:k]
            flags = missing[:, self.indicators] - self.centre[k:]
            part[:, self.indicators] += flags * slope[k:]
            shares[start : start + BLOCK, :k] = part
        shares[:, -1] = self.intercept
        return shares

    def raw(self, X: Matrix) -> Floats:
        """Scores [n] in log-odds."""
        return self.contributions(X).sum(axis=1)

    def parameters(self) -> dict[str, float | int | str]:
        """Penalty, iterations and seed."""
        return {**self.settings.model_dump(), "seed": self.seed}

    def save(self, folder: Path) -> None:
        """Write ``model.json``."""
        content = {
            "names": self.names,
            "settings": self.settings.model_dump(),
            "seed": self.seed,
            "intercept": self.intercept,
        }
        for name in ("typical", "indicators", "centre", "spread", "weights"):
            content[name] = getattr(self, name).tolist()
        write_model_file(folder, self.kind, content)

    @classmethod
    def load(cls, folder: Path) -> LogisticModel:
        """Read what `save` wrote."""
        content = read_model_file(folder)
        settings = LogisticSettings.model_validate(content["settings"])
        model = cls(content["names"], settings=settings, seed=content["seed"])
        for name in ("typical", "centre", "spread", "weights"):
            setattr(model, name, np.array(content[name], np.float64))
        model.indicators = np.array(content["indicators"], np.int64)
        model.intercept = content["intercept"]
        return model
